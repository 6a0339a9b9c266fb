//! Keeps the terminal's settings over a program that may be killed in raw mode.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Restores the settings that standard input had, when dropped.
#[derive(Debug)]
pub struct Terminal {
    before: Option<Termios>,
}

impl Terminal {
    /// Remembers the settings; does nothing where standard input is no terminal.
    pub fn remember() -> Self {
        // No terminal, nothing to restore.
        Self { before: tcgetattr(std::io::stdin()).ok() }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that was closed meanwhile needs no settings, so the result says nothing.
            tcsetattr(std::io::stdin(), OptionalActions::Now, before).unwrap_or_default();
        }
    }
}
