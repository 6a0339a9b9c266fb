//! The methods of the API: one table that the server dispatches by and the discovery document is made from.

mod table;

use hyper::StatusCode;

use super::escape;
use super::refusal::Refusal;
use table::METRICS_ROUTES;
pub use table::{Action, Parameter, ROUTES, Route};

/// Paths that the methods are below; the second is that of the original before 0.9.
pub const PREFIXES: [&str; 2] = ["/fleet/v1", "/v1-alpha"];
/// Where metrics are; below no prefix, as everywhere.
pub const METRICS: &str = "/metrics";

/// Which method a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The method.
    pub route: &'static Route,
    /// Prefix that it was asked below.
    pub prefix: &'static str,
    /// What stands for the segment in braces; empty if there is none.
    pub argument: String,
}

/// Returns the method that a request is for; `path` is as the client sent it, without the query.
///
/// # Errors
/// 404 for an unknown path, 405 for a path without this method, 400 for a path that cannot be read.
pub fn find(verb: &str, path: &str) -> Result<Found, Refusal> {
    if path == "/" {
        return Err(Refusal::method(verb, path, &[]));
    }
    let (prefix, table, below): (_, &'static [Route], _) = if path == METRICS {
        ("", &METRICS_ROUTES, "metrics")
    } else {
        let inside = |prefix: &&'static str| {
            let below = path.strip_prefix(*prefix)?.strip_prefix('/')?;
            Some((*prefix, below))
        };
        let found = PREFIXES.iter().find_map(inside);
        let (prefix, below) = found.ok_or_else(|| unknown(path))?;
        (prefix, &ROUTES, below)
    };
    let here: Vec<(&'static Route, &str)> =
        table.iter().filter_map(|route| Some((route, argument(route.path, below)?))).collect();
    let Some((route, argument)) = here.iter().find(|(route, _)| route.verb == verb) else {
        let verbs: Vec<&str> = here.iter().map(|(route, _)| route.verb).collect();
        return Err(if verbs.is_empty() { unknown(path) } else { Refusal::method(verb, path, &verbs) });
    };
    let argument = escape::decode(argument).ok_or_else(|| {
        Refusal::bad_request(format!("the path {path} has a broken escape: send it as UTF-8"))
    })?;
    Ok(Found { route, prefix, argument })
}

/// Returns what stands for the segment in braces, empty without such a segment; `None` for another path.
fn argument<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let mut found = "";
    let mut given = path.split('/');
    for segment in template.split('/') {
        let here = given.next()?;
        if segment.starts_with('{') {
            if here.is_empty() {
                return None;
            }
            found = here;
        } else if segment != here {
            return None;
        }
    }
    given.next().is_none().then_some(found)
}

fn unknown(path: &str) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {path}; /fleet/v1/discovery says what there is"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn action(verb: &str, path: &str) -> Result<(Action, String), StatusCode> {
        find(verb, path).map(|found| (found.route.action, found.argument)).map_err(|refusal| refusal.status)
    }

    #[test]
    fn every_method_is_found_below_both_prefixes() {
        for prefix in PREFIXES {
            for route in &ROUTES {
                let path = route.path.replace("{unitName}", "a.service").replace("{machineID}", "a.service");
                let found = find(route.verb, &format!("{prefix}/{path}")).unwrap();
                assert_eq!(found.route, route);
                assert_eq!(found.prefix, prefix);
                assert_eq!(found.argument, if route.path.contains('{') { "a.service" } else { "" });
            }
        }
        assert_eq!(action("GET", "/metrics"), Ok((Action::Metrics, String::new())));
    }

    #[test]
    fn arguments_are_unescaped_after_the_path_is_split() {
        let slashed = Ok((Action::GetUnit, "a/b@1.service".to_owned()));
        assert_eq!(action("GET", "/fleet/v1/units/a%2Fb%401.service"), slashed);
        assert_eq!(action("GET", "/fleet/v1/units/%ff"), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn another_method_is_told_what_there_is() {
        let refusal = find("POST", "/fleet/v1/units/a.service").unwrap_err();
        assert_eq!(refusal.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refusal.allow.as_deref(), Some("GET, PUT, DELETE"));
        for verb in ["HEAD", "OPTIONS", "BREW", "get"] {
            assert_eq!(find(verb, "/v1-alpha/machines").unwrap_err().allow.as_deref(), Some("GET, PATCH"));
            assert_eq!(find(verb, "/metrics").unwrap_err().allow.as_deref(), Some("GET"));
        }
    }

    #[test]
    fn the_root_allows_nothing() {
        let refusal = find("GET", "/").unwrap_err();
        assert_eq!((refusal.status, refusal.allow.as_deref()), (StatusCode::METHOD_NOT_ALLOWED, Some("")));
    }

    #[test]
    fn other_paths_are_unknown() {
        for path in [
            "",
            "*",
            "/fleet",
            "/fleet/v1",
            "/fleet/v1/",
            "/fleet/v1/units/",
            "/fleet/v1/units//explain",
            "/fleet/v1/units/a/b",
            "/fleet/v1/unitsa",
            "/fleet/v11/units",
            "//fleet/v1/units",
            "/metrics/",
            "/fleet/v1/metrics",
            "/units",
        ] {
            assert_eq!(action("GET", path), Err(StatusCode::NOT_FOUND), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_request_breaks_it(verb in any::<String>(), path in any::<String>()) {
            let _ = find(&verb, &path);
            let _ = find(&verb, &format!("/fleet/v1/units/{path}"));
        }

        #[test]
        fn any_name_can_be_asked_for(name in ".+") {
            let path = format!("/fleet/v1/units/{}", escape::encode(&name));
            prop_assert_eq!(find("GET", &path).unwrap().argument, name);
        }
    }
}
