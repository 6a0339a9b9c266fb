//! The API on the registry: what users ask becomes transactions that hold or change nothing.
//!
//! What it costs does not grow with the cluster, except for listings and for `explain` and `rebalance`, which read all.

mod listing;
mod machines;
mod overview;
mod rows;
mod units;

use std::time::Duration;

use etcd_rpc::{Client, Compare, Op, Txn};
use fleet_core::engine::Settings;
use fleet_core::model::{Hold, MachineId};
use fleet_core::name::UnitName;

use super::errors::{read_error, write_error};
use super::{Keys, Marker, to_json};
use crate::api::{
    Api, Error, ErrorKind, Explanation, Filter, Look, Machine, MetadataChange, Move, Page, Put, Token, Unit,
    UnitState, Wish,
};

/// Number of the layout of keys and values.
const FORMAT: u32 = 1;
/// How often a change is tried again that somebody else's change came before.
const RACES_MAX: u32 = 16;
/// Pause after a lost race, times their number.
const RACE_PAUSE: Duration = Duration::from_millis(5);

/// How much is answered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a page (`token_limit`); 1 to 100.
    pub page: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { page: 100 }
    }
}

/// The API on the registry.
#[derive(Debug, Clone)]
pub struct Service {
    client: Client,
    keys: Keys,
    machine: MachineId,
    limits: Limits,
    settings: Settings,
}

impl Service {
    /// Answers from `client`'s store for the machine whose API is asked.
    pub fn new(client: Client, keys: Keys, machine: MachineId, limits: Limits, settings: Settings) -> Self {
        // As many keys as a page has rows are read with one transaction.
        let page = limits.page.clamp(1, 100);
        Self { client, keys, machine, limits: Limits { page }, settings }
    }

    /// Makes the registry's beginning if there is none: agents take nothing away where it is missing.
    ///
    /// # Errors
    /// When the store does not do as asked.
    pub async fn mark(&self) -> Result<(), Error> {
        let key = self.keys.marker();
        // A store that is full, or may only be read, refuses what could write although nothing is to be written.
        if self.client.get(&key).await.map_err(|err| read_error(&err))?.kv.is_some() {
            return Ok(());
        }
        let marker = to_json(&Marker { format: FORMAT, machine: self.machine.clone() });
        let txn = Txn::new().when(Compare::absent(&key)).then(Op::put(&key, marker));
        self.client.txn(txn).await.map(drop).map_err(|err| write_error(&err))
    }
}

fn unit_name(name: &str) -> Result<UnitName, Error> {
    UnitName::parse(name).map_err(|err| Error::new(ErrorKind::Invalid, err.to_string()))
}

fn no_unit(name: &UnitName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("unit {name} does not exist: fleetctl list-unit-files shows those that do"),
    )
}

impl Api for Service {
    async fn units(&self, from: Option<Token>) -> Result<Page<Unit>, Error> {
        self.list_units(from).await
    }

    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        self.one_unit(&unit_name(name)?).await
    }

    async fn put_unit(&self, name: &str, wish: Wish) -> Result<Put, Error> {
        self.wish_unit(&unit_name(name)?, &wish).await
    }

    async fn delete_unit(&self, name: &str) -> Result<(), Error> {
        self.destroy_unit(&unit_name(name)?).await
    }

    async fn states(&self, filter: Filter, from: Option<Token>) -> Result<Page<UnitState>, Error> {
        self.list_states(filter, from).await
    }

    async fn machines(&self, from: Option<Token>) -> Result<Page<Machine>, Error> {
        self.list_machines(from).await
    }

    async fn change_metadata(&self, changes: Vec<MetadataChange>) -> Result<(), Error> {
        self.overlay(&changes).await
    }

    async fn hold(&self, machine: &str, hold: Hold) -> Result<(), Error> {
        self.hold_machine(&MachineId(machine.to_owned()), hold).await
    }

    async fn explain(&self, name: &str) -> Result<Explanation, Error> {
        self.explain_unit(&unit_name(name)?).await
    }

    async fn rebalance(&self, look: Look) -> Result<Vec<Move>, Error> {
        self.even_load(look).await
    }
}
