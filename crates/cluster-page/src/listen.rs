//! The socket that is listened at, and what to do when there is none.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why it cannot be listened.
#[derive(Debug, thiserror::Error)]
#[error("listening at {address}: {err}; {}", remedy(.err))]
pub struct Error {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub err: io::Error,
}

/// Listens.
///
/// # Errors
/// When the address cannot be used.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|err| Error { address, err })
}

/// Returns what to say of an address that others can reach.
pub fn warning(address: SocketAddr) -> Option<String> {
    (!address.ip().is_loopback()).then(|| {
        format!(
            "whoever reaches {address} reads this page, without a password and unencrypted: 127.0.0.1 and `ssh -L` keep \
             it for those who may log in"
        )
    })
}

fn remedy(err: &io::Error) -> &'static str {
    match err.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: end it, or choose another port with --listen"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are root's: choose a higher one with --listen",
        io::ErrorKind::AddrNotAvailable => "it is no address of this machine: `ip address` lists those",
        _ => "choose another address with --listen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_to_be() {
        let first = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let err = listen(address).await.unwrap_err().to_string();
        assert!(err.starts_with(&format!("listening at {address}: ")), "{err}");
        assert!(err.ends_with("end it, or choose another port with --listen"), "{err}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_said_to_be() {
        let err = listen("192.0.2.1:7780".parse().unwrap()).await.unwrap_err().to_string();
        assert!(err.ends_with("`ip address` lists those"), "{err}");
    }

    #[test]
    fn every_error_has_a_remedy() {
        let said = |kind: io::ErrorKind| remedy(&kind.into());
        assert!(said(io::ErrorKind::PermissionDenied).contains("below 1024"));
        assert!(said(io::ErrorKind::Other).contains("--listen"));
    }

    #[test]
    fn an_address_that_others_reach_is_warned_of() {
        let of = |address: &str| warning(address.parse().unwrap());
        assert_eq!((of("127.0.0.1:1"), of("[::1]:1")), (None, None));
        assert!(of("0.0.0.0:7780").unwrap().starts_with("whoever reaches 0.0.0.0:7780 reads this page"));
    }
}
