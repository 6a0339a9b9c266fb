//! Where units are that this machine still has and is not to have: looked up while there are any, and not otherwise.

use std::collections::BTreeMap;

use etcd_rpc::{Answer, Client, Error, Op, Txn};
use fleet_core::agent::Elsewhere;
use fleet_core::model::MachineId;
use fleet_core::name::UnitName;

use super::settings::Settings;
use super::wire::{Keys, reported};

/// Which machine has the entry of a unit.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: BTreeMap<UnitName, MachineId>,
}

impl Places {
    /// Looks up where `units` are. All entries are read once; after that, only those units' entries and reports.
    pub(super) async fn look(
        &mut self,
        client: &Client,
        settings: &Settings,
        units: &[UnitName],
    ) -> Result<BTreeMap<UnitName, Elsewhere>, Error> {
        let keys = Keys::new(&settings.prefix);
        self.known.retain(|unit, _| units.contains(unit));
        if units.iter().any(|unit| !self.known.contains_key(unit)) {
            for kv in client.list(&keys.schedule()).await?.kvs {
                if let Some((machine, unit)) = keys.machine_and_unit_of(&kv.key)
                    && machine != settings.machine
                    && units.contains(&unit)
                {
                    self.known.insert(unit, machine);
                }
            }
        }
        let mut found = BTreeMap::new();
        for unit in units {
            let Some(machine) = self.known.get(unit) else {
                found.insert(unit.clone(), Elsewhere::of(None));
                continue;
            };
            let txn = Txn::new().then(Op::get(&keys.entry(machine, unit)));
            let txn = txn.then(Op::get(&keys.state(machine, unit)));
            let answers = client.txn(txn).await?.answers;
            let [Answer::Got(Some(_)), Answer::Got(report)] = answers.as_slice() else {
                // It went on to a third machine, or nowhere: the next look finds out which.
                self.known.remove(unit);
                found.insert(unit.clone(), Elsewhere::Coming);
                continue;
            };
            // A report that is not understood is none: the unit stays until the grace has ended.
            let report = report.as_ref().and_then(|kv| reported(&kv.value)).map(|reported| reported.report);
            found.insert(unit.clone(), Elsewhere::of(Some(report.as_ref())));
        }
        Ok(found)
    }
}
