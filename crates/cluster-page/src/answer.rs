//! What a request gets: decided without a socket.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    SERVER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{HeaderMap, Method, StatusCode};

use crate::page;

/// What the header `Server` says.
const SERVED_BY: &str = concat!("slipway-cluster/", env!("CARGO_PKG_VERSION"));
/// Methods that there are.
const METHODS: &str = "GET, HEAD";

/// The page and the document, as they are until the next look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// HTML.
    pub page: String,
    /// JSON.
    pub document: String,
}

/// What is looked at of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path.
    pub path: &'a str,
    /// The header `Host`, or what the URL says in its place; none if it is not there or no text.
    pub host: Option<&'a str>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; left out for HEAD.
    pub body: String,
}

/// Answers a request that came to the address `at`.
pub fn answer(shown: &Shown, at: SocketAddr, asked: &Asked<'_>) -> Answer {
    match asked.host {
        None => return text(StatusCode::BAD_REQUEST, "The request has no Host header.\n"),
        Some(host) if !is_ours(host, at.ip()) => {
            return text(
                StatusCode::MISDIRECTED_REQUEST,
                "This page is served under localhost and the address that it listens at alone, so that no other site can \
                 read it under a name of its own. Open it by its address.\n",
            );
        }
        Some(_) => {}
    }
    let found = match asked.path {
        "/" => (&shown.page, "text/html; charset=utf-8"),
        "/status.json" => (&shown.document, "application/json"),
        "/healthz" => (&"ok\n".to_owned(), "text/plain; charset=utf-8"),
        _ => return text(StatusCode::NOT_FOUND, "There are / and /status.json.\n"),
    };
    if asked.method != Method::GET && asked.method != Method::HEAD {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "This page is only read: GET and HEAD.\n");
        refused.headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        return refused;
    }
    made(StatusCode::OK, found.1, found.0.clone())
}

fn text(status: StatusCode, body: &str) -> Answer {
    made(status, "text/plain; charset=utf-8", body.to_owned())
}

fn made(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut headers = HeaderMap::new();
    let fixed: [(HeaderName, &'static str); 7] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (SERVER, SERVED_BY),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    // A policy is always a header's value: letters, digits and signs.
    if let Ok(policy) = HeaderValue::try_from(page::policy()) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    Answer { status, headers, body }
}

/// Tells whether a host is a name of loopback's, or the address that the request came to. The port may be another one:
/// that of a tunnel.
fn is_ours(host: &str, at: IpAddr) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    name.parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback() || address.to_canonical() == at.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &Method, path: &str, host: Option<&str>) -> Answer {
        let shown = Shown { page: "<p>".to_owned(), document: "{}".to_owned() };
        answer(&shown, "127.0.0.1:7780".parse().unwrap(), &Asked { method, path, host })
    }

    fn get(path: &str) -> Answer {
        ask(&Method::GET, path, Some("localhost:7780"))
    }

    #[test]
    fn there_are_a_page_and_a_document() {
        let page = get("/");
        assert_eq!((page.status, page.body.as_str()), (StatusCode::OK, "<p>"));
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        let document = get("/status.json");
        assert_eq!((document.status, document.body.as_str()), (StatusCode::OK, "{}"));
        assert_eq!(document.headers["content-type"], "application/json");
        assert_eq!(get("/healthz").status, StatusCode::OK);
    }

    #[test]
    fn every_answer_is_kept_from_being_more_than_it_is() {
        for answer in
            [get("/"), get("/x"), ask(&Method::POST, "/", Some("localhost")), ask(&Method::GET, "/", None)]
        {
            let headers = &answer.headers;
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
            assert!(!headers.contains_key("access-control-allow-origin"));
        }
    }

    #[test]
    fn nothing_can_be_changed() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let refused = ask(&method, "/", Some("localhost"));
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(refused.headers["allow"], "GET, HEAD");
        }
        assert_eq!(ask(&Method::HEAD, "/status.json", Some("localhost")).status, StatusCode::OK);
    }

    #[test]
    fn other_paths_are_none() {
        for path in ["/x", "", "//", "/status.json/", "/../", "/favicon.ico", "*"] {
            assert_eq!(get(path).status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_name_that_somebody_else_may_own_is_refused() {
        for host in ["localhost", "LocalHost:1", "127.0.0.1:7780", "127.9.9.9", "[::1]:8080", "[::1]"] {
            assert_eq!(ask(&Method::GET, "/", Some(host)).status, StatusCode::OK, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "",
            "::1",
            "[::2]",
            "127.0.0.1.nip.io",
            "[",
            "0x7f.1",
        ] {
            assert_eq!(ask(&Method::GET, "/", Some(host)).status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
        assert_eq!(ask(&Method::GET, "/", None).status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn the_address_that_it_listens_at_is_its_own() {
        let at = |at: &str, host: &str| is_ours(host, at.parse().unwrap());
        assert!(
            at("10.7.0.1", "10.7.0.1:7780")
                && at("::ffff:10.7.0.1", "10.7.0.1")
                && at("fd00::1", "[fd00::1]:1")
        );
        assert!(!at("10.7.0.1", "10.7.0.2:7780"));
    }
}
