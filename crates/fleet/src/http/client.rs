//! The client: an [`Api`] that asks a server over HTTP.

mod connection;
mod exchange;
mod place;
mod trouble;

use std::sync::Mutex;
use std::time::Duration;

use fleet_core::model::Hold;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use self::connection::Connection;
use self::exchange::{Answered, Ask};
pub use self::place::{Dial, Ends, Place};
use super::escape::encode;
use super::wire::{MachineHold, MachinePage, Moves, UnitPage, UnitStatePage, UnitWish};
use super::{patch, token, wire};
use crate::api::{
    Api, Error, ErrorKind, Explanation, Filter, Look, Machine, MetadataChange, Move, Page, Put, Token, Unit,
    UnitState, Wish,
};

/// A client of one server. It keeps a few connections for the next requests; requests at the same time have
/// connections of their own.
#[derive(Debug)]
pub struct Client {
    place: Place,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Client {
    /// Makes a client, which connects when it is asked; one request takes `timeout` at most.
    pub fn new(place: Place, timeout: Duration) -> Self {
        Self { place, timeout, idle: Mutex::default() }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.read(Ask::new(Method::GET, path)).await
    }

    async fn read<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Error> {
        let answered = self.send(ask).await?;
        wire::object(&answered.body).map_err(|err| self.foreign(&err))
    }

    fn foreign(&self, err: &dyn std::error::Error) -> Error {
        trouble::foreign(&self.place, &err.to_string())
    }

    fn page<T>(&self, rows: Vec<T>, next: Option<String>) -> Result<Page<T>, Error> {
        let next = next.map(|text| token::decode(&text)).transpose().map_err(|err| self.foreign(&err))?;
        Ok(Page { rows, next })
    }
}

/// Returns a path with those parameters of a query that have a value.
fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given =
        parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_ref()?))));
    let query: Vec<String> = given.collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn token_text(from: Option<&Token>) -> Option<String> {
    from.map(token::encode)
}

impl Api for Client {
    async fn units(&self, from: Option<Token>) -> Result<Page<Unit>, Error> {
        let path = with_query("units", &[("nextPageToken", token_text(from.as_ref()))]);
        let page: UnitPage = self.get(&path).await?;
        self.page(page.units, page.next_page_token)
    }

    async fn unit(&self, name: &str) -> Result<Unit, Error> {
        self.get(&format!("units/{}", encode(name))).await
    }

    async fn put_unit(&self, name: &str, wish: Wish) -> Result<Put, Error> {
        let body = UnitWish {
            name: Some(name.to_owned()),
            desired_state: wish.desired.map(|state| state.to_string()),
            options: None,
            content: wish.content,
        };
        let ask = Ask::new(Method::PUT, &format!("units/{}", encode(name))).json(&body);
        let Answered { status, put, .. } = self.send(ask).await?;
        Ok(match (put.as_deref().and_then(wire::put_of), status) {
            (Some(put), _) => put,
            // A server that says no more: a unit that was replaced looks like a new one.
            (None, StatusCode::CREATED) => Put::Created,
            (None, _) => Put::Kept,
        })
    }

    async fn delete_unit(&self, name: &str) -> Result<(), Error> {
        self.send(Ask::new(Method::DELETE, &format!("units/{}", encode(name)))).await.map(drop)
    }

    async fn states(&self, filter: Filter, from: Option<Token>) -> Result<Page<UnitState>, Error> {
        let parameters = [
            ("machineID", filter.machine),
            ("unitName", filter.unit),
            ("nextPageToken", token_text(from.as_ref())),
        ];
        let page: UnitStatePage = self.get(&with_query("state", &parameters)).await?;
        self.page(page.states, page.next_page_token)
    }

    async fn machines(&self, from: Option<Token>) -> Result<Page<Machine>, Error> {
        let path = with_query("machines", &[("nextPageToken", token_text(from.as_ref()))]);
        let page: MachinePage = self.get(&path).await?;
        self.page(page.machines, page.next_page_token)
    }

    async fn change_metadata(&self, changes: Vec<MetadataChange>) -> Result<(), Error> {
        let ask =
            Ask::new(Method::PATCH, "machines").body("application/json-patch+json", patch::write(&changes));
        self.send(ask).await.map(drop)
    }

    async fn hold(&self, machine: &str, hold: Hold) -> Result<(), Error> {
        let ask = Ask::new(Method::PUT, &format!("machines/{}/hold", encode(machine)));
        self.send(ask.json(&MachineHold { hold })).await.map(drop)
    }

    async fn explain(&self, name: &str) -> Result<Explanation, Error> {
        self.get(&format!("units/{}/explain", encode(name))).await
    }

    async fn rebalance(&self, look: Look) -> Result<Vec<Move>, Error> {
        let dry_run = (look == Look::Only).then(|| "true".to_owned());
        let ask = Ask::new(Method::POST, &with_query("rebalance", &[("dryRun", dry_run)]));
        let moves: Moves = self.read(ask).await?;
        Ok(moves.moves)
    }
}

/// What a server's status says went wrong; `None` for one that says that all went well.
fn kind_of(status: StatusCode) -> Option<ErrorKind> {
    (!status.is_success()).then(|| super::refusal::kind_of(status))
}
