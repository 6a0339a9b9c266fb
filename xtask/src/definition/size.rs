//! Lengths as people write them in the image definition.

use serde::Deserialize;

/// A length in bytes, written as `N MiB` or `N GiB`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (number, unit) = text.split_once(' ').unwrap_or((&text, ""));
        let shift = match unit {
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(format!("size `{text}`: write it as `512 MiB` or `4 GiB`")),
        };
        number
            .parse::<u64>()
            .ok()
            .filter(|number| *number > 0)
            .and_then(|number| number.checked_mul(1 << shift))
            .map(Size)
            .ok_or_else(|| format!("size `{text}`: `{number}` is not a whole number above 0 that fits"))
    }
}
