//! Signals, and what they ask for.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that it acts on.
#[derive(Debug)]
pub struct Signals {
    reload: Signal,
    show: Signal,
    end: Signal,
    interrupt: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To read the settings anew.
    Reload,
    /// To print what is known.
    Show,
    /// To end.
    End,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            show: signal(SignalKind::user_defined1())?,
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.end.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.reload.recv() => Wish::Reload,
            _ = self.show.recv() => Wish::Show,
        }
    }
}
