//! Asks fleetd: whole listings in place of pages, `None` in place of "there is no such unit", and errors that say what
//! was being done.

use std::future::Future;

use fleet_core::model::Hold;

use super::failure::Failure;
use super::out::Out;
use crate::api::{
    self, Api, ErrorKind, Explanation, Filter, Look, Machine, Move, Page, Token, Unit, UnitState, Wish,
};

/// Somebody who answers.
#[derive(Debug)]
pub struct Fleet<A> {
    api: A,
    out: Out,
}

impl<A: Api> Fleet<A> {
    /// Asks `api`.
    pub fn new(api: A, out: Out) -> Self {
        Self { api, out }
    }

    /// Returns all units.
    ///
    /// # Errors
    /// When fleetd does not give them.
    pub async fn units(&self) -> Result<Vec<Unit>, Failure> {
        self.all("listing units", |from| self.api.units(from)).await
    }

    /// Returns a unit, if there is one of this name.
    ///
    /// # Errors
    /// When fleetd does not say.
    pub async fn unit(&self, name: &str) -> Result<Option<Unit>, Failure> {
        found(self.ask(&format!("looking for unit {name}"), self.api.unit(name)).await)
    }

    /// Makes a unit as wanted.
    ///
    /// # Errors
    /// When fleetd refuses it or does not answer.
    pub async fn put(&self, name: &str, wish: Wish) -> Result<api::Put, Failure> {
        let doing = match (&wish.content, wish.desired) {
            (Some(_), Some(desired)) => format!("storing unit {name} as {desired}"),
            (Some(_), None) => format!("storing unit {name}"),
            (None, Some(desired)) => format!("setting unit {name} to {desired}"),
            (None, None) => format!("touching unit {name}"),
        };
        self.ask(&doing, self.api.put_unit(name, wish)).await
    }

    /// Removes a unit; `None` if there was none.
    ///
    /// # Errors
    /// When fleetd refuses it or does not answer.
    pub async fn delete(&self, name: &str) -> Result<Option<()>, Failure> {
        found(self.ask(&format!("destroying unit {name}"), self.api.delete_unit(name)).await)
    }

    /// Returns all states that the filter lets through.
    ///
    /// # Errors
    /// When fleetd does not give them.
    pub async fn states(&self, filter: Filter) -> Result<Vec<UnitState>, Failure> {
        self.all("listing the states of units", |from| self.api.states(filter.clone(), from)).await
    }

    /// Returns the state of a unit on one machine, if that reports one.
    ///
    /// # Errors
    /// When fleetd does not say.
    pub async fn state(&self, unit: &str, machine: &str) -> Result<Option<UnitState>, Failure> {
        let filter = Filter { machine: Some(machine.to_owned()), unit: Some(unit.to_owned()) };
        let states = self.states(filter).await?;
        Ok(states.into_iter().find(|state| state.name == unit && state.machine_id == machine))
    }

    /// Returns all machines that are alive.
    ///
    /// # Errors
    /// When fleetd does not give them.
    pub async fn machines(&self) -> Result<Vec<Machine>, Failure> {
        self.all("listing machines", |from| self.api.machines(from)).await
    }

    /// Says whether a machine takes units.
    ///
    /// # Errors
    /// When fleetd refuses it or does not answer.
    pub async fn hold(&self, machine: &str, hold: Hold) -> Result<(), Failure> {
        self.ask(&format!("holding machine {machine}"), self.api.hold(machine, hold)).await
    }

    /// Returns why a unit is where it is, if there is one of this name.
    ///
    /// # Errors
    /// When fleetd does not say.
    pub async fn explain(&self, name: &str) -> Result<Option<Explanation>, Failure> {
        found(self.ask(&format!("explaining unit {name}"), self.api.explain(name)).await)
    }

    /// Returns which units would move, and asks for it unless it is only looked at.
    ///
    /// # Errors
    /// When fleetd refuses it or does not answer.
    pub async fn rebalance(&self, look: Look) -> Result<Vec<Move>, Failure> {
        self.ask("rebalancing", self.api.rebalance(look)).await
    }

    async fn all<T, F>(&self, doing: &str, page: impl Fn(Option<Token>) -> F) -> Result<Vec<T>, Failure>
    where
        F: Future<Output = Result<Page<T>, api::Error>>,
    {
        let mut rows = Vec::new();
        let mut from = None;
        loop {
            let page = self.ask(doing, page(from)).await?;
            rows.extend(page.rows);
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(rows),
            }
        }
    }

    async fn ask<T>(
        &self,
        doing: &str,
        answer: impl Future<Output = Result<T, api::Error>>,
    ) -> Result<T, Failure> {
        self.out.debug(|| doing.to_owned());
        answer.await.map_err(|source| Failure::Api { doing: doing.to_owned(), source })
    }
}

/// Turns "there is no such unit" into `None`.
fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(Failure::Api { source, .. }) if source.kind == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: ErrorKind) -> Failure {
        let source = api::Error { kind, message: "unit does not exist".to_owned() };
        Failure::Api { doing: "looking for unit x.service".to_owned(), source }
    }

    #[test]
    fn only_a_missing_unit_is_no_failure() {
        assert!(matches!(found::<()>(Err(failure(ErrorKind::NotFound))), Ok(None)));
        assert!(found::<()>(Err(failure(ErrorKind::Unavailable))).is_err());
        assert!(matches!(found(Ok(7)), Ok(Some(7))));
    }
}
