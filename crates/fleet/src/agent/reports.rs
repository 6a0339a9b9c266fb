//! The reports of this machine's units in the store: put when they change, on the machine's lease.

use std::collections::BTreeMap;

use etcd_rpc::{Client, Compare, Op, Txn};
use fleet_core::engine::Reported;
use fleet_core::name::UnitName;

use super::records::Records;
use super::settings::Settings;
use super::standing::Membership;
use crate::registry::{StateValue, to_json};

/// How many reports one transaction changes.
const IN_ONE: usize = 100;

/// Why reports are not in the store as they should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The store.
    #[error("reporting units: {0}")]
    Store(#[from] etcd_rpc::Error),
    /// The machine's key is not the one that the reports belong to.
    #[error("reporting units: this machine's key has changed; the next report waits until it is there again")]
    Changed,
}

impl Error {
    /// Whether it is not known any more what is in the store, so that the machine's key is to be written again.
    pub(super) fn leaves_doubt(&self) -> bool {
        match self {
            Self::Store(err) => err.is_outcome_unknown(),
            Self::Changed => true,
        }
    }
}

/// What is in the store, as far as that is known.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// On which lease, and the values by key; not known at first and after an outcome that is not.
    there: Option<(i64, BTreeMap<String, Vec<u8>>)>,
}

impl Reports {
    /// Makes the store say what `wanted` says, and nothing more of this machine.
    ///
    /// # Errors
    /// When that failed; what is there is then looked at again the next time.
    pub(super) async fn bring(
        &mut self,
        client: &Client,
        settings: &Settings,
        membership: &Membership,
        wanted: &BTreeMap<UnitName, Reported>,
        records: &Records,
    ) -> Result<(), Error> {
        let keys = &settings.keys;
        let lease = membership.lease;
        let mut there = match self.there.take() {
            Some((known, there)) if known == lease.0 => there,
            // Those on another lease end with it, so they are as good as not there.
            _ => {
                let listing = client.list(&keys.states_of(&settings.machine)).await?;
                let ours = listing.kvs.into_iter().filter(|kv| kv.lease == lease.0);
                ours.map(|kv| (kv.key, kv.value)).collect()
            }
        };
        let mut values = BTreeMap::new();
        for (unit, reported) in wanted {
            let value = StateValue { report: reported.report.clone(), entry: reported.entry };
            values.insert(keys.state(&settings.machine, unit), to_json(&value));
        }
        let changes = changes(&there, &values);
        for some in changes.chunks(IN_ONE) {
            let machine = keys.machine(&settings.machine);
            let mut txn = Txn::new().when(Compare::mod_revision(&machine, membership.modification));
            for change in some {
                txn = txn.then(match change {
                    (key, Some(value)) => Op::put_with_lease(key, value.clone(), lease),
                    (key, None) => Op::delete(key),
                });
            }
            if !client.txn(txn).await?.succeeded {
                return Err(Error::Changed);
            }
            for (key, value) in some {
                records.reported(value.as_deref());
                match value {
                    Some(value) => there.insert(key.clone(), value.clone()),
                    None => there.remove(key),
                };
            }
        }
        self.there = Some((lease.0, there));
        Ok(())
    }
}

/// What turns `there` into `wanted`: a new value of a key, or none to delete it.
fn changes(
    there: &BTreeMap<String, Vec<u8>>,
    wanted: &BTreeMap<String, Vec<u8>>,
) -> Vec<(String, Option<Vec<u8>>)> {
    let put = wanted.iter().filter(|(key, value)| there.get(*key) != Some(value));
    let put = put.map(|(key, value)| (key.clone(), Some(value.clone())));
    let gone = there.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), None));
    put.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(of: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        of.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        let there = values(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let wanted = values(&[("a", "1"), ("b", "2"), ("d", "1")]);
        let changes = changes(&there, &wanted);
        let changes: Vec<_> = changes.iter().map(|(key, value)| (key.as_str(), value.is_some())).collect();
        assert_eq!(changes, [("b", true), ("d", true), ("c", false)]);
    }

    #[test]
    fn what_is_as_it_should_be_writes_nothing() {
        let there = values(&[("a", "1")]);
        assert!(changes(&there, &there).is_empty());
    }
}
