//! What names an image: fixed identifiers derived from the product's name, and the texts sealed in `/usr`.

use disk_image::Uuid;
use sha2::{Digest as _, Sha256};

/// 32 bytes that depend on product and purpose only.
pub fn bytes(product: &str, purpose: &str) -> [u8; 32] {
    Sha256::digest(format!("{product}\0{purpose}\0identity 1")).into()
}

/// A UUID (version 8, RFC 9562) that depends on product and purpose only. A machine replaces those of its
/// disk when it first starts.
pub fn uuid(product: &str, purpose: &str) -> Uuid {
    let mut short = [0; 16];
    short.copy_from_slice(&bytes(product, purpose)[..16]);
    uuid_v8(short)
}

fn uuid_v8(mut bytes: [u8; 16]) -> Uuid {
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

/// A FAT volume serial.
pub fn fat_serial(product: &str, purpose: &str) -> u32 {
    let bytes = bytes(product, purpose);
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Text of os-release(5).
pub fn os_release(product: &str, version: &slots::Version) -> String {
    let name = capitalized(product);
    format!(
        "NAME=\"{name}\"\nID={product}\nID_LIKE=debian\nPRETTY_NAME=\"{name} {version}\"\nVERSION=\"{version}\"\n\
         VERSION_ID=\"{version}\"\nIMAGE_ID={product}\nIMAGE_VERSION=\"{version}\"\nDEFAULT_HOSTNAME={product}\n"
    )
}

/// Text of `/usr/lib/<product>/image.json`, which the agents read.
pub fn image_json(product: &str, version: &slots::Version, epoch: u64) -> anyhow::Result<String> {
    let value = serde_json::json!({
        "product": product,
        "version": version.to_string(),
        "disk_guid": uuid(product, "disk").to_string(),
        "build_time": epoch,
    });
    Ok(format!("{value:#}\n"))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_by_purpose_and_stay_for_ever() {
        assert_ne!(uuid("slipway", "disk"), uuid("slipway", "esp"));
        // A machine knows a plain copy of the image by this value: it must never change.
        assert_eq!(uuid("slipway", "disk").to_string(), "76b95fa7-0cce-8a28-b965-1a5b64dc5f8c");
    }

    #[test]
    fn os_release_names_product_and_version() {
        let text = os_release("slipway", &"1.2.3".parse().unwrap());
        assert!(text.contains("PRETTY_NAME=\"Slipway 1.2.3\"\n"), "{text}");
    }
}
