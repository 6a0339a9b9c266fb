//! What the service manager is told (sd_notify(3)): ready, stopping, and a line of status.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'a> {
    /// It serves.
    Ready,
    /// It ends.
    Stopping,
    /// How it is, in one line.
    Status(&'a str),
}

/// Tells the service manager, if there is one that wants to know.
#[derive(Debug)]
pub struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// Makes one by what the service manager left in the environment; `variable` reads that.
    ///
    /// # Errors
    /// When it named a socket that cannot be meant.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        Ok(Self(match variable("NOTIFY_SOCKET") {
            Some(name) => Some((UnixDatagram::unbound()?, address(&name)?)),
            None => None,
        }))
    }

    /// Tells it. Failing to is not an error of ours: the service manager notices what it misses.
    pub fn tell(&self, news: News<'_>) {
        if let Some((socket, to)) = &self.0 {
            let message = match news {
                News::Ready => "READY=1\n".to_owned(),
                News::Stopping => "STOPPING=1\n".to_owned(),
                News::Status(line) => format!("STATUS={}\n", line.replace('\n', " ")),
            };
            let _ = socket.send_to_addr(message.as_bytes(), to);
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_sent_is_what_the_service_manager_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let notifier =
            Notifier::new(|name| (name == "NOTIFY_SOCKET").then(|| path.clone().into_os_string())).unwrap();
        let read = |news| {
            notifier.tell(news);
            let mut bytes = [0; 256];
            let len = manager.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..len].to_vec()).unwrap()
        };
        assert_eq!(read(News::Ready), "READY=1\n");
        assert_eq!(read(News::Stopping), "STOPPING=1\n");
        assert_eq!(read(News::Status("a\nb")), "STATUS=a b\n");
    }

    #[test]
    fn without_a_socket_nobody_is_told() {
        Notifier::new(|_| None).unwrap().tell(News::Ready);
    }
}
