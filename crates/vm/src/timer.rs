//! A machine whose emulator has lost a processor's timer: nothing in the machine brings it back, so it is reset.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::console::Console;
use crate::qmp::Qmp;

/// What Linux says when a processor's timer stays silent. Seen on hosts with much else to do, once in some hundred
/// starts, always before user space: no watchdog runs then.
const LOST: &str = "rcu_preempt kthread timer wakeup didn't happen";
/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Resets an emulated machine that says so on its console, as a person would. A processor of its own loses no timer.
#[derive(Debug)]
pub(crate) struct Guard {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    pub(crate) fn new(console: Arc<Console>, qmp: Arc<Qmp>) -> Self {
        let (end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut mark = 0;
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let is_lost = console.find(LOST, mark).is_some();
                // What is said until a reset belongs to the start that ends with it; else the text may have begun.
                mark = console.mark().saturating_sub(if is_lost { 0 } else { LOST.len() });
                if is_lost {
                    eprintln!("the emulator lost a processor's timer: the machine is reset");
                    // QEMU that has gone has no machine to reset.
                    drop(qmp.execute("system_reset", json!({})));
                }
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed already.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Plays QEMU: greets, accepts every command, and tells which they were.
    fn qemu() -> (UnixStream, mpsc::Receiver<String>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (told, commands) = mpsc::channel();
        std::thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writeln!(writer, r#"{{"QMP": {{}}}}"#).unwrap();
            for line in BufReader::new(theirs).lines() {
                let Ok(line) = line else { return };
                if writeln!(writer, r#"{{"return": {{}}}}"#).is_err() || told.send(line).is_err() {
                    return;
                }
            }
        });
        (ours, commands)
    }

    #[test]
    fn a_machine_is_reset_each_time_that_it_lost_a_timer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = File::create(&path).unwrap();
        let (stream, commands) = qemu();
        let console = Arc::new(Console::new(File::open(&path).unwrap()));
        let qmp = Arc::new(Qmp::new(stream).unwrap());
        assert!(commands.recv().unwrap().contains("qmp_capabilities"));
        let guard = Guard::new(Arc::clone(&console), qmp);
        for _ in 0..2 {
            write!(log, "login: \r\n[    3.0] rcu: {LOST} for 5250 jiffies!\r\n").unwrap();
            assert!(commands.recv_timeout(Duration::from_secs(60)).unwrap().contains("system_reset"));
        }
        drop(guard);
        assert!(commands.try_recv().is_err(), "it was reset without a reason");
    }
}
