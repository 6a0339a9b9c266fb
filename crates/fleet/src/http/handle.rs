//! From a request to its answer: asks the [`Api`] and says what it said.

use hyper::StatusCode;

use super::answer::Answer;
use super::refusal::Refusal;
use super::request::Request;
use super::wire::{MachinePage, Moves, UnitPage, UnitStatePage};
use super::{Metrics, discovery, token};
use crate::api::{Api, Error, Filter, Token};

/// The type of `/metrics`.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Does what is asked for.
pub async fn handle<A: Api>(api: &A, metrics: &Metrics, request: Request) -> Answer {
    answer(api, metrics, request).await.unwrap_or_else(|err| Answer::from(Refusal::from(err)))
}

async fn answer<A: Api>(api: &A, metrics: &Metrics, request: Request) -> Result<Answer, Error> {
    let ok = StatusCode::OK;
    Ok(match request {
        Request::ListUnits(from) => {
            let page = api.units(from).await?;
            Answer::json(ok, &UnitPage { units: page.rows, next_page_token: text(page.next) })
        }
        Request::GetUnit(name) => Answer::json(ok, &api.unit(&name).await?),
        Request::PutUnit(name, wish) => Answer::put(api.put_unit(&name, wish).await?),
        Request::DeleteUnit(name) => {
            api.delete_unit(&name).await?;
            done()
        }
        Request::ExplainUnit(name) => Answer::json(ok, &api.explain(&name).await?),
        Request::ListStates(filter, from) => {
            let page = api.states(filter, from).await?;
            Answer::json(ok, &UnitStatePage { states: page.rows, next_page_token: text(page.next) })
        }
        Request::GetState(name) => {
            let filter = Filter { machine: None, unit: Some(name.clone()) };
            match api.states(filter, None).await?.rows.into_iter().next() {
                Some(state) => Answer::json(ok, &state),
                None => Answer::from(Refusal::new(
                    StatusCode::NOT_FOUND,
                    format!("no machine reports unit {name}: fleetctl explain {name} says why"),
                )),
            }
        }
        Request::ListMachines(from) => {
            let page = api.machines(from).await?;
            Answer::json(ok, &MachinePage { machines: page.rows, next_page_token: text(page.next) })
        }
        Request::PatchMachines(changes) => {
            if !changes.is_empty() {
                api.change_metadata(changes).await?;
            }
            done()
        }
        Request::HoldMachine(machine, hold) => {
            api.hold(&machine, hold).await?;
            done()
        }
        Request::Rebalance(look) => Answer::json(ok, &Moves { moves: api.rebalance(look).await? }),
        Request::Discover(prefix) => Answer::json(ok, &discovery::document(prefix)),
        Request::Metrics => Answer::text(METRICS_TYPE, metrics.text()),
    })
}

fn done() -> Answer {
    Answer::empty(StatusCode::NO_CONTENT)
}

fn text(next: Option<Token>) -> Option<String> {
    next.as_ref().map(token::encode)
}
