//! What the service manager is told (sd_notify(3)): ready, alive, stopping, and a line of status.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News<'a> {
    /// It runs.
    Ready,
    /// It ends.
    Stopping,
    /// It is alive.
    Alive,
    /// How it is, in one line.
    Status(&'a str),
}

/// Tells the service manager, if there is one that wants to know.
#[derive(Debug)]
pub struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Makes one by what the service manager left in the environment; `variable` reads that.
    ///
    /// # Errors
    /// When it named a socket that cannot be meant.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> io::Result<Self> {
        let to = match variable("NOTIFY_SOCKET") {
            Some(name) => Some((UnixDatagram::unbound()?, address(&name)?)),
            None => None,
        };
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let for_us = text("WATCHDOG_PID").is_none_or(|value| value == pid.to_string());
        let period = text("WATCHDOG_USEC").and_then(|value| value.parse().ok()).map(Duration::from_micros);
        Ok(Self { to, watchdog: period.filter(|period| for_us && !period.is_zero()) })
    }

    /// How often to say that it is alive: twice in the time that the service manager waits.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.map(|period| period / 2)
    }

    /// Tells it. Failing to is not an error of ours: the service manager notices what it misses.
    pub fn tell(&self, news: News<'_>) {
        if let Some((socket, to)) = &self.to {
            let _ = socket.send_to_addr(message(news).as_bytes(), to);
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn message(news: News<'_>) -> String {
    match news {
        News::Ready => "READY=1\n".to_owned(),
        News::Stopping => "STOPPING=1\n".to_owned(),
        News::Alive => "WATCHDOG=1\n".to_owned(),
        News::Status(line) => format!("STATUS={}\n", line.replace('\n', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(variables: &[(&str, &str)]) -> Notifier {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Notifier::new(find, 42).unwrap()
    }

    #[test]
    fn what_is_sent_is_what_the_service_manager_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let notifier = notifier(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
        for (news, expected) in [
            (News::Ready, "READY=1\n"),
            (News::Alive, "WATCHDOG=1\n"),
            (News::Stopping, "STOPPING=1\n"),
            (News::Status("a\nb"), "STATUS=a b\n"),
        ] {
            notifier.tell(news);
            let mut bytes = [0; 64];
            let len = manager.recv(&mut bytes).unwrap();
            assert_eq!(std::str::from_utf8(&bytes[..len]).unwrap(), expected);
        }
    }

    #[test]
    fn a_watchdog_is_ours_if_it_names_no_other() {
        let every = |variables: &[(&str, &str)]| notifier(variables).alive_every();
        assert_eq!(every(&[("WATCHDOG_USEC", "60000000")]), Some(Duration::from_secs(30)));
        assert_eq!(every(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "7")]), None);
        assert_eq!(every(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(every(&[]), None);
    }
}
