//! `REBOOT_STRATEGY`: who decides when a machine reboots into a version that waits.

use std::fmt;
use std::str::FromStr;

/// The variable that names a strategy.
pub const VARIABLE: &str = "REBOOT_STRATEGY";

/// What `REBOOT_STRATEGY` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The machine reboots within its window, after the notice, and asks nobody.
    #[default]
    Reboot,
    /// The machine takes a slot of its group first.
    EtcdLock,
    /// As `EtcdLock` where there is an etcd, else as `Reboot`.
    BestEffort,
    /// An operator reboots the machine.
    Off,
}

/// Whether an etcd is to be asked on this machine: its own, or one that was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etcd {
    /// `etcd.service` is not inactive here, or a configured endpoint answers.
    Expected,
    /// Neither.
    None,
}

/// What a strategy comes to at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Reboots without asking anybody.
    Alone,
    /// Reboots with a slot.
    Locked,
    /// Never reboots; gives back a slot that it has.
    Off(Etcd),
}

/// A strategy that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={found} is no strategy; use reboot, etcd-lock, best-effort or off")]
pub struct UnknownStrategy {
    /// What was found.
    pub found: String,
}

impl Strategy {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Reboot, Self::EtcdLock, Self::BestEffort, Self::Off];

    /// Returns the word of the strategy.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::EtcdLock => "etcd-lock",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }

    /// Returns what the strategy comes to. Asked anew for each step, because an etcd may come and go.
    pub fn mode(self, etcd: Etcd) -> Mode {
        match (self, etcd) {
            (Self::Reboot, _) | (Self::BestEffort, Etcd::None) => Mode::Alone,
            (Self::EtcdLock, _) | (Self::BestEffort, Etcd::Expected) => Mode::Locked,
            (Self::Off, etcd) => Mode::Off(etcd),
        }
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    /// Reads a word; nothing is the default. `false` is what YAML 1.1 makes of an unquoted `off`.
    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        match text {
            "" => Ok(Self::default()),
            "false" => Ok(Self::Off),
            _ => Self::ALL
                .into_iter()
                .find(|strategy| strategy.name() == text)
                .ok_or_else(|| UnknownStrategy { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        assert_eq!("".parse(), Ok(Strategy::Reboot));
    }

    #[test]
    fn the_false_of_yaml_is_off() {
        assert_eq!("false".parse(), Ok(Strategy::Off));
    }

    #[test]
    fn another_word_is_refused_with_those_that_there_are() {
        for text in ["Reboot", "off ", "true", "none"] {
            let found = text.parse::<Strategy>().unwrap_err().to_string();
            assert_eq!(
                found,
                format!("REBOOT_STRATEGY={text} is no strategy; use reboot, etcd-lock, best-effort or off")
            );
        }
    }

    #[test]
    fn best_effort_takes_a_slot_where_an_etcd_is_expected() {
        assert_eq!(Strategy::BestEffort.mode(Etcd::Expected), Mode::Locked);
        assert_eq!(Strategy::BestEffort.mode(Etcd::None), Mode::Alone);
        for etcd in [Etcd::Expected, Etcd::None] {
            assert_eq!(Strategy::EtcdLock.mode(etcd), Mode::Locked);
            assert_eq!(Strategy::Reboot.mode(etcd), Mode::Alone);
            assert_eq!(Strategy::Off.mode(etcd), Mode::Off(etcd));
        }
    }
}
