//! The public keys that an image trusts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use payload::PublicKey;

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
            PublicKey::parse(&text).with_context(|| path.display().to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = include_str!("../../image/keys/development.pub");

    fn check(text: &str) -> Result<PublicKey, String> {
        PublicKey::parse(text).map_err(|err| err.to_string())
    }

    #[test]
    fn accepts_the_committed_key_and_knows_it_as_insecure() {
        check(COMMITTED).unwrap();
        assert!(Trusted([("a.pub".to_owned(), COMMITTED.to_owned())].into()).insecure());
    }

    #[test]
    fn rejects_what_is_not_one_key() {
        assert!(check("# nothing\n").unwrap_err().contains("no key"));
        assert!(check("AAAA\n").unwrap_err().starts_with("line 1"));
        let key = COMMITTED.lines().last().unwrap();
        assert!(check(key).is_ok());
        assert!(check(&format!("{key}\n{key}\n")).unwrap_err().starts_with("line 2"));
        // Of the right length, and a point that anybody could sign for.
        assert!(check(&format!("{}=\n", "A".repeat(43))).unwrap_err().contains("no usable ed25519"));
    }
}
