//! Asks for the device's name: who types it has read it.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often it is looked whether the user wants to stop.
const TICK: Duration = Duration::from_millis(100);

/// Why nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum NotConfirmed {
    /// Nobody is there to answer.
    #[error(
        "nobody can be asked here, because the standard input is no terminal: say --yes; nothing was written"
    )]
    NoTerminal,
    /// The user wants to stop.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// The standard input has ended.
    #[error("no answer; nothing was written")]
    NoAnswer,
    /// The standard input failed.
    #[error("reading the answer")]
    Read(#[source] io::Error),
    /// Something else was typed.
    #[error("that is not `{expected}`; nothing was written")]
    Other {
        /// The name.
        expected: String,
    },
}

/// Says with `say` what is asked, and goes on when the name was typed.
pub fn ask(name: &str, say: impl Fn(&str), is_cancelled: impl Fn() -> bool) -> Result<(), NotConfirmed> {
    if !io::stdin().is_terminal() {
        return Err(NotConfirmed::NoTerminal);
    }
    say(&format!("All that is on it will be lost. Type `{name}` to go on:"));
    // Reading goes on after a signal, so another thread waits for the line; it ends with the process.
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        // Nobody listens after an interruption.
        sender.send(read).ok();
    });
    loop {
        if is_cancelled() {
            return Err(NotConfirmed::Interrupted);
        }
        match receiver.recv_timeout(TICK) {
            Ok(line) => return judge(&line.map_err(NotConfirmed::Read)?, name),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(NotConfirmed::NoAnswer),
        }
    }
}

fn judge(line: &str, name: &str) -> Result<(), NotConfirmed> {
    if line.trim() == name { Ok(()) } else { Err(NotConfirmed::Other { expected: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_itself_goes_on() {
        judge("sdb\n", "sdb").unwrap();
        for wrong in ["", "\n", "y\n", "yes\n", "sda\n", "sdb1\n", "/dev/sdb\n", "SDB\n"] {
            let refused = judge(wrong, "sdb").unwrap_err().to_string();
            assert_eq!(refused, "that is not `sdb`; nothing was written");
        }
    }
}
