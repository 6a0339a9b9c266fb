//! The terminal from which a cluster was started: the cluster ends with it.

use std::fs::File;

use rustix::io::Errno;

/// A terminal that is held open, so that its end shows.
#[derive(Debug)]
pub struct Terminal(Option<File>);

impl Terminal {
    /// Returns the terminal of this process; in a job that has none nothing ends.
    pub fn of_this_process() -> Self {
        Self(File::open("/dev/tty").ok())
    }

    /// Says whether it was closed. A process in the background gets no signal of that.
    pub fn is_closed(&self) -> bool {
        let Self(Some(terminal)) = self else { return false };
        // Every request to a terminal that was hung up fails so.
        matches!(rustix::termios::tcgetattr(terminal), Err(Errno::IO))
    }
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn a_terminal_is_closed_when_the_window_is() {
        let window = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&window).unwrap();
        unlockpt(&window).unwrap();
        let name = ptsname(&window, Vec::new()).unwrap();
        // Without becoming the terminal of the test.
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let opened = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
        let terminal = Terminal(Some(File::from(opened)));
        assert!(!terminal.is_closed());
        drop(window);
        assert!(terminal.is_closed());
        assert!(!Terminal(None).is_closed(), "a job without a terminal goes on");
    }
}
