//! Flags that commands about units share: which units, how long to wait, whether files are replaced.

use clap::Args;

/// Units of a command.
#[derive(Debug, Args)]
pub struct Units {
    /// Names or files of units; `.service` is appended to a name without a suffix.
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
}

/// How long a command waits.
#[derive(Debug, Args)]
pub struct Block {
    /// Ask for the change and do not wait for it.
    #[arg(long)]
    pub no_block: bool,
    /// Give up after so many attempts of 2 seconds each; 0 waits without an end.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub block_attempts: i64,
}

/// What happens to a unit that is there with other content than its local file.
#[derive(Debug, Args)]
pub struct Replace {
    /// Replace the content of units that are there by that of their local files.
    #[arg(long)]
    pub replace: bool,
}

/// Units, replacing and waiting: `load` and `start`.
#[derive(Debug, Args)]
pub struct Bring {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// Whether content is replaced.
    #[command(flatten)]
    pub replace: Replace,
    /// How long to wait.
    #[command(flatten)]
    pub block: Block,
}

/// Units and waiting: `stop`, `unload` and `destroy`.
#[derive(Debug, Args)]
pub struct Take {
    /// Which units.
    #[command(flatten)]
    pub units: Units,
    /// How long to wait.
    #[command(flatten)]
    pub block: Block,
}

/// How long a command waits for a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Not at all.
    None,
    /// This many attempts of 2 seconds.
    Attempts(u32),
    /// Until it is interrupted.
    Endless,
}

impl Block {
    /// Returns how long to wait. A negative number of attempts means what `--no-block` says, as it always did.
    pub fn patience(&self) -> Patience {
        match self.block_attempts {
            _ if self.no_block => Patience::None,
            0 => Patience::Endless,
            attempts if attempts < 0 => Patience::None,
            attempts => Patience::Attempts(u32::try_from(attempts).unwrap_or(u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_endless_unless_attempts_are_counted() {
        let patience = |no_block, block_attempts| Block { no_block, block_attempts }.patience();
        assert_eq!(patience(false, 0), Patience::Endless);
        assert_eq!(patience(false, 3), Patience::Attempts(3));
        assert_eq!(patience(false, -1), Patience::None);
        assert_eq!(patience(true, 3), Patience::None);
        assert_eq!(patience(false, i64::MAX), Patience::Attempts(u32::MAX));
    }
}
