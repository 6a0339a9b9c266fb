//! Content of files: from how it is written to bytes, within a budget.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;

/// Bytes that the files of one configuration may unpack to.
pub const LEN_MAX: usize = 32 << 20;

/// Returns the bytes that a content stands for, and takes them from the budget.
pub fn decode(content: &str, encoding: Option<&str>, budget: &mut usize) -> Result<Vec<u8>, String> {
    let bytes = match encoding {
        None => Some(content.as_bytes().to_vec()),
        Some("b64" | "base64") => base64(content),
        Some("gz" | "gzip") => bytes_of_characters(content).and_then(|packed| gunzip(&packed, *budget)),
        Some(_) => base64(content).and_then(|packed| gunzip(&packed, *budget)),
    };
    let undecodable = || format!("content cannot be decoded as {:?}", encoding.unwrap_or_default());
    let bytes = bytes.ok_or_else(undecodable)?;
    *budget = budget
        .checked_sub(bytes.len())
        .ok_or_else(|| format!("the files unpack to more than {} MiB", LEN_MAX >> 20))?;
    Ok(bytes)
}

/// Returns the bytes that characters of the same numbers stand for: `"\x1f\x8b"` in YAML are no bytes but characters.
fn bytes_of_characters(content: &str) -> Option<Vec<u8>> {
    content.chars().map(|c| u8::try_from(c).ok()).collect()
}

fn base64(content: &str) -> Option<Vec<u8>> {
    // Long values are broken into lines.
    let joined: String = content.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(joined).ok()
}

/// Unpacks one byte more than the budget at most: the caller then sees that it is spent.
fn gunzip(packed: &[u8], budget: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(budget).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed).take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> String {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    }

    #[test]
    fn all_encodings_give_the_same_bytes() {
        let text = "one\ntwo\n";
        let mut budget = LEN_MAX;
        assert_eq!(decode(text, None, &mut budget).unwrap(), text.as_bytes());
        for encoding in ["b64", "base64"] {
            let coded = STANDARD.encode(text);
            let broken = format!("{}\n {}\n", &coded[..4], &coded[4..]);
            assert_eq!(decode(&broken, Some(encoding), &mut budget).unwrap(), text.as_bytes());
        }
        for encoding in ["gz+base64", "gzip+base64", "gz+b64", "gzip+b64"] {
            let coded = packed(text.as_bytes());
            assert_eq!(decode(&coded, Some(encoding), &mut budget).unwrap(), text.as_bytes());
        }
        let characters: String =
            STANDARD.decode(packed(text.as_bytes())).unwrap().iter().map(|byte| char::from(*byte)).collect();
        for encoding in ["gz", "gzip"] {
            assert_eq!(decode(&characters, Some(encoding), &mut budget).unwrap(), text.as_bytes());
        }
        assert_eq!(budget, LEN_MAX - 9 * text.len());
    }

    #[test]
    fn rejects_what_does_not_decode() {
        let mut budget = LEN_MAX;
        let mut wrong = |content: &str, encoding| decode(content, Some(encoding), &mut budget).unwrap_err();
        assert_eq!(wrong("!!", "b64"), "content cannot be decoded as \"b64\"");
        assert_eq!(wrong("YQ", "base64"), "content cannot be decoded as \"base64\"");
        assert_eq!(wrong("text", "gzip"), "content cannot be decoded as \"gzip\"");
        assert_eq!(wrong("YQ==", "gz+b64"), "content cannot be decoded as \"gz+b64\"");
        let cut = packed(&[7; 5000])[..16].to_owned();
        assert_eq!(wrong(&cut, "gz+b64"), "content cannot be decoded as \"gz+b64\"");
    }

    #[test]
    fn bombs_spend_the_budget_and_no_memory() {
        let bomb = packed(&vec![0; 64 << 20]);
        let mut budget = LEN_MAX;
        assert_eq!(
            decode(&bomb, Some("gz+b64"), &mut budget).unwrap_err(),
            "the files unpack to more than 32 MiB"
        );
        let mut budget = 10;
        assert!(decode("12345678901", None, &mut budget).is_err());
        assert!(decode("1234567890", None, &mut budget).is_ok());
        assert_eq!(budget, 0);
    }
}
