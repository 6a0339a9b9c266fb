//! Where the API is served: what systemd gave, a socket of our own without that, and TCP addresses with TLS. They are
//! kept while the program runs, so that nobody is turned away while its parts are made anew.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{Api, ApiTls};
use crate::http::listen::SocketFile;
use crate::http::{Listener, ListenerError, TlsFiles};

/// Who may connect to a socket that we make: owner and group.
const MODE: u32 = 0o660;
/// The group.
const GROUP: &str = "fleet";
/// Where groups have their numbers.
const GROUPS: &str = "/etc/group";

/// All places.
#[derive(Debug)]
pub struct Listeners {
    /// From systemd, for as long as the program runs.
    given: Vec<Listener>,
    /// Our own unix socket.
    own: Option<(PathBuf, Listener)>,
    /// TCP.
    tcp: BTreeMap<SocketAddr, Listener>,
}

impl Listeners {
    /// Takes what systemd gave and opens the rest.
    ///
    /// # Errors
    /// When one of them cannot be listened at.
    pub async fn open(api: &Api) -> Result<Self, ListenerError> {
        let given = Listener::given(files(api).as_ref())?;
        let mut listeners = Self { given, own: None, tcp: BTreeMap::new() };
        listeners.adapt(api).await?;
        Ok(listeners)
    }

    /// Opens what is new in the settings, reads certificates anew, and lets go of what is no longer in them. What is
    /// there and wanted stays open.
    ///
    /// # Errors
    /// When one of them cannot be listened at; those of before stay then.
    pub async fn adapt(&mut self, api: &Api) -> Result<(), ListenerError> {
        let tls = files(api);
        let mut fresh = BTreeMap::new();
        for address in &api.addresses {
            // The settings have files wherever they have addresses.
            let Some(tls) = &tls else { continue };
            if !self.tcp.contains_key(address) {
                fresh.insert(*address, Listener::tls(*address, tls).await?);
            }
        }
        let own = match &self.own {
            Some((path, _)) if *path == api.socket => None,
            _ if !self.given.is_empty() => None,
            _ => Some(self.unix(api).await?),
        };
        if let Some(tls) = &tls {
            for listener in self.given.iter().chain(self.tcp.values()) {
                listener.renew(tls)?;
            }
        }
        self.tcp.retain(|address, _| api.addresses.contains(address));
        self.tcp.append(&mut fresh);
        if own.is_some() {
            self.own = own;
        }
        Ok(())
    }

    /// Returns all of them.
    pub fn all(&self) -> Vec<Listener> {
        let own = self.own.iter().map(|(_, listener)| listener);
        self.given.iter().chain(own).chain(self.tcp.values()).cloned().collect()
    }

    async fn unix(&self, api: &Api) -> Result<(PathBuf, Listener), ListenerError> {
        // Without such a group the socket is its owner's alone to connect to, and root's.
        let group = fs::read_to_string(GROUPS).ok().and_then(|text| number(&text, GROUP));
        let file = SocketFile { path: api.socket.clone(), mode: MODE, group };
        Ok((api.socket.clone(), Listener::unix(&file).await?))
    }
}

fn files(api: &Api) -> Option<TlsFiles> {
    let ApiTls { ca, identity } = api.tls.clone()?;
    Some(TlsFiles { ca, certificate: identity.certificate, key: identity.key })
}

/// The number of a group in a file as group(5) has it.
fn number(text: &str, group: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(group);
        let number = fields.nth(1)?;
        if is_it { number.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn api(socket: PathBuf) -> Api {
        Api { socket, addresses: Vec::new(), tls: None }
    }

    #[test]
    fn a_group_has_the_number_of_its_line() {
        let text = "root:x:0:\nfleetd:x:7:\nfleet:x:104:core\n";
        assert_eq!(number(text, "fleet"), Some(104));
        assert_eq!(number("root:x:0:\n", "fleet"), None);
        assert_eq!(number("fleet\nfleet:x:no:\n", "fleet"), None);
    }

    #[tokio::test]
    async fn a_socket_that_is_still_wanted_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let mut listeners = Listeners { given: Vec::new(), own: None, tcp: BTreeMap::new() };
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        // The test's user may not give a file to another group.
        let file = |path: &PathBuf| SocketFile { path: path.clone(), mode: MODE, group: None };
        listeners.own = Some((one.clone(), Listener::unix(&file(&one)).await.unwrap()));
        listeners.adapt(&api(one.clone())).await.unwrap();
        UnixStream::connect(&one).unwrap();
        assert_eq!(listeners.all().len(), 1);
        listeners.own = Some((two.clone(), Listener::unix(&file(&two)).await.unwrap()));
        assert!(!one.exists(), "the file goes with its listener");
        UnixStream::connect(&two).unwrap();
    }
}
