//! The folder of keys: which public keys an image trusts, which are retired, which secret keys sign.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use payload::{KeyId, PublicKey, SecretKey, Trust};

use crate::ctx::Ctx;

/// Mark of the committed pair, in a comment of its files.
const INSECURE: &str = "INSECURE";
/// The public half of the committed pair, which is known without its comment too.
const DEVELOPMENT: &str = include_str!("../../image/keys/development.pub");
/// Name of the file that lists retired keys, in the folder and in `/usr`.
pub const RETIRED: &str = "retired";

/// What a folder of keys holds. Exists only if at least one key is trusted.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Public keys by file name.
    pub public: BTreeMap<String, Key>,
    /// Ids of the keys that are no longer trusted.
    pub retired: BTreeSet<KeyId>,
    /// Secret keys that sign, by id.
    pub signing: BTreeMap<KeyId, SecretKey>,
    /// What goes into `/usr`: file name to text.
    pub files: BTreeMap<String, String>,
}

/// A public key and what is known of it.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub key: PublicKey,
    /// Whether everybody has its secret half.
    pub insecure: bool,
}

impl Keys {
    /// Reads the folder, by default that of the committed development pair.
    pub fn read(ctx: &Ctx, dir: Option<&Path>) -> anyhow::Result<Self> {
        Self::read_dir(&folder(ctx, dir)?)
    }

    /// Reads every `*.pub` and `*.key` of the folder, and its list of retired keys.
    pub fn read_dir(dir: &Path) -> anyhow::Result<Self> {
        let mut keys = Self { public: [].into(), retired: [].into(), signing: [].into(), files: [].into() };
        let mut secret = BTreeMap::new();
        for (name, path) in crate::hash::sorted_dir(dir).context("reading the keys (`--keys`)")? {
            if name == RETIRED {
                let text = read(&path)?;
                keys.retired = payload::parse_retired(&text).with_context(|| path.display().to_string())?;
                keys.files.insert(name, text);
            } else if name.ends_with(".pub") {
                let text = read(&path)?;
                keys.public.insert(name.clone(), parse_public(&path, &text)?);
                keys.files.insert(name, text);
            } else if name.ends_with(".key") {
                let key = parse_secret(&path)?;
                let id = key.public().id();
                if let Some((other, _)) = secret.insert(id, (name.clone(), key)) {
                    anyhow::bail!("{other} and {name} in {} are the same key: remove one", dir.display());
                }
            }
        }
        anyhow::ensure!(
            !keys.public.is_empty(),
            "{} holds no *.pub file: no update could be trusted",
            dir.display()
        );
        anyhow::ensure!(
            keys.trusted().next().is_some(),
            "every key in {} is retired: no update could be trusted",
            dir.display()
        );
        secret.retain(|id, _| !keys.retired.contains(id));
        keys.signing = secret.into_iter().map(|(id, (_, key))| (id, key)).collect();
        Ok(keys)
    }

    /// The keys that a signature counts of.
    pub fn trusted(&self) -> impl Iterator<Item = &Key> {
        self.public.values().filter(|key| !self.retired.contains(&key.key.id()))
    }

    /// What signatures are checked against.
    pub fn trust(&self) -> Trust {
        Trust::new(self.public.values().map(|key| key.key), self.retired.iter().copied())
    }

    /// The secret keys in the order of their ids: the same keys give the same bytes.
    pub fn signing(&self) -> Vec<SecretKey> {
        self.signing.values().cloned().collect()
    }

    /// Whether one of the trusted keys is the committed development key.
    pub fn insecure(&self) -> bool {
        self.trusted().any(|key| key.insecure)
    }
}

/// The folder asked for, or that of the committed development pair.
pub fn folder(ctx: &Ctx, dir: Option<&Path>) -> anyhow::Result<PathBuf> {
    match dir {
        Some(dir) => std::path::absolute(dir).context("resolving --keys"),
        None => Ok(ctx.image_dir().join("keys")),
    }
}

/// Reads the public half of a `*.pub` or `*.key` file.
pub fn public_of(path: &Path) -> anyhow::Result<Key> {
    if path.extension().is_some_and(|end| end == "pub") {
        return parse_public(path, &read(path)?);
    }
    Ok(known(parse_secret(path)?.public(), ""))
}

fn parse_public(path: &Path, text: &str) -> anyhow::Result<Key> {
    let key = PublicKey::parse(text).with_context(|| path.display().to_string())?;
    Ok(known(key, text))
}

fn parse_secret(path: &Path) -> anyhow::Result<SecretKey> {
    SecretKey::parse(&read(path)?).with_context(|| path.display().to_string())
}

fn known(key: PublicKey, text: &str) -> Key {
    let is_marked = text.lines().any(|line| line.starts_with('#') && line.contains(INSECURE));
    let is_committed = PublicKey::parse(DEVELOPMENT).is_ok_and(|committed| committed == key);
    Key { key, insecure: is_marked || is_committed }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these pairs; the number of each is its seed.
    fn folder_of(pairs: &[(&str, u8)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, seed) in pairs {
            let key = SecretKey::from_seed([*seed; 32]);
            fs::write(dir.path().join(format!("{name}.key")), key.to_file("test")).unwrap();
            fs::write(dir.path().join(format!("{name}.pub")), key.public().to_file("test")).unwrap();
        }
        dir
    }

    fn id(seed: u8) -> KeyId {
        SecretKey::from_seed([seed; 32]).public().id()
    }

    #[test]
    fn the_committed_key_is_insecure_with_and_without_its_comment() {
        let dir = tempfile::tempdir().unwrap();
        let bare = DEVELOPMENT.lines().last().unwrap();
        for text in [DEVELOPMENT, bare] {
            fs::write(dir.path().join("a.pub"), text).unwrap();
            assert!(Keys::read_dir(dir.path()).unwrap().insecure());
        }
        assert!(!Keys::read_dir(folder_of(&[("a", 1)]).path()).unwrap().insecure());
    }

    #[test]
    fn retired_keys_are_baked_but_neither_trusted_nor_signing() {
        let dir = folder_of(&[("a", 1), ("b", 2)]);
        fs::write(dir.path().join(RETIRED), format!("# stolen\n\n{}\n", id(1))).unwrap();
        let keys = Keys::read_dir(dir.path()).unwrap();
        assert_eq!(keys.trusted().map(|key| key.key.id()).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(keys.signing.keys().copied().collect::<Vec<_>>(), [id(2)]);
        assert_eq!(keys.files.keys().map(String::as_str).collect::<Vec<_>>(), ["a.pub", "b.pub", RETIRED]);
        assert!(keys.files.values().all(|text| !text.contains("seed")), "a secret key would be baked");
    }

    #[test]
    fn rejects_folders_that_trust_nothing() {
        let error = |dir: &tempfile::TempDir| format!("{:#}", Keys::read_dir(dir.path()).unwrap_err());
        assert!(error(&folder_of(&[])).contains("no *.pub file"));
        let dir = folder_of(&[("a", 1)]);
        fs::write(dir.path().join(RETIRED), id(1).to_string()).unwrap();
        assert!(error(&dir).contains("every key"));
        fs::write(dir.path().join(RETIRED), "# fine\nnonsense\n").unwrap();
        assert!(error(&dir).contains("line 2: no key id"), "{}", error(&dir));
    }

    #[test]
    fn rejects_one_key_in_two_files_and_files_with_two_keys() {
        let dir = folder_of(&[("a", 1), ("b", 1)]);
        let error = Keys::read_dir(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("a.key and b.key in "), "{error}");
        let dir = folder_of(&[("a", 1)]);
        let text = fs::read_to_string(dir.path().join("a.pub")).unwrap();
        fs::write(dir.path().join("a.pub"), format!("{text}{text}")).unwrap();
        assert!(format!("{:#}", Keys::read_dir(dir.path()).unwrap_err()).contains("one file holds one key"));
    }
}
