//! Health check: a machine that reached its update server at the last good boot reaches it now.
//!
//! A version that cannot reach it could never be replaced. On a machine that could not reach it before, or has
//! another server now, the check only tells: that is the site's doing, not the version's.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use agent_support::dropins;
use agent_support::host::Host;
use anyhow::Context;

use super::Look;
use super::last_good::{LastGood, UpdateServer};

/// The settings of updates, and the one of them that is needed here; the update agent has the whole parser.
const SETTINGS: &str = "update";
const KEY: &str = "SERVER";
/// For resolving the name and connecting, together.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Host and port, as a URL names them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Returns the text used in messages and in the record.
    fn text(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Checks that the server takes a connection.
pub fn check(look: &Look<'_>, seen: &mut LastGood) -> anyhow::Result<()> {
    let (now, res) = observe(look.host, look.budget.look(TIMEOUT));
    let judged = judge(&look.last_good.update_server, &now, res);
    seen.update_server = now;
    judged
}

/// Tries to reach the server, and returns with that what is in the way.
pub fn observe(host: &Host, timeout: Duration) -> (UpdateServer, anyhow::Result<()>) {
    let endpoint = match configured(host) {
        Ok(Some(endpoint)) => endpoint,
        Ok(None) => return (UpdateServer::NotConfigured, Ok(())),
        // Settings that name no server are the administrator's: the update agent refuses them too, and says so.
        Err(err) => return (UpdateServer::NotConfigured, Err(err)),
    };
    let server = endpoint.text();
    match connect(endpoint, timeout).with_context(|| format!("connecting to {server}")) {
        Ok(()) => (UpdateServer::Reached { server }, Ok(())),
        Err(err) => (UpdateServer::Unreached { server }, Err(err)),
    }
}

/// Fails only if the same server was reached before; tells otherwise.
fn judge(before: &UpdateServer, now: &UpdateServer, res: anyhow::Result<()>) -> anyhow::Result<()> {
    match (before, now, res) {
        (UpdateServer::Reached { server: before }, UpdateServer::Unreached { server }, Err(err))
            if before == server =>
        {
            return Err(err.context("the last good boot reached it"));
        }
        (_, _, Err(err)) => {
            println!("warning: update-server: {err:#} (the last good boot is not known to have reached it)");
        }
        (UpdateServer::Reached { server }, UpdateServer::NotConfigured, Ok(())) => {
            println!("warning: update-server: none is set; the last good boot reached {server}");
        }
        (_, _, Ok(())) => {}
    }
    Ok(())
}

fn configured(host: &Host) -> anyhow::Result<Option<Endpoint>> {
    let settings = dropins::read(host, SETTINGS).context("reading the update settings")?;
    let Some(setting) = settings.get(KEY) else { return Ok(None) };
    let endpoint = parse(&setting.value)
        .with_context(|| format!("{}: `{}` is no http or https URL", setting.at, setting.value))?;
    Ok(Some(endpoint))
}

/// Parses the part of `http(s)://[user@]host[:port][/…]` that a connection needs.
fn parse(url: &str) -> Option<Endpoint> {
    let (scheme, rest) = url.split_once("://")?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let address = authority.rsplit('@').next()?;
    let (host, port) = match address.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let port = match port.strip_prefix(':') {
        Some("") => default_port,
        Some(digits) => digits.parse().ok()?,
        None if port.is_empty() => default_port,
        None => return None,
    };
    let is_host = !host.is_empty() && !host.contains(char::is_whitespace);
    is_host.then(|| Endpoint { host: host.to_owned(), port })
}

/// Connects to the first address that answers.
///
/// Resolving has no timeout of its own, so it runs in a thread that is left alone when the time is over; it ends
/// with the process.
fn connect(endpoint: Endpoint, timeout: Duration) -> anyhow::Result<()> {
    let (sender, receiver) = mpsc::channel();
    let end = Instant::now() + timeout;
    thread::spawn(move || {
        // Nobody listens any more when the time is over: then the answer does not matter.
        let _ = sender.send(connect_until(&endpoint, end));
    });
    match receiver.recv_timeout(timeout) {
        Ok(res) => res,
        Err(_) => anyhow::bail!("no answer within {} s", timeout.as_secs()),
    }
}

fn connect_until(endpoint: &Endpoint, end: Instant) -> anyhow::Result<()> {
    let addresses: Vec<_> =
        (endpoint.host.as_str(), endpoint.port).to_socket_addrs().context("resolving the name")?.collect();
    let mut failure = anyhow::anyhow!("the name has no address");
    for (idx, address) in addresses.iter().enumerate() {
        // An address that does not answer leaves time for the others.
        let share = u32::try_from(addresses.len() - idx).context("counting addresses")?;
        let left = end.saturating_duration_since(Instant::now()) / share;
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(_) => return Ok(()),
            Err(err) => failure = anyhow::Error::new(err),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use std::net::TcpListener;

    const LONG: Duration = Duration::from_secs(10);

    #[track_caller]
    fn check_url(url: &str, expected: Option<&str>) {
        assert_eq!(parse(url).map(|endpoint| endpoint.text()).as_deref(), expected, "{url}");
    }

    #[test]
    fn host_and_port_are_taken_from_the_url() {
        check_url("https://updates.example", Some("updates.example:443"));
        check_url("http://updates.example/slipway", Some("updates.example:80"));
        check_url("HTTPS://updates.example:8443/a:b@c", Some("updates.example:8443"));
        check_url("https://me:secret@updates.example:/", Some("updates.example:443"));
        check_url("http://[fd00::1]:8080/", Some("[fd00::1]:8080"));
        check_url("http://[fd00::1]", Some("[fd00::1]:80"));
        check_url("http://10.0.2.2:8000?x", Some("10.0.2.2:8000"));
    }

    #[test]
    fn rejects_what_is_no_url_of_a_web_server() {
        for url in
            ["", "updates.example", "ftp://a", "https://", "http://:80", "http://a:b", "http://a:65536"]
        {
            check_url(url, None);
        }
        for url in ["http://[fd00::1", "http://[fd00::1]x", "http://[]:80", "http://a b/", "http://a:1:2"] {
            check_url(url, None);
        }
    }

    #[test]
    fn tells_reached_from_unreached_and_not_configured() {
        let tree = Tree::new();
        let (state, res) = observe(&tree.host, LONG);
        assert_eq!(state, UpdateServer::NotConfigured);
        res.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        tree.file("/usr/lib/slipway/update.conf.d/50-image.conf", "SERVER=https://updates.invalid\n");
        tree.file("/etc/slipway/update.conf", format!("SERVER=http://{server}/slipway\n"));
        let (state, res) = observe(&tree.host, LONG);
        assert_eq!(state, UpdateServer::Reached { server: server.clone() });
        res.unwrap();

        drop(listener);
        let (state, res) = observe(&tree.host, LONG);
        assert_eq!(state, UpdateServer::Unreached { server: server.clone() });
        let err = format!("{:#}", res.unwrap_err());
        assert!(err.starts_with(&format!("connecting to {server}: ")) && !err.contains('\n'), "{err}");
    }

    #[test]
    fn settings_that_name_no_server_are_told_with_their_position() {
        let tree = Tree::new();
        tree.file("/etc/slipway/update.conf", "\nSERVER=updates.example\n");
        let (state, res) = observe(&tree.host, LONG);
        assert_eq!(state, UpdateServer::NotConfigured);
        assert_eq!(
            format!("{:#}", res.unwrap_err()),
            "/etc/slipway/update.conf:2: `updates.example` is no http or https URL"
        );
    }

    #[test]
    fn only_the_same_server_that_was_reached_before_must_be_reached() {
        let server = |name: &str| name.to_owned();
        let reached = UpdateServer::Reached { server: server("a:443") };
        let unreached = UpdateServer::Unreached { server: server("a:443") };
        let elsewhere = UpdateServer::Unreached { server: server("b:443") };
        let no_answer = || Err(anyhow::anyhow!("no answer"));
        let err = judge(&reached, &unreached, no_answer()).unwrap_err();
        assert_eq!(format!("{err:#}"), "the last good boot reached it: no answer");
        for before in [&UpdateServer::Unknown, &UpdateServer::NotConfigured, &unreached] {
            judge(before, &unreached, no_answer()).unwrap();
        }
        judge(&reached, &elsewhere, no_answer()).unwrap();
        judge(&reached, &UpdateServer::NotConfigured, no_answer()).unwrap();
        judge(&reached, &UpdateServer::NotConfigured, Ok(())).unwrap();
        judge(&reached, &reached, Ok(())).unwrap();
    }
}
