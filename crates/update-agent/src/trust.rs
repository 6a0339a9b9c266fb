//! The keys that this machine trusts, and those that it no longer does.

use std::collections::BTreeSet;

use agent_support::host::Host;
use anyhow::Context;
use payload::{KeyId, PublicKey, Trust};

use crate::files;
use crate::state::State;

/// Returns the keys of `/usr`, without those that it or the state lists as retired.
pub fn load(host: &Host, state: &State) -> anyhow::Result<Trust> {
    let mut keys = Vec::new();
    for name in host.list(files::KEYS_DIR)?.into_iter().filter(|name| name.ends_with(".pub")) {
        let path = format!("{}/{name}", files::KEYS_DIR);
        let text = host.read(&path)?.unwrap_or_default();
        keys.push(PublicKey::parse(&text).with_context(|| format!("reading the key {path}"))?);
    }
    let retired = retired_in_usr(host)?.into_iter().chain(state.retired.iter().copied());
    let trust = Trust::new(keys, retired);
    anyhow::ensure!(
        trust.trusted().next().is_some(),
        "no key in {} is trusted: this image takes no updates; install one that was built with a key",
        files::KEYS_DIR
    );
    Ok(trust)
}

/// Returns the keys that `/usr` lists as retired.
pub fn retired_in_usr(host: &Host) -> anyhow::Result<BTreeSet<KeyId>> {
    let path = files::RETIRED_FILE;
    let text = host.read(path)?.unwrap_or_default();
    payload::parse_retired(&text).with_context(|| format!("reading {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use payload::SecretKey;

    fn tree(seeds: &[u8]) -> Tree {
        let tree = Tree::new();
        for seed in seeds {
            let text = SecretKey::from_seed([*seed; 32]).public().to_file("a test");
            tree.file(&format!("{}/{seed}.pub", files::KEYS_DIR), text);
        }
        tree
    }

    fn id(seed: u8) -> KeyId {
        SecretKey::from_seed([seed; 32]).public().id()
    }

    #[test]
    fn keys_retired_in_usr_or_state_do_not_count() {
        let tree = tree(&[1, 2, 3]);
        tree.file(files::RETIRED_FILE, format!("# lost\n\n{}\n", id(1)));
        let state = State { retired: [id(2)].into(), ..State::default() };
        let trusted: Vec<_> = load(&tree.host, &state).unwrap().trusted().collect();
        assert_eq!(trusted, [id(3)]);
    }

    #[test]
    fn no_trusted_key_at_all_is_an_error() {
        let state = State { retired: [id(1)].into(), ..State::default() };
        for tree in [tree(&[]), tree(&[1])] {
            let err = load(&tree.host, &state).unwrap_err().to_string();
            assert!(err.contains("takes no updates"), "{err}");
        }
    }

    #[test]
    fn an_unreadable_key_or_id_fails_closed() {
        let broken_key = tree(&[1]);
        broken_key.file("/usr/lib/slipway/keys/x.pub", "AAAA\n");
        let err = format!("{:#}", load(&broken_key.host, &State::default()).unwrap_err());
        assert!(err.starts_with("reading the key /usr/lib/slipway/keys/x.pub: line 1"), "{err}");
        let broken_id = tree(&[1]);
        broken_id.file(files::RETIRED_FILE, "# a\nABC\n");
        let err = format!("{:#}", load(&broken_id.host, &State::default()).unwrap_err());
        assert!(err.starts_with("reading /usr/lib/slipway/keys/retired: line 2: no key id"), "{err}");
    }
}
