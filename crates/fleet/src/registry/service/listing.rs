//! Listings of units and states, in pages that show one revision.

use std::collections::BTreeMap;

use etcd_rpc::{KeyValue, Range};
use fleet_core::model::MachineId;
use fleet_core::name::UnitName;

use super::rows::{state_row, unit_row};
use super::{Service, unit_name};
use crate::api::{Error, Filter, Page, Token, Unit, UnitState};
use crate::registry::errors::{listing_error, read_error};
use crate::registry::{Key, PlaceValue, StateValue, UnitValue, from_json, get_all};

impl Service {
    /// Units by name, global ones among them: each kind's next page is merged with the other's.
    pub(super) async fn list_units(&self, from: Option<Token>) -> Result<Page<Unit>, Error> {
        let (after, revision) = split(from);
        let units = self.part(&self.keys.units(), after.as_deref(), revision).await?;
        let revision = units.revision;
        let globals = self.part(&self.keys.globals(), after.as_deref(), Some(revision)).await?;
        let has_more = units.has_more || globals.has_more;
        let mut all: BTreeMap<UnitName, (KeyValue, bool)> = BTreeMap::new();
        // A kind that has more must not be gone past: what comes behind its last row may be on its next page.
        let bound = [&units, &globals].into_iter().filter(|part| part.has_more).filter_map(Part::last).min();
        for (part, is_global) in [(&units, false), (&globals, true)] {
            for (name, kv) in &part.rows {
                if bound.is_none_or(|bound| name <= bound) {
                    all.entry(name.clone()).or_insert_with(|| (kv.clone(), is_global));
                }
            }
        }
        let page = usize::try_from(self.limits.page).unwrap_or(usize::MAX);
        let is_cut = all.len() > page;
        let all: Vec<(UnitName, (KeyValue, bool))> = all.into_iter().take(page).collect();
        let next = all.last().filter(|_| is_cut || has_more);
        let next = next.map(|(name, _)| Token { revision, after: name.to_string() });
        let placed: Vec<&UnitName> =
            all.iter().filter(|(_, (_, global))| !global).map(|(name, _)| name).collect();
        let places = self.places(&placed).await?;
        let reports = self.reports(&places).await?;
        let rows = all.iter().map(|(name, (kv, is_global))| {
            // One that cannot be read is listed by name, so that it can be replaced or destroyed.
            let unreadable =
                UnitValue { content: String::new(), desired: fleet_core::model::State::Inactive };
            let value = from_json::<UnitValue>(&kv.value).unwrap_or(unreadable);
            let report = reports.get(name).map(|state| &state.report);
            unit_row(name, value, *is_global, places.get(name), report)
        });
        Ok(Page { rows: rows.collect(), next })
    }

    /// States by machine and unit.
    pub(super) async fn list_states(
        &self,
        filter: Filter,
        from: Option<Token>,
    ) -> Result<Page<UnitState>, Error> {
        let unit = filter.unit.as_deref().map(unit_name).transpose()?;
        match (filter.machine, unit) {
            (machine, Some(unit)) => self.states_of_unit(machine, &unit).await,
            (machine, None) => {
                let prefix = match machine {
                    Some(machine) => self.keys.states_of(&MachineId(machine)),
                    None => self.keys.states(),
                };
                self.states_below(&prefix, from).await
            }
        }
    }

    async fn states_below(&self, prefix: &str, from: Option<Token>) -> Result<Page<UnitState>, Error> {
        let (after, revision) = split(from);
        let after = after.map(|after| format!("{}{after}", self.keys.states()));
        let range = Range { prefix: prefix.to_owned(), after, revision, limit: self.limits.page };
        let page = self.client.page(range).await.map_err(|err| listing_error(&err))?;
        let rows = page.kvs.iter().filter_map(|kv| self.state(kv)).collect();
        let states = self.keys.states();
        let next = page.more.as_deref().and_then(|more| more.strip_prefix(&states));
        let next = next.map(|after| Token { revision: page.revision, after: after.to_owned() });
        Ok(Page { rows, next })
    }

    fn state(&self, kv: &KeyValue) -> Option<UnitState> {
        let Some(Key::State(machine, unit)) = self.keys.parse(&kv.key) else { return None };
        Some(state_row(&machine, &unit, from_json::<StateValue>(&kv.value).ok()?.report))
    }

    /// All states of one unit: of its machine, or for a global unit of every machine that is alive.
    async fn states_of_unit(
        &self,
        machine: Option<String>,
        unit: &UnitName,
    ) -> Result<Page<UnitState>, Error> {
        let machines = match machine {
            Some(machine) => vec![MachineId(machine)],
            None => self.machines_of(unit).await?,
        };
        let keys: Vec<String> = machines.iter().map(|machine| self.keys.state(machine, unit)).collect();
        let rows = self.get_all(&keys).await?.iter().filter_map(|kv| self.state(kv)).collect();
        Ok(Page { rows, next: None })
    }

    async fn machines_of(&self, unit: &UnitName) -> Result<Vec<MachineId>, Error> {
        if let Some(machine) = self.places(&[unit]).await?.remove(unit) {
            return Ok(vec![machine]);
        }
        let prefix = self.keys.machines();
        let listing = self.client.list(&prefix).await.map_err(|err| read_error(&err))?;
        let machines = listing.kvs.iter().filter_map(|kv| match self.keys.parse(&kv.key) {
            Some(Key::Machine(machine)) => Some(machine),
            _ => None,
        });
        Ok(machines.collect())
    }

    /// Where units are.
    async fn places(&self, units: &[&UnitName]) -> Result<BTreeMap<UnitName, MachineId>, Error> {
        let keys: Vec<String> = units.iter().map(|unit| self.keys.place(unit)).collect();
        let found = self.get_all(&keys).await?;
        let places = found.iter().filter_map(|kv| match self.keys.parse(&kv.key)? {
            Key::Place(unit) => Some((unit, from_json::<PlaceValue>(&kv.value).ok()?.machine)),
            _ => None,
        });
        Ok(places.collect())
    }

    /// What the machines of units say of them.
    async fn reports(
        &self,
        places: &BTreeMap<UnitName, MachineId>,
    ) -> Result<BTreeMap<UnitName, StateValue>, Error> {
        let keys: Vec<String> = places.iter().map(|(unit, machine)| self.keys.state(machine, unit)).collect();
        let found = self.get_all(&keys).await?;
        let reports = found.iter().filter_map(|kv| match self.keys.parse(&kv.key)? {
            Key::State(_, unit) => Some((unit, from_json::<StateValue>(&kv.value).ok()?)),
            _ => None,
        });
        Ok(reports.collect())
    }

    /// Reads keys, and returns those that are there.
    async fn get_all(&self, keys: &[String]) -> Result<Vec<KeyValue>, Error> {
        let found = get_all(&self.client, keys).await.map_err(|err| read_error(&err))?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn part(&self, prefix: &str, after: Option<&str>, revision: Option<i64>) -> Result<Part, Error> {
        let after = after.map(|after| format!("{prefix}{after}"));
        let range = Range { prefix: prefix.to_owned(), after, revision, limit: self.limits.page };
        let page = self.client.page(range).await.map_err(|err| listing_error(&err))?;
        let rows = page.kvs.into_iter().filter_map(|kv| match self.keys.parse(&kv.key)? {
            Key::Unit(name) | Key::Global(name) => Some((name, kv)),
            _ => None,
        });
        Ok(Part { rows: rows.collect(), has_more: page.more.is_some(), revision: page.revision })
    }
}

/// The next rows of one kind.
struct Part {
    rows: BTreeMap<UnitName, KeyValue>,
    has_more: bool,
    revision: i64,
}

impl Part {
    fn last(&self) -> Option<&UnitName> {
        self.rows.last_key_value().map(|(name, _)| name)
    }
}

fn split(from: Option<Token>) -> (Option<String>, Option<i64>) {
    from.map_or((None, None), |token| (Some(token.after), Some(token.revision)))
}
