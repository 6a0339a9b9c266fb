//! A fleet in memory that behaves as [`Api`] documents, for tests of what asks one.
//!
//! It keeps all revisions, so its pages show one as those of a registry do. Nobody acts in it unless it is
//! [`Engine::Obedient`]: then every wish comes true at once.

mod pages;
mod rows;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_core::model::Hold;

use self::rows::Rows;
use super::{
    Api, Error, ErrorKind, Explanation, Filter, Look, Machine, MetadataChange, Move, Page, Put, Token, Unit,
    UnitState, Wish,
};

/// A fleet in memory.
#[derive(Debug, Default)]
pub struct Fake(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// All revisions that are kept; the last one is what is now.
    history: BTreeMap<i64, Arc<Rows>>,
    page_rows: usize,
    engine: Engine,
    trouble: Option<Error>,
    delay: Duration,
    asked: usize,
    moves: Vec<Move>,
    rebalances: usize,
}

/// Whether wishes come true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// Nobody acts: tests place units and report states.
    #[default]
    Away,
    /// Units are placed and reported at once, on the machine with the fewest.
    Obedient,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            history: BTreeMap::from([(1, Arc::default())]),
            page_rows: 100,
            engine: Engine::default(),
            trouble: None,
            delay: Duration::ZERO,
            asked: 0,
            moves: Vec::new(),
            rebalances: 0,
        }
    }
}

impl Fake {
    /// Makes an empty fleet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a fleet whose wishes come true, with one machine for each id.
    pub fn obedient(machines: &[&str]) -> Self {
        let fake = Self::new();
        fake.lock().engine = Engine::Obedient;
        for (id, last) in machines.iter().zip(1..) {
            let machine = Machine {
                id: (*id).to_owned(),
                primary_ip: format!("10.0.0.{last}"),
                metadata: BTreeMap::new(),
                hold: None,
            };
            fake.add_machine(machine);
        }
        fake
    }

    /// Says whether wishes come true from now on.
    pub fn set_engine(&self, engine: Engine) {
        self.lock().engine = engine;
    }

    /// Sets how many rows a page has.
    pub fn set_page_rows(&self, rows: usize) {
        self.lock().page_rows = rows;
    }

    /// Lets every answer be this error, until it is none.
    pub fn set_trouble(&self, trouble: Option<Error>) {
        self.lock().trouble = trouble;
    }

    /// Lets every answer take as long.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Sets what a rebalance moves.
    pub fn set_moves(&self, moves: Vec<Move>) {
        self.lock().moves = moves;
    }

    /// Returns how often a rebalance was asked for, not counting those that only looked.
    pub fn rebalances(&self) -> usize {
        self.lock().rebalances
    }

    /// Adds a machine, or replaces it.
    pub fn add_machine(&self, machine: Machine) {
        self.lock().change(|rows| {
            rows.machines.insert(machine.id.clone(), machine);
        });
    }

    /// Loses a machine with all that it reported; what was placed there stays so.
    pub fn remove_machine(&self, id: &str) {
        self.lock().change(|rows| {
            rows.machines.remove(id);
            rows.reports.retain(|(_, machine), _| machine != id);
        });
    }

    /// Places a unit.
    pub fn place(&self, unit: &str, machine: &str) {
        self.lock().change(|rows| {
            rows.placed.insert(unit.to_owned(), machine.to_owned());
        });
    }

    /// Reports a state; a unit that is active counts as started.
    pub fn report(&self, state: UnitState) {
        self.lock().change(|rows| {
            rows.reports.insert((state.name.clone(), state.machine_id.clone()), state);
        });
    }

    /// Returns how often it was asked something, answered or not.
    pub fn asked(&self) -> usize {
        self.lock().asked
    }

    /// Forgets all revisions but the newest, as etcd does when it compacts.
    pub fn compact(&self) {
        let mut inner = self.lock();
        let newest = inner.revision();
        inner.history.retain(|revision, _| *revision == newest);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked has told already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as set, then gives what is there unless there is trouble.
    async fn ready(&self) -> Result<MutexGuard<'_, Inner>, Error> {
        let delay = {
            let mut inner = self.lock();
            inner.asked += 1;
            inner.delay
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let inner = self.lock();
        match &inner.trouble {
            Some(trouble) => Err(trouble.clone()),
            None => Ok(inner),
        }
    }
}

impl Inner {
    fn revision(&self) -> i64 {
        self.history.keys().next_back().copied().unwrap_or(1)
    }

    fn now(&self) -> Arc<Rows> {
        self.history.values().next_back().cloned().unwrap_or_default()
    }

    /// Makes the next revision.
    fn change<T>(&mut self, change: impl FnOnce(&mut Rows) -> T) -> T {
        let mut rows = Rows::clone(&self.now());
        let result = change(&mut rows);
        self.history.insert(self.revision() + 1, Arc::new(rows));
        result
    }

    /// Returns the page of a listing that begins behind a token.
    fn page<T>(
        &self,
        from: Option<Token>,
        list: impl FnOnce(&Rows) -> Vec<(String, T)>,
    ) -> Result<Page<T>, Error> {
        let revision = from.as_ref().map_or_else(|| self.revision(), |token| token.revision);
        let rows = self.history.get(&revision).ok_or_else(|| {
            let message =
                format!("revision {revision} of the page token is not kept any more: begin without a token");
            Error::new(ErrorKind::Invalid, message)
        })?;
        Ok(pages::cut(list(rows), from, revision, self.page_rows))
    }
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("unit {name} does not exist: fleetctl list-unit-files shows all"))
}

impl Api for Fake {
    async fn units(&self, from: Option<Token>) -> Result<Page<Unit>, Error> {
        self.ready().await?.page(from, Rows::all_units)
    }

    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        self.ready().await?.now().unit(name).ok_or_else(|| unknown(name))
    }

    async fn put_unit(&self, name: &str, wish: Wish) -> Result<Put, Error> {
        let mut inner = self.ready().await?;
        let (rows, put) = inner.now().with(name, wish)?;
        let engine = inner.engine;
        inner.change(|now| {
            *now = rows;
            if engine == Engine::Obedient {
                now.obey(name);
            }
        });
        Ok(put)
    }

    async fn delete_unit(&self, name: &str) -> Result<(), Error> {
        let mut inner = self.ready().await?;
        if !inner.now().units.contains_key(name) {
            return Err(unknown(name));
        }
        inner.change(|rows| rows.remove(name));
        Ok(())
    }

    async fn states(&self, filter: Filter, from: Option<Token>) -> Result<Page<UnitState>, Error> {
        self.ready().await?.page(from, |rows| rows.states(&filter))
    }

    async fn machines(&self, from: Option<Token>) -> Result<Page<Machine>, Error> {
        self.ready().await?.page(from, |rows| {
            rows.machines.iter().map(|(id, machine)| (id.clone(), machine.clone())).collect()
        })
    }

    async fn change_metadata(&self, changes: Vec<MetadataChange>) -> Result<(), Error> {
        self.ready().await?.change(|rows| changes.into_iter().for_each(|change| rows.overlay(change)));
        Ok(())
    }

    async fn hold(&self, machine: &str, hold: Hold) -> Result<(), Error> {
        let mut inner = self.ready().await?;
        if hold != Hold::None && !inner.now().machines.contains_key(machine) {
            let message =
                format!("machine {machine} is not alive: fleetctl list-machines shows those that are");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        inner.change(|rows| rows.hold(machine, hold));
        Ok(())
    }

    async fn explain(&self, name: &str) -> Result<Explanation, Error> {
        self.ready().await?.now().explain(name).ok_or_else(|| unknown(name))
    }

    async fn rebalance(&self, look: Look) -> Result<Vec<Move>, Error> {
        let mut inner = self.ready().await?;
        if look == Look::AndDo {
            inner.rebalances += 1;
        }
        Ok(inner.moves.clone())
    }
}
