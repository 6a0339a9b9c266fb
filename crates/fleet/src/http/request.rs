//! What a request asks for: from method, query, content type and body, without I/O.

mod wish;

use fleet_core::name::UnitName;
use hyper::StatusCode;

use super::escape;
use super::patch;
use super::refusal::Refusal;
use super::routes::{Action, Found};
use super::token;
use super::wire::{self, MachineHold};
use crate::api::{Filter, Look, MetadataChange, Token, Wish};
use fleet_core::model::Hold;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A page of units.
    ListUnits(Option<Token>),
    /// A unit.
    GetUnit(String),
    /// A unit as wanted.
    PutUnit(String, Wish),
    /// A unit's end.
    DeleteUnit(String),
    /// Why a unit is where it is.
    ExplainUnit(String),
    /// A page of states.
    ListStates(Filter, Option<Token>),
    /// A unit's state.
    GetState(String),
    /// A page of machines.
    ListMachines(Option<Token>),
    /// Other metadata.
    PatchMachines(Vec<MetadataChange>),
    /// Whether a machine takes units.
    HoldMachine(String, Hold),
    /// An even load.
    Rebalance(Look),
    /// The description of the API below this prefix.
    Discover(&'static str),
    /// What is counted.
    Metrics,
}

/// What came with the request's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// The query, without its question mark.
    pub query: &'a str,
    /// All values of the header `Content-Type`.
    pub content_types: &'a [&'a str],
    /// The body.
    pub body: &'a [u8],
}

/// Says whether the method looks at a body; that of any other is not waited for.
pub fn has_body(action: Action) -> bool {
    matches!(action, Action::PutUnit | Action::PatchMachines | Action::HoldMachine)
}

/// Returns what is asked for.
///
/// # Errors
/// 400 and 415, with what is wrong.
pub fn read(found: &Found, given: Given<'_>) -> Result<Request, Refusal> {
    let argument = || found.argument.clone();
    Ok(match found.route.action {
        Action::ListUnits => Request::ListUnits(page(given.query)?),
        Action::GetUnit => Request::GetUnit(known_name(argument())?),
        Action::PutUnit => {
            only_json(given.content_types)?;
            let name = argument();
            UnitName::parse(&name).map_err(|err| Refusal::bad_request(err.to_string()))?;
            let wish = wish::read(&name, given.body)?;
            Request::PutUnit(name, wish)
        }
        Action::DeleteUnit => Request::DeleteUnit(known_name(argument())?),
        Action::ExplainUnit => Request::ExplainUnit(known_name(argument())?),
        Action::ListStates => Request::ListStates(filter(given.query)?, page(given.query)?),
        Action::GetState => Request::GetState(known_name(argument())?),
        Action::ListMachines => Request::ListMachines(page(given.query)?),
        Action::PatchMachines => {
            let changes = patch::read(given.body).map_err(|err| Refusal::bad_request(err.to_string()))?;
            Request::PatchMachines(changes)
        }
        Action::HoldMachine => {
            only_json(given.content_types)?;
            let machine = argument();
            if !patch::is_machine(&machine) {
                return Err(Refusal::new(StatusCode::NOT_FOUND, no_machine(&machine)));
            }
            let MachineHold { hold } = wire::object(given.body).map_err(|err| {
                Refusal::bad_request(format!(
                    "the body is no {{\"hold\":\"none\"}}, cordoned or draining in place of none: {err}"
                ))
            })?;
            Request::HoldMachine(machine, hold)
        }
        Action::Rebalance => Request::Rebalance(look(given.query)?),
        Action::Discover => Request::Discover(found.prefix),
        Action::Metrics => Request::Metrics,
    })
}

/// A body that sets something is JSON and says so, once; charsets and the like are refused, as the original did.
fn only_json(content_types: &[&str]) -> Result<(), Refusal> {
    match content_types {
        [one] if one.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Type is {content_types:?}: it must be application/json, once and without more"),
        )),
    }
}

/// A name that no unit can have is that of no unit.
fn known_name(name: String) -> Result<String, Refusal> {
    match UnitName::parse(&name) {
        Ok(_) => Ok(name),
        Err(err) => Err(Refusal::new(StatusCode::NOT_FOUND, format!("unit does not exist: {err}"))),
    }
}

fn no_machine(id: &str) -> String {
    format!("there can be no machine {id:?}: GET /fleet/v1/machines lists those that are alive")
}

fn page(query: &str) -> Result<Option<Token>, Refusal> {
    let Some(text) = parameter(query, "nextPageToken")? else { return Ok(None) };
    let token = token::decode(&text).map_err(|err| Refusal::bad_request(err.to_string()))?;
    Ok(Some(token))
}

fn filter(query: &str) -> Result<Filter, Refusal> {
    let filter = Filter { machine: parameter(query, "machineID")?, unit: parameter(query, "unitName")? };
    if let Some(id) = filter.machine.as_ref().filter(|id| !patch::is_machine(id)) {
        return Err(Refusal::bad_request(no_machine(id)));
    }
    if let Some(Err(err)) = filter.unit.as_ref().map(|name| UnitName::parse(name)) {
        return Err(Refusal::bad_request(format!("unitName: {err}")));
    }
    Ok(filter)
}

fn look(query: &str) -> Result<Look, Refusal> {
    match parameter(query, "dryRun")?.as_deref() {
        None | Some("false") => Ok(Look::AndDo),
        Some("true") => Ok(Look::Only),
        Some(other) => Err(Refusal::bad_request(format!("dryRun is {other:?}: it is true or false"))),
    }
}

/// Returns the value of a parameter; one without a value counts as not given.
fn parameter(query: &str, name: &str) -> Result<Option<String>, Refusal> {
    let values = escape::values(query, name)
        .ok_or_else(|| Refusal::bad_request(format!("{name} has a broken escape: send it as UTF-8")))?;
    match <[String; 1]>::try_from(values) {
        Ok([value]) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(values) if values.is_empty() => Ok(None),
        Err(values) => {
            Err(Refusal::bad_request(format!("{name} is given {} times: give it once", values.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::routes;

    fn ask(verb: &str, path: &str, content_types: &[&str], body: &[u8]) -> Result<Request, Refusal> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let found = routes::find(verb, &format!("/fleet/v1/{path}"))?;
        read(&found, Given { query, content_types, body })
    }

    #[track_caller]
    fn refused(verb: &str, path: &str, body: &str) -> (u16, String) {
        let refusal = ask(verb, path, &["application/json"], body.as_bytes()).unwrap_err();
        (refusal.status.as_u16(), refusal.message)
    }

    #[test]
    fn listings_take_one_token() {
        let token = Token { revision: 7, after: "a.service".to_owned() };
        let text = token::encode(&token);
        for (path, wanted) in [
            (format!("units?nextPageToken={text}"), Request::ListUnits(Some(token.clone()))),
            (format!("machines?nextPageToken={text}&alt=json"), Request::ListMachines(Some(token))),
            ("units?nextPageToken=".to_owned(), Request::ListUnits(None)),
            ("state".to_owned(), Request::ListStates(Filter::default(), None)),
        ] {
            assert_eq!(ask("GET", &path, &[], b""), Ok(wanted));
        }
        let (status, message) =
            refused("GET", &format!("units?nextPageToken={text}&nextPageToken={text}"), "");
        assert_eq!((status, message.as_str()), (400, "nextPageToken is given 2 times: give it once"));
        let (status, message) = refused("GET", "state?nextPageToken=ZAABAA%3D%3D", "");
        assert!(status == 400 && message.contains("original fleet"), "{message}");
    }

    #[test]
    fn states_are_filtered_by_machine_and_unit() {
        let filter = Filter { machine: Some("m1".to_owned()), unit: Some("a@1.service".to_owned()) };
        let path = "state?machineID=m1&unitName=a%401.service";
        assert_eq!(ask("GET", path, &[], b""), Ok(Request::ListStates(filter, None)));
        assert_eq!(refused("GET", "state?machineID=a/b", "").0, 400);
        assert_eq!(refused("GET", "state?unitName=a/b", "").0, 400);
        assert_eq!(refused("GET", "state?unitName=%ff", "").0, 400);
    }

    #[test]
    fn names_that_no_unit_can_have_are_unknown() {
        for (verb, path) in [
            ("GET", "units/noend"),
            ("DELETE", "units/a%2Fb.service"),
            ("GET", "units/noend/explain"),
            ("GET", "state/noend"),
        ] {
            let (status, message) = refused(verb, path, "");
            assert!(status == 404 && message.starts_with("unit does not exist"), "{verb} {path}: {message}");
        }
        assert_eq!(refused("PUT", "units/noend", "{}").0, 400);
    }

    #[test]
    fn bodies_that_set_something_are_json_and_say_so_once() {
        let json = "application/json";
        for types in [&[][..], &["text/plain"], &[json, json], &["application/json; charset=utf-8"], &[""]] {
            for path in ["units/a.service", "machines/m1/hold"] {
                let refusal = ask("PUT", path, types, b"{}").unwrap_err();
                assert_eq!(refusal.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{types:?}");
            }
        }
        assert!(ask("PUT", "units/a.service", &["Application/JSON"], b"{}").is_ok());
        // Clients send patches under several types.
        assert_eq!(ask("PATCH", "machines", &[], b"[]"), Ok(Request::PatchMachines(vec![])));
    }

    #[test]
    fn a_machine_is_held_by_a_word() {
        for (word, hold) in [("none", Hold::None), ("cordoned", Hold::Cordoned), ("draining", Hold::Draining)]
        {
            let body = format!(r#"{{"hold":"{word}"}}"#);
            let request = ask("PUT", "machines/m1/hold", &["application/json"], body.as_bytes());
            assert_eq!(request, Ok(Request::HoldMachine("m1".to_owned(), hold)));
        }
        for body in ["", "{}", r#"{"hold":"gone"}"#, r#""none""#] {
            assert_eq!(refused("PUT", "machines/m1/hold", body).0, 400, "{body}");
        }
        assert_eq!(refused("PUT", "machines/m%2F1/hold", r#"{"hold":"none"}"#).0, 404);
    }

    #[test]
    fn rebalancing_is_done_or_looked_at() {
        assert_eq!(ask("POST", "rebalance", &[], b""), Ok(Request::Rebalance(Look::AndDo)));
        assert_eq!(ask("POST", "rebalance?dryRun=false", &[], b""), Ok(Request::Rebalance(Look::AndDo)));
        assert_eq!(ask("POST", "rebalance?dryRun=true", &[], b""), Ok(Request::Rebalance(Look::Only)));
        assert_eq!(refused("POST", "rebalance?dryRun=maybe", "").0, 400);
    }

    proptest! {
        #[test]
        fn no_query_and_no_body_breaks_it(
            route in 0..routes::ROUTES.len(),
            argument in "[ -~]{1,20}",
            query in any::<String>(),
            body in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let route = &routes::ROUTES[route];
            let found = Found { route, prefix: "/fleet/v1", argument };
            let content_types = &["application/json"][..];
            let _ = read(&found, Given { query: &query, content_types, body: &body });
        }
    }
}
