//! A client of QEMU's control socket (QMP): commands, and the events that say what became of the guest.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest line that QEMU may send; its longest answers have some 100 kB.
const LINE_MAX: u64 = 16 << 20;
/// How long QEMU may take to answer a command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why QEMU could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("talking to QEMU")]
    Io(#[from] std::io::Error),
    /// QEMU has gone.
    #[error("QEMU closed its control socket before answering `{0}`")]
    Closed(String),
    /// QEMU did not answer.
    #[error("QEMU did not answer `{command}` within {secs} s")]
    Silent {
        /// The command.
        command: String,
        /// How long we waited.
        secs: u64,
    },
    /// QEMU refused.
    #[error("QEMU refused `{command}`: {message}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's words.
        message: String,
    },
}

/// Something that happened to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// QEMU's name for it: `RESET`, `SHUTDOWN`, `WATCHDOG`, `GUEST_PANICKED`, …
    pub name: String,
    /// Its data.
    pub data: Value,
}

#[derive(Debug, Default)]
struct Shared {
    events: Vec<Event>,
    answers: Vec<Value>,
    closed: bool,
}

/// A connection to QEMU. A thread reads it; the thread ends with the connection.
#[derive(Debug)]
pub struct Qmp {
    writer: Mutex<UnixStream>,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

impl Qmp {
    /// Negotiates on a fresh connection.
    ///
    /// # Errors
    /// When the socket fails or QEMU refuses.
    pub fn new(stream: UnixStream) -> Result<Self, Error> {
        let reader = stream.try_clone()?;
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let for_thread = Arc::clone(&shared);
        std::thread::spawn(move || read_all(reader, &for_thread));
        let qmp = Self { writer: Mutex::new(stream), shared };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs one command and returns what it returned.
    ///
    /// # Errors
    /// When QEMU refuses, has gone, or does not answer within 30 s.
    pub fn execute(&self, command: &str, arguments: Value) -> Result<Value, Error> {
        // The lock is held until the answer came, so answers need no numbers.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        writer.write_all(line.as_bytes())?;
        let (_, condvar) = &*self.shared;
        let end = Instant::now() + ANSWER_TIMEOUT;
        let mut shared = self.lock();
        loop {
            if let Some(answer) = shared.answers.pop() {
                return result_of(command, answer);
            }
            if shared.closed {
                return Err(Error::Closed(command.to_owned()));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Silent { command: command.to_owned(), secs: ANSWER_TIMEOUT.as_secs() });
            }
            shared = condvar.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Runs a command of the human monitor and returns its text.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn monitor(&self, command: &str) -> Result<String, Error> {
        let answer = self.execute("human-monitor-command", json!({ "command-line": command }))?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Returns every event so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Returns how many events called `name` there were.
    pub fn count(&self, name: &str) -> usize {
        self.lock().events.iter().filter(|event| event.name == name).count()
    }

    /// Waits until `count` events called `name` have happened since the start; false at the deadline, or when
    /// QEMU has gone before.
    pub fn wait_for(&self, name: &str, count: usize, timeout: Duration) -> bool {
        let (_, condvar) = &*self.shared;
        let end = Instant::now() + timeout;
        let mut shared = self.lock();
        loop {
            if count <= shared.events.iter().filter(|event| event.name == name).count() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if shared.closed || left.is_zero() {
                return false;
            }
            shared = condvar.wait_timeout(shared, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn result_of(command: &str, mut answer: Value) -> Result<Value, Error> {
    if let Some(error) = answer.get("error") {
        let message = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
        return Err(Error::Refused { command: command.to_owned(), message });
    }
    Ok(answer.get_mut("return").map(Value::take).unwrap_or_default())
}

fn read_all(stream: UnixStream, shared: &(Mutex<Shared>, Condvar)) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        // A broken connection and QEMU's end look the same to those who wait: closed.
        let count = reader.by_ref().take(LINE_MAX).read_line(&mut line).unwrap_or(0);
        let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count == 0 {
            state.closed = true;
            shared.1.notify_all();
            return;
        }
        // QEMU sends one object per line; the greeting is neither event nor answer.
        if let Ok(value) = serde_json::from_str::<Value>(&line) {
            if let Some(name) = value.get("event").and_then(Value::as_str) {
                let data = value.get("data").cloned().unwrap_or_default();
                state.events.push(Event { name: name.to_owned(), data });
            } else if value.get("return").is_some() || value.get("error").is_some() {
                state.answers.push(value);
            }
        }
        shared.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays QEMU: greets, then answers each line with the next of `answers`.
    fn qemu(answers: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writeln!(writer, r#"{{"QMP": {{"version": {{}}, "capabilities": []}}}}"#).unwrap();
            let mut lines = BufReader::new(theirs).lines();
            for answer in answers {
                lines.next();
                writer.write_all(answer.as_bytes()).unwrap();
            }
        });
        ours
    }

    #[test]
    fn an_answer_is_told_from_an_event() {
        let qmp = Qmp::new(qemu(&[
            "{\"return\": {}}\n",
            "{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n{\"return\": \"ok\"}\n",
        ]))
        .unwrap();
        assert_eq!(qmp.execute("x", json!({})).unwrap(), json!("ok"));
        assert_eq!(qmp.events(), [Event { name: "RESET".into(), data: json!({ "guest": true }) }]);
        assert!(qmp.wait_for("RESET", 1, Duration::ZERO));
    }

    #[test]
    fn a_refusal_carries_qemus_words() {
        let refusal = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such device\"}}\n";
        let qmp = Qmp::new(qemu(Box::leak(Box::new(["{\"return\": {}}\n", refusal])))).unwrap();
        let error = qmp.execute("eject", json!({})).unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused `eject`: no such device");
    }

    #[test]
    fn waiting_ends_when_qemu_has_gone() {
        let qmp = Qmp::new(qemu(&["{\"return\": {}}\n"])).unwrap();
        let start = Instant::now();
        assert!(!qmp.wait_for("RESET", 1, Duration::from_secs(60)));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
