//! Machines: listed, their metadata overlaid, held.

use std::collections::BTreeMap;

use etcd_rpc::{Compare, KeyValue, OPS_MAX, Op, Range, Txn};
use fleet_core::engine::Seen;
use fleet_core::model::{Hold, MachineId};

use super::Service;
use crate::api::{Error, ErrorKind, Machine, MetadataChange, Page, Token};
use crate::registry::errors::{listing_error, read_error, write_error};
use crate::registry::understood::MachineKeys;
use crate::registry::{HoldValue, Key, MetaValue, to_json};

impl Service {
    pub(super) async fn list_machines(&self, from: Option<Token>) -> Result<Page<Machine>, Error> {
        let prefix = self.keys.machines();
        let (after, revision) = from
            .map_or((None, None), |token| (Some(format!("{prefix}{}", token.after)), Some(token.revision)));
        let range = Range { prefix: prefix.clone(), after, revision, limit: self.limits.page };
        let page = self.client.page(range).await.map_err(|err| listing_error(&err))?;
        let mut machines: BTreeMap<MachineId, MachineKeys> = BTreeMap::new();
        for kv in page.kvs {
            if let Some(Key::Machine(id)) = self.keys.parse(&kv.key) {
                machines.entry(id).or_default().machine = Some(kv.value);
            }
        }
        // Few machines are overlaid or held, so all of that is read.
        for kv in self.below(&self.keys.metas()).await? {
            if let Some(Key::Meta(id, key)) = self.keys.parse(&kv.key)
                && let Some(keys) = machines.get_mut(&id)
            {
                keys.metas.insert(key, kv.value);
            }
        }
        for kv in self.below(&self.keys.holds()).await? {
            if let Some(Key::Hold(id)) = self.keys.parse(&kv.key)
                && let Some(keys) = machines.get_mut(&id)
            {
                keys.hold = Some(kv.value);
            }
        }
        let rows = machines.iter().filter_map(|(id, keys)| Some(row(id, keys.seen(id)?))).collect();
        let next = page.more.as_deref().and_then(|more| more.strip_prefix(&prefix));
        let next = next.map(|after| Token { revision: page.revision, after: after.to_owned() });
        Ok(Page { rows, next })
    }

    async fn below(&self, prefix: &str) -> Result<Vec<KeyValue>, Error> {
        self.client.list(prefix).await.map(|listing| listing.kvs).map_err(|err| read_error(&err))
    }

    pub(super) async fn overlay(&self, changes: &[MetadataChange]) -> Result<(), Error> {
        // A transaction writes a key once: of several changes of one the last one counts.
        let mut last: BTreeMap<String, Option<&str>> = BTreeMap::new();
        for MetadataChange { machine, key, value } in changes {
            if machine.is_empty() || machine.contains('/') || key.is_empty() || key.contains('/') {
                let text =
                    format!("metadata {key:?} of machine {machine:?}: neither may be empty or have a slash");
                return Err(Error::new(ErrorKind::Invalid, text));
            }
            last.insert(self.keys.meta(&MachineId(machine.clone()), key), value.as_deref());
        }
        if last.len() > OPS_MAX {
            let text = format!("{} changes at once: {OPS_MAX} at most are all made or none", last.len());
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let txn = last.iter().fold(Txn::new(), |txn, (key, value)| {
            txn.then(match value {
                Some(value) => Op::put(key, to_json(&MetaValue { value: (*value).to_owned() })),
                None => Op::delete(key),
            })
        });
        self.client.txn(txn).await.map(drop).map_err(|err| write_error(&err))
    }

    pub(super) async fn hold_machine(&self, machine: &MachineId, hold: Hold) -> Result<(), Error> {
        let key = self.keys.hold(machine);
        let txn = match hold {
            Hold::None => Txn::new().then(Op::delete(&key)),
            hold => Txn::new()
                .when(Compare::exists(&self.keys.machine(machine)))
                .then(Op::put(&key, to_json(&HoldValue { hold }))),
        };
        let outcome = self.client.txn(txn).await.map_err(|err| write_error(&err))?;
        if outcome.succeeded {
            return Ok(());
        }
        let text = format!(
            "machine {machine} is not in the cluster: fleetctl list-machines --full shows those that are"
        );
        Err(Error::new(ErrorKind::NotFound, text))
    }
}

fn row(id: &MachineId, seen: Seen) -> Machine {
    let id = id.to_string();
    match seen {
        Seen::Known(machine) => {
            let hold = match machine.hold {
                Hold::None => None,
                Hold::Cordoned => Some("cordoned".to_owned()),
                Hold::Draining => Some("draining".to_owned()),
            };
            Machine { id, primary_ip: machine.ip, metadata: machine.metadata, hold }
        }
        Seen::Frozen => Machine { id, primary_ip: String::new(), metadata: BTreeMap::new(), hold: None },
    }
}
