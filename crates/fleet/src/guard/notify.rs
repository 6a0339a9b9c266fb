//! Tells the service manager that a service of `Type=notify` is ready.

use std::env;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that the process is ready, if somebody asked for that.
///
/// A failure is not told: the service manager then waits in vain and says so itself.
pub(super) fn ready() {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let _ = address.and_then(|to| send(&to));
}

fn send(to: &SocketAddr) -> std::io::Result<()> {
    UnixDatagram::unbound()?.send_to_addr(b"READY=1\n", to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_the_service_manager_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(&SocketAddr::from_pathname(&path).unwrap()).unwrap();
        let mut bytes = [0; 64];
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"READY=1\n");
    }
}
