//! What a client says when it has no answer: what is wrong, and the remedy.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::Place;
use crate::api::{Error, ErrorKind};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No way there, as it is told.
    Told(String),
    /// The connection ended while it was waited for.
    Ended,
    /// The connection broke, or what was said is no HTTP.
    Broken(hyper::Error),
    /// The answer did not come whole, or is too long.
    Body(Box<dyn StdError + Send + Sync>),
}

impl Trouble {
    pub(super) fn into_error(self, place: &Place) -> Error {
        let (what, err) = match self {
            Self::Told(message) => return Error::new(ErrorKind::Unreachable, message),
            Self::Ended => ("the connection ended without an answer", String::new()),
            Self::Broken(err) => ("the connection broke", format!(": {}", chain(&err))),
            Self::Body(err) => ("the answer did not come whole", format!(": {}", chain(&*err))),
        };
        let remedy = match place {
            Place::Unix(_) => "is fleetd running? systemctl status fleet",
            Place::Tcp(_) => "does fleetd answer at the other end?",
            Place::Tls(..) => "does fleetd trust the authority of this certificate, and answer there?",
            Place::Through(_) => "is fleetd running there? systemctl status fleet on that machine",
        };
        Error::new(ErrorKind::Unreachable, format!("asking {place}: {what}{err}; {remedy}"))
    }
}

/// A unix socket that cannot be connected to.
pub(super) fn socket(path: &Path, err: &io::Error) -> Trouble {
    let path = path.display();
    Trouble::Told(match err.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "connecting to {path}: there is no such socket: fleetd is not running: systemctl start fleet"
            )
        }
        io::ErrorKind::PermissionDenied => format!(
            "connecting to {path}: permission denied: only root and members of the group fleet may: \
             sudo usermod --append --groups fleet $USER, then log in again"
        ),
        io::ErrorKind::ConnectionRefused => {
            format!("connecting to {path}: nobody listens: fleetd has ended: systemctl restart fleet")
        }
        _ => format!("connecting to {path}: {err}; is fleetd running? systemctl status fleet"),
    })
}

/// A TCP address that cannot be connected to.
pub(super) fn address(authority: &str, err: &io::Error) -> Trouble {
    Trouble::Told(format!(
        "connecting to {authority}: {err}; make sure that --endpoint is right and fleetd listens there"
    ))
}

/// A host that no certificate can name.
pub(super) fn name(host: &str) -> Trouble {
    Trouble::Told(format!(
        "{host:?} is no name that a certificate can have: --endpoint takes a host or an address"
    ))
}

/// TLS that did not come to be.
pub(super) fn handshake(authority: &str, err: &io::Error) -> Trouble {
    Trouble::Told(format!(
        "speaking TLS with {authority}: {}; make sure that --ca-file is the authority of fleetd's certificate, and \
         that the certificate is for this host",
        chain(err)
    ))
}

/// A stream that was not opened.
pub(super) fn dial(name: &str, err: &io::Error) -> Trouble {
    Trouble::Told(format!("connecting to {name}: {err}; make sure that the way there is right"))
}

/// A request that cannot be written.
pub(super) fn request(host: &str, err: &dyn StdError) -> Trouble {
    Trouble::Told(format!("asking {host}: {err}; --endpoint takes a host or an address"))
}

/// A server that took too long. Whether it did what was asked is not known.
pub(super) fn late(place: &Place, limit: Duration) -> Error {
    Error::new(
        ErrorKind::Unreachable,
        format!(
            "asking {place}: no answer within {} s: etcd may be slow or without quorum; --request-timeout waits longer",
            limit.as_secs_f64()
        ),
    )
}

/// An answer that is none of fleetd's.
pub(super) fn foreign(place: &Place, what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "asking {place}: the answer is none of fleetd's: {what}; make sure that fleetd of this version listens there"
        ),
    )
}

/// Returns an error with all that led to it; what an error says of the one before is not said twice.
fn chain(err: &(dyn StdError + 'static)) -> String {
    let mut text = err.to_string();
    let mut next = err.source();
    while let Some(err) = next {
        let more = err.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = err.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_does_not_open_says_what_to_do() {
        for (kind, wanted) in [
            (io::ErrorKind::NotFound, "fleetd is not running: systemctl start fleet"),
            (io::ErrorKind::PermissionDenied, "sudo usermod --append --groups fleet $USER"),
            (io::ErrorKind::ConnectionRefused, "systemctl restart fleet"),
            (io::ErrorKind::OutOfMemory, "systemctl status fleet"),
        ] {
            let place = Place::Unix("/run/fleet.sock".into());
            let err = socket(Path::new("/run/fleet.sock"), &io::Error::from(kind)).into_error(&place);
            assert_eq!(err.kind, ErrorKind::Unreachable);
            assert!(err.message.starts_with("connecting to /run/fleet.sock: "), "{err}");
            assert!(err.message.contains(wanted), "{err}");
        }
    }

    #[test]
    fn what_led_to_an_error_is_told_once() {
        let inner = io::Error::other("the certificate is old");
        let outer = io::Error::other(inner);
        assert_eq!(chain(&outer), "the certificate is old");
    }
}
