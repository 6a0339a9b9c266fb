//! Small documents, whole or not at all: asked for again while that may help, and never for longer than allowed.

use std::fmt;
use std::io::Read as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_support::host::Host;
use anyhow::Context as _;
use ureq::Agent;

use super::{Ask, Error, Patience, Proxy, Url, client, follow, trusted};

/// Limits of one document.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a document.
    pub len_max: u64,
    /// For one question and the whole of its answer.
    pub whole: Duration,
    /// Redirects followed for one question.
    pub redirects: u32,
    /// Questions for one document.
    pub tries: u32,
    /// Pause after the first; it doubles with each.
    pub pause: Duration,
    /// Longest pause.
    pub pause_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            len_max: 1 << 20,
            whole: Duration::from_secs(10),
            redirects: 5,
            tries: 15,
            pause: Duration::from_millis(50),
            pause_max: Duration::from_secs(5),
        }
    }
}

/// Fetches documents for one machine.
#[derive(Clone)]
pub struct Getter {
    limits: Limits,
    direct: Agent,
    proxied: Agent,
}

impl fmt::Debug for Getter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Getter").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Getter {
    /// Reads whom the machine trusts, and asks nothing yet; `name` is what servers are told.
    pub fn new(host: &Host, name: &str, limits: Limits) -> anyhow::Result<Self> {
        let roots = trusted(host).context("reading the certificate authorities")?;
        let patience = Patience { answer: limits.whole, stall: limits.whole };
        let direct = client(roots.clone(), patience, Proxy::Never, name);
        let proxied = client(roots, patience, Proxy::OfEnvironment, name);
        Ok(Self { limits, direct, proxied })
    }

    /// Fetches a document and asks again as long as that may help, until `end`; the headers are for this server alone.
    pub fn get(&self, url: &Url, private: &[(&str, &str)], end: Instant) -> Result<Vec<u8>, Error> {
        self.ask(&Ask { private, ..Ask::get(url) }, end)
    }

    /// Asks any question, and again as long as that may help, until `end`.
    pub fn ask(&self, ask: &Ask<'_>, end: Instant) -> Result<Vec<u8>, Error> {
        let mut pause = self.limits.pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() && tries == 1 {
                return Err(Error::Cut { why: format!("asking {}: no time is left", ask.url) });
            }
            match self.once(ask, left.min(self.limits.whole)) {
                Err(err) if err.is_transient() && tries < self.limits.tries => {
                    if end.saturating_duration_since(Instant::now()) <= pause {
                        return Err(err);
                    }
                    sleep(pause);
                    pause = (2 * pause).min(self.limits.pause_max);
                }
                answer => return answer,
            }
        }
    }

    fn once(&self, ask: &Ask<'_>, whole: Duration) -> Result<Vec<u8>, Error> {
        let agent = if ask.url.is_near() { &self.direct } else { &self.proxied };
        let ask = Ask { whole: Some(whole), ..ask.clone() };
        let url = ask.url;
        let response = follow(agent, ask, self.limits.redirects, &mut || {})?;
        match response.status().as_u16() {
            200 => {}
            status @ (429 | 500..=599) => return Err(Error::Busy { status }),
            404 => return Err(Error::Missing { url: url.to_string() }),
            status => return Err(Error::answer("status", "200", status)),
        }
        let limit = self.limits.len_max;
        let mut bytes = Vec::new();
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        body.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|err| Error::Cut { why: format!("reading the answer of {url}: {err}") })?;
        if limit < u64::try_from(bytes.len()).expect("usize has at most 64 bits") {
            return Err(Error::answer("length", format!("at most {limit} bytes"), "more"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use agent_support::testing::Tree;

    use super::*;
    use crate::testing::{Answer, Server, dead_url};

    fn getter() -> Getter {
        let limits = Limits {
            len_max: 10,
            pause: Duration::from_millis(1),
            pause_max: Duration::from_millis(2),
            ..Limits::default()
        };
        Getter::new(&Tree::new().host, "test/1", limits).unwrap()
    }

    fn get(url: &str) -> Result<Vec<u8>, Error> {
        let end = Instant::now() + Duration::from_secs(20);
        getter().get(&Url::parse(url).unwrap(), &[("X-Test", "1")], end)
    }

    #[test]
    fn a_server_in_trouble_is_asked_again_and_gets_name_and_headers() {
        let server =
            Server::start(|_, before| if before < 3 { Answer::status(500) } else { Answer::ok("hello") });
        assert_eq!(get(&server.url("/a")).unwrap(), b"hello");
        let asked = server.asked();
        assert_eq!((asked.len(), asked[3].line.as_str()), (4, "GET /a"));
        assert!(
            asked[0].headers.contains("x-test: 1\n") && asked[0].headers.contains("user-agent: test/1\n")
        );
    }

    #[test]
    fn after_fifteen_tries_a_server_is_given_up() {
        let server = Server::start(|_, _| Answer::status(503));
        assert!(matches!(get(&server.url("/")), Err(Error::Busy { status: 503 })));
        assert_eq!(server.asked().len(), 15);
        assert!(matches!(get(&dead_url()), Err(Error::Cut { .. })));
    }

    #[test]
    fn what_a_server_refuses_is_not_asked_again() {
        let server = Server::start(|question, _| match question.line.as_str() {
            "GET /none" => Answer::status(404),
            "GET /long" => Answer::ok("eleven long"),
            "GET /loop" => Answer { headers: "Location: /loop\r\n".to_owned(), ..Answer::status(302) },
            "GET /moved" => Answer { headers: "Location: there\r\n".to_owned(), ..Answer::status(307) },
            "GET /there" => Answer::ok("here"),
            _ => Answer::status(403),
        });
        let says = |path: &str| get(&server.url(path)).unwrap_err().to_string();
        assert!(says("/none").ends_with("/none: the server answers with status 404"), "{}", says("/none"));
        assert_eq!(says("/long"), "length: expected at most 10 bytes, found more");
        assert_eq!(says("/loop"), "redirects: expected at most 5, found more");
        assert_eq!(says("/forbidden"), "status: expected 200, found 403");
        assert_eq!(get(&server.url("/moved")).unwrap(), b"here");
    }

    #[test]
    fn what_is_for_one_server_is_not_for_where_it_leads() {
        let other = Server::start(|_, _| Answer::ok("other"));
        let location = format!("Location: {}\r\n", other.url("/b"));
        let server = Server::start(move |question, _| match question.line.as_str() {
            "GET /a" => Answer { headers: "Location: /c\r\n".to_owned(), ..Answer::status(302) },
            _ => Answer { headers: location.clone(), ..Answer::status(302) },
        });
        assert_eq!(get(&server.url("/a")).unwrap(), b"other");
        let told = |server: &Server| {
            server.asked().iter().map(|asked| asked.headers.contains("x-test:")).collect::<Vec<_>>()
        };
        assert_eq!((told(&server), told(&other)), (vec![true, true], vec![false]));
    }

    #[test]
    fn a_body_that_drips_is_cut_at_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").unwrap();
            // Until the client goes away.
            while stream.write_all(b"x").is_ok() {
                sleep(Duration::from_millis(900));
            }
        });
        let begin = Instant::now();
        let url = Url::parse(&url).unwrap();
        let answer = getter().get(&url, &[], begin + Duration::from_millis(1500));
        assert!(matches!(answer, Err(Error::Cut { .. })), "{answer:?}");
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    }

    #[test]
    fn no_answer_is_waited_for_beyond_the_end() {
        let server = Server::start(|_, _| {
            sleep(Duration::from_secs(5));
            Answer::ok("late")
        });
        let begin = Instant::now();
        let url = Url::parse(&server.url("/")).unwrap();
        let answer = getter().get(&url, &[], begin + Duration::from_millis(200));
        assert!(matches!(answer, Err(Error::Cut { .. })), "{answer:?}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
}
