//! One question and its answer, redirects followed.

use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request, Response, header};
use ureq::{Agent, Body};

use super::{Error, Scheme, Url};

/// A question.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Almost always `GET`.
    pub method: Method,
    /// Of what.
    pub url: &'a Url,
    /// More headers, sent with each redirect as well.
    pub headers: &'a [(&'a str, &'a str)],
    /// Headers for this server alone, such as a token: where else a redirect leads gets none.
    pub private: &'a [(&'a str, &'a str)],
    /// For the whole of it, from the name of the server to the last byte of the body.
    pub whole: Option<Duration>,
}

impl<'a> Ask<'a> {
    /// Asks for a document.
    pub fn get(url: &'a Url) -> Self {
        Self { method: Method::GET, url, headers: &[], private: &[], whole: None }
    }
}

/// Asks, and asks where redirects lead, at most `redirects` times; `asked` is told of each question.
pub fn follow(
    agent: &Agent,
    ask: Ask<'_>,
    redirects: u32,
    asked: &mut dyn FnMut(),
) -> Result<Response<Body>, Error> {
    let mut url = ask.url.clone();
    for _ in 0..=redirects {
        asked();
        let mut request = Request::builder().method(ask.method.clone()).uri(url.to_string());
        let private = if url.is_same_server(ask.url) { ask.private } else { &[] };
        for (name, value) in ask.headers.iter().chain(private) {
            request = request.header(*name, *value);
        }
        let request = request.body(()).map_err(|err| Error::answer("URL", "one that can be asked", err))?;
        let mut request = agent.configure_request(request);
        if ask.whole.is_some() {
            request = request.timeout_global(ask.whole);
        }
        let response = agent.run(request.build()).map_err(|err| unanswered(&url, &err))?;
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        url = redirected(&url, location(response.headers()))?;
    }
    Err(Error::answer("redirects", format!("at most {redirects}"), "more"))
}

fn location(headers: &HeaderMap) -> &str {
    // A header that is no text is none that we could use.
    headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Says why there is no answer: a server that proves to be another is no broken connection.
fn unanswered(url: &Url, err: &ureq::Error) -> Error {
    let tls = match err {
        ureq::Error::Io(err) => err.get_ref().and_then(|err| err.downcast_ref::<rustls::Error>()),
        ureq::Error::Rustls(err) => Some(err),
        _ => None,
    };
    match tls {
        Some(rustls::Error::InvalidCertificate(why)) => {
            Error::Untrusted { url: url.to_string(), why: format!("{why}") }
        }
        _ => Error::Cut { why: format!("asking {url}: {err}") },
    }
}

/// Returns where a redirect leads; never from https to http.
fn redirected(url: &Url, location: &str) -> Result<Url, Error> {
    let next = url.join(location);
    let next = next.map_err(|err| Error::answer("Location", "an http:// or https:// URL", err))?;
    if url.scheme() == Scheme::Https && next.scheme() == Scheme::Http {
        return Err(Error::answer("Location", "https, as before", next));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_redirect_leads_from_https_to_http() {
        let url = Url::parse("https://u.example/a").unwrap();
        assert_eq!(redirected(&url, "/b").unwrap().to_string(), "https://u.example/b");
        let err = redirected(&url, "http://u.example/a").unwrap_err().to_string();
        assert_eq!(err, "Location: expected https, as before, found http://u.example/a");
        assert!(redirected(&url, "ftp://u.example/a").is_err());
    }
}
