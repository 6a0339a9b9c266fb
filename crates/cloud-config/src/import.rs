//! Keys that are elsewhere: fetched, and taken only if every one of them is a key.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent_support::host::Host;
use anyhow::{Context, bail, ensure};
use http_get::{Getter, Limits, Url};
use serde::Deserialize;

use crate::ssh_key;

/// What servers are told of who asks.
pub const NAME: &str = concat!("slipway-cloudinit/", env!("CARGO_PKG_VERSION"));
/// Keys of one set.
const KEYS_MAX: usize = 1000;

/// Fetches keys, all of a run within one time.
#[derive(Debug)]
pub struct Importer {
    root: PathBuf,
    time: Duration,
    /// When that time ends; it begins with the first import.
    end: Option<Instant>,
}

impl Importer {
    /// Fetches for the machine at `root`, and for no longer than `time` in all.
    pub fn new(root: &Path, time: Duration) -> Self {
        Self { root: root.to_owned(), time, end: None }
    }

    /// Fetches a set of keys.
    pub fn fetch(&mut self, url: &str) -> anyhow::Result<Vec<String>> {
        let end = *self.end.get_or_insert_with(|| Instant::now() + self.time);
        let getter = Getter::new(&Host::new(self.root.clone()), NAME, Limits::default())?;
        let bytes = getter.get(&Url::parse(url)?, &[("Accept", "application/json, text/plain")], end)?;
        parse(&bytes).with_context(|| format!("reading the keys of {url}"))
    }
}

/// A key as GitHub gives it; its id is of no use here.
#[derive(Debug, Deserialize)]
struct Wire {
    key: String,
}

/// Reads keys: a JSON array of objects with a `key` each, or lines of `authorized_keys`.
///
/// An empty array is an answer: all keys were taken back. An empty text is none: somebody answered with nothing.
pub fn parse(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    let text = std::str::from_utf8(bytes).context("they are no text")?.trim();
    let keys: Vec<String> = if text.starts_with('[') {
        let wire: Vec<Wire> = serde_json::from_str(text).context("parsing JSON")?;
        wire.into_iter().flat_map(|wire| ssh_key::lines(&wire.key).collect::<Vec<_>>()).collect()
    } else {
        let keys: Vec<_> = ssh_key::lines(text).filter(|line| !line.starts_with('#')).collect();
        ensure!(!keys.is_empty(), "there is none");
        keys
    };
    ensure!(keys.len() <= KEYS_MAX, "there are {}, more than {KEYS_MAX}", keys.len());
    if let Some(at) = keys.iter().position(|key| ssh_key::identity(key).is_none()) {
        bail!("number {} is no key", at + 1);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn github_and_plain_text_give_the_same_keys() {
        let json = format!(r#" [{{"id": 1, "key": "{KEY}"}}, {{"id": 2, "key": "{KEY} me"}}]"#);
        let expected = [KEY.to_owned(), format!("{KEY} me")];
        assert_eq!(parse(json.as_bytes()).unwrap(), expected);
        assert_eq!(parse(format!("# two\n{KEY}\n\n{KEY} me\r\n").as_bytes()).unwrap(), expected);
        assert_eq!(parse(b"[]").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn one_that_is_no_key_takes_all_away() {
        for (wrong, why) in [
            (&b""[..], "there is none"),
            (b"<html>", "number 1 is no key"),
            (b"[{\"id\": 1}]", "parsing JSON"),
            (b"[{\"key\": \"x\"}]", "number 1 is no key"),
            (b"\xff", "they are no text"),
        ] {
            assert_eq!(parse(wrong).unwrap_err().to_string(), why);
        }
        assert!(parse(format!("{KEY}\n").repeat(KEYS_MAX + 1).as_bytes()).is_err());
    }
}
