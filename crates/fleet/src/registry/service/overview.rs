//! What takes a look at everything: why a unit is where it is, and which moves would even the load out.

use etcd_rpc::Op;
use etcd_rpc::Txn;
use fleet_core::engine::{self, Told};
use fleet_core::moment::Moment;
use fleet_core::name::UnitName;

use super::{Service, no_unit};
use crate::api::{Error, Explanation, Look, Lost, Move};
use crate::registry::errors::{read_error, write_error};
use crate::registry::{RebalanceValue, Sight, to_json};

/// A listing is one moment: for how long machines were lost before it, only the engine knows, and tells below `lost/`.
const NOW: Moment = Moment(0);

impl Service {
    async fn look(&self) -> Result<Sight, Error> {
        let listing = self.client.list(self.keys.all()).await.map_err(|err| read_error(&err))?;
        let mut sight = Sight::new(self.keys.clone(), self.settings);
        sight.replace(&listing.kvs, listing.revision);
        sight.snapshot.observe(NOW);
        Ok(sight)
    }

    pub(super) async fn explain_unit(&self, name: &UnitName) -> Result<Explanation, Error> {
        let sight = self.look().await?;
        let explained = engine::explain(&sight.snapshot, name, NOW).ok_or_else(|| no_unit(name))?;
        let machines = explained.machines.into_iter().map(|(machine, objections)| {
            (machine.to_string(), objections.iter().map(ToString::to_string).collect())
        });
        let lost = explained.lost.map(|(machine, Told { since, moves, mass })| Lost {
            machine_id: machine.to_string(),
            since,
            moves,
            mass,
        });
        Ok(Explanation { summary: explained.summary, machines: machines.collect(), lost })
    }

    pub(super) async fn even_load(&self, look: Look) -> Result<Vec<Move>, Error> {
        let sight = self.look().await?;
        let moves = engine::rebalance(&sight.snapshot, NOW);
        if look == Look::AndDo && !moves.is_empty() {
            let value = to_json(&RebalanceValue { machine: self.machine.clone() });
            let txn = Txn::new().then(Op::put(&self.keys.rebalance(), value));
            self.client.txn(txn).await.map_err(|err| write_error(&err))?;
        }
        let own = |moved: engine::Move| Move {
            unit: moved.unit.to_string(),
            from: moved.from.to_string(),
            to: moved.to.to_string(),
        };
        Ok(moves.into_iter().map(own).collect())
    }
}
