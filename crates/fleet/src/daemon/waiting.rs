//! What the API answers before the registry has begun: that it is not there yet, and why.

use std::sync::{Arc, Mutex, PoisonError};

use fleet_core::model::Hold;

use crate::api::{
    Api, Error, ErrorKind, Explanation, Filter, Look, Machine, MetadataChange, Move, Page, Put, Token, Unit,
    UnitState, Wish,
};

/// Answers everything with the same error. Copies have the same reason.
#[derive(Debug, Clone)]
pub struct Waiting(Arc<Mutex<String>>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Arc::new(Mutex::new("fleetd has just started; try again".to_owned())))
    }
}

impl Waiting {
    /// Says why. Returns whether that is news.
    pub fn because(&self, why: String) -> bool {
        let mut reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *reason, why) != *reason
    }

    fn refuse<T>(&self) -> Result<T, Error> {
        let message = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(Error { kind: ErrorKind::Unavailable, message })
    }
}

impl Api for Waiting {
    async fn units(&self, _from: Option<Token>) -> Result<Page<Unit>, Error> {
        self.refuse()
    }

    async fn unit(&self, _name: &str) -> Result<Unit, Error> {
        self.refuse()
    }

    async fn put_unit(&self, _name: &str, _wish: Wish) -> Result<Put, Error> {
        self.refuse()
    }

    async fn delete_unit(&self, _name: &str) -> Result<(), Error> {
        self.refuse()
    }

    async fn states(&self, _filter: Filter, _from: Option<Token>) -> Result<Page<UnitState>, Error> {
        self.refuse()
    }

    async fn machines(&self, _from: Option<Token>) -> Result<Page<Machine>, Error> {
        self.refuse()
    }

    async fn change_metadata(&self, _changes: Vec<MetadataChange>) -> Result<(), Error> {
        self.refuse()
    }

    async fn hold(&self, _machine: &str, _hold: Hold) -> Result<(), Error> {
        self.refuse()
    }

    async fn explain(&self, _name: &str) -> Result<Explanation, Error> {
        self.refuse()
    }

    async fn rebalance(&self, _look: Look) -> Result<Vec<Move>, Error> {
        self.refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_is_waited_for() {
        let waiting = Waiting::default();
        assert_eq!(waiting.machines(None).await.unwrap_err().kind, ErrorKind::Unavailable);
        assert!(waiting.clone().because("etcd is away: start it".to_owned()));
        assert!(!waiting.because("etcd is away: start it".to_owned()), "that was said");
        assert_eq!(waiting.units(None).await.unwrap_err().message, "etcd is away: start it");
    }
}
