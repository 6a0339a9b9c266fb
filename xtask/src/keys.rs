//! The public keys that an image trusts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

use crate::ctx::Ctx;

/// Mark of the committed pair, in a comment of its file.
const INSECURE: &str = "INSECURE";

/// Trusted keys: file name to text.
#[derive(Clone, Debug)]
pub struct Trusted(pub BTreeMap<String, String>);

impl Trusted {
    /// Reads every `*.pub` of the folder, by default that of the committed development pair.
    pub fn read(ctx: &Ctx, dir: Option<&Path>) -> anyhow::Result<Self> {
        let default = ctx.image_dir().join("keys");
        let dir = dir.unwrap_or(&default);
        let mut keys = BTreeMap::new();
        for (name, path) in crate::hash::sorted_dir(dir).context("reading the trusted keys (`--keys`)")? {
            if !name.ends_with(".pub") {
                continue;
            }
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            check(&text).map_err(|err| anyhow::anyhow!("{}: {err}", path.display()))?;
            keys.insert(name, text);
        }
        anyhow::ensure!(
            !keys.is_empty(),
            "{} holds no *.pub file: no update could be trusted",
            dir.display()
        );
        Ok(Self(keys))
    }

    /// Whether one of them is the committed development key.
    pub fn insecure(&self) -> bool {
        self.0.values().any(|text| text.lines().any(|line| line.starts_with('#') && line.contains(INSECURE)))
    }
}

/// Comment lines and one line with 32 bytes in base64.
fn check(text: &str) -> Result<(), String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (idx, line) = lines.next().ok_or("holds no key: expected one line of base64")?;
    if let Some((extra, _)) = lines.next() {
        return Err(format!("line {}: a second key: one file holds one key", extra + 1));
    }
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let digits = line.strip_suffix('=').unwrap_or(line);
    if digits.len() != 43 || !digits.bytes().all(alphabet) || line.len() != 44 {
        return Err(format!("line {}: not 32 bytes in base64 (44 characters)", idx + 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_committed_key_and_knows_it_as_insecure() {
        let text = include_str!("../../image/keys/development.pub");
        check(text).unwrap();
        assert!(Trusted([("a.pub".to_owned(), text.to_owned())].into()).insecure());
    }

    #[test]
    fn rejects_what_is_not_one_key() {
        assert!(check("# nothing\n").unwrap_err().contains("no key"));
        assert!(check("AAAA\n").unwrap_err().starts_with("line 1"));
        let key = format!("{}=\n", "A".repeat(43));
        assert!(check(&key).is_ok());
        assert!(check(&format!("{key}{key}")).unwrap_err().starts_with("line 2"));
    }
}
