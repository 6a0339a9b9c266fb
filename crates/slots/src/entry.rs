//! File names of boot entries: `slipway_1.4.0.efi`, `slipway_1.4.0+3.efi`, `slipway_1.4.0+2-1.efi`
//! (<https://systemd.io/AUTOMATIC_BOOT_ASSESSMENT/>).

use std::fmt;

use crate::version::{ParseVersionError, Version, number};

/// Largest counter accepted. systemd-boot has no use for more either.
pub const TRIES_MAX: u32 = 999;

/// The file name of a unified kernel image in the loader's folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryName {
    /// Name of the product, as in `slipway`.
    pub product: String,
    /// Version that the entry boots.
    pub version: Version,
    /// Boot counter; `None` for a blessed entry.
    pub counter: Option<Counter>,
}

/// A boot counter: `+<left>` or `+<left>-<done>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Tries that are left.
    pub left: u32,
    /// Tries made; `None` when the name does not say, which means zero.
    pub done: Option<u32>,
}

/// Why a file name is no entry of the product.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseEntryError {
    /// The name has another form.
    #[error("`{name}` is no entry of {product}: expected {product}_<version>[+<left>[-<done>]].efi")]
    Form {
        /// The file name.
        name: String,
        /// The product.
        product: String,
    },
    /// The version in the name is none.
    #[error("entry `{name}`")]
    Version {
        /// The file name.
        name: String,
        /// The cause.
        #[source]
        source: ParseVersionError,
    },
    /// A counter is not a number from 0 to [`TRIES_MAX`], without leading zeros.
    #[error("entry `{name}`: `{found}` is no boot counter; expected 0 to {TRIES_MAX}")]
    Counter {
        /// The file name.
        name: String,
        /// The text in the counter's place.
        found: String,
    },
    /// A product name would make file names ambiguous.
    #[error("product name `{found}`: expected 1 to 32 of a-z, 0-9 and `-`")]
    Product {
        /// The name.
        found: String,
    },
}

/// Checks that a product name can be part of file names: 1 to 32 of `a-z`, `0-9` and `-`.
pub fn check_product(product: &str) -> Result<(), ParseEntryError> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&product.len()) && product.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(ParseEntryError::Product { found: product.to_owned() })
    }
}

impl EntryName {
    /// Returns the name of a blessed entry, as the image's first one.
    pub fn blessed(product: &str, version: Version) -> Self {
        Self { product: product.to_owned(), version, counter: None }
    }

    /// Returns the name of an entry with `left` tries, as an update's.
    pub fn counted(product: &str, version: Version, left: u32) -> Self {
        let counter = Some(Counter { left, done: None });
        Self { product: product.to_owned(), version, counter }
    }

    /// Reads the file name of an entry of `product`.
    pub fn parse(product: &str, name: &str) -> Result<Self, ParseEntryError> {
        check_product(product)?;
        let inner = name.strip_prefix(product).and_then(|rest| rest.strip_prefix('_'));
        let inner = inner
            .and_then(|rest| rest.strip_suffix(".efi"))
            .ok_or_else(|| ParseEntryError::Form { name: name.to_owned(), product: product.to_owned() })?;
        let tries = |text: &str| match number(text).and_then(|n| u32::try_from(n).ok()) {
            Some(n) if n <= TRIES_MAX => Ok(n),
            _ => Err(ParseEntryError::Counter { name: name.to_owned(), found: text.to_owned() }),
        };
        let (version, counter) = match inner.split_once('+') {
            None => (inner, None),
            Some((version, counter)) => {
                let (left, done) = match counter.split_once('-') {
                    None => (tries(counter)?, None),
                    Some((left, done)) => (tries(left)?, Some(tries(done)?)),
                };
                (version, Some(Counter { left, done }))
            }
        };
        let version =
            version.parse().map_err(|source| ParseEntryError::Version { name: name.to_owned(), source })?;
        Ok(Self { product: product.to_owned(), version, counter })
    }

    /// Returns whether the entry is blessed: it carries no counter.
    pub fn is_blessed(&self) -> bool {
        self.counter.is_none()
    }

    /// Returns whether the entry has no tries left: the loader puts it last.
    pub fn is_exhausted(&self) -> bool {
        self.counter.is_some_and(|counter| counter.left == 0)
    }

    /// Returns the number of tries made, as far as the name says.
    pub fn tries_done(&self) -> u32 {
        self.counter.and_then(|counter| counter.done).unwrap_or(0)
    }

    /// Returns the name that the loader gives the entry before it starts it. A blessed one keeps its name.
    pub fn after_try(&self) -> Self {
        let after = |counter: Counter| Counter {
            left: counter.left.saturating_sub(1),
            done: Some((counter.done.unwrap_or(0) + 1).min(TRIES_MAX)),
        };
        Self { counter: self.counter.map(after), ..self.clone() }
    }

    /// Returns the name after blessing: without counter.
    pub fn after_blessing(&self) -> Self {
        Self { counter: None, ..self.clone() }
    }

    /// Returns the name that puts the entry last, as for a rollback by an operator: no tries left.
    pub fn without_tries(&self) -> Self {
        Self { counter: Some(Counter { left: 0, done: Some(self.tries_done()) }), ..self.clone() }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.product, self.version)?;
        if let Some(Counter { left, done }) = self.counter {
            write!(f, "+{left}")?;
            if let Some(done) = done {
                write!(f, "-{done}")?;
            }
        }
        f.write_str(".efi")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> EntryName {
        EntryName::parse("slipway", name).unwrap()
    }

    #[test]
    fn round_trips_all_forms() {
        for name in [
            "slipway_0.1.0.efi",
            "slipway_0.1.0+3.efi",
            "slipway_0.1.0+2-1.efi",
            "slipway_0.1.0~rc.1+0-999.efi",
        ] {
            assert_eq!(parse(name).to_string(), name);
        }
    }

    #[test]
    fn each_try_moves_the_counter_until_none_is_left() {
        let mut entry = parse("slipway_0.2.0+3.efi");
        let names: Vec<_> = std::iter::repeat_with(|| {
            entry = entry.after_try();
            entry.to_string()
        })
        .take(4)
        .collect();
        let expected = ["+2-1", "+1-2", "+0-3", "+0-4"].map(|counter| format!("slipway_0.2.0{counter}.efi"));
        assert_eq!(names, expected);
        let blessed = parse("slipway_0.2.0.efi");
        assert_eq!(blessed.after_try(), blessed);
    }

    #[test]
    fn blessing_and_rollback_change_the_counter_only() {
        let entry = parse("slipway_0.2.0+2-1.efi");
        assert!(!entry.is_blessed() && !entry.is_exhausted());
        assert_eq!(entry.after_blessing(), parse("slipway_0.2.0.efi"));
        assert!(entry.after_blessing().is_blessed());
        assert_eq!(entry.without_tries(), parse("slipway_0.2.0+0-1.efi"));
        assert_eq!(entry.after_blessing().without_tries(), parse("slipway_0.2.0+0-0.efi"));
        assert!(entry.without_tries().is_exhausted());
    }

    #[test]
    fn rejects_what_is_no_entry() {
        for name in [
            "",
            "slipway_0.1.0",
            "slipway_0.1.0.efi.tmp",
            "slipway_0.1.0.EFI",
            "slipway-0.1.0.efi",
            "other_0.1.0.efi",
            "slipway.efi",
        ] {
            let found = EntryName::parse("slipway", name);
            assert!(matches!(found, Err(ParseEntryError::Form { .. })), "{name}");
        }
        for name in ["slipway_.efi", "slipway_0.1.efi", "slipway_0.1.0-1.efi", "slipway_slipway_0.1.0.efi"] {
            let found = EntryName::parse("slipway", name);
            assert!(matches!(found, Err(ParseEntryError::Version { .. })), "{name}");
        }
        for counter in ["", "x", "03", "3-", "-1", "3-1-1", "1000", "3+1", "99999999999999999999"] {
            let found = EntryName::parse("slipway", &format!("slipway_0.1.0+{counter}.efi"));
            assert!(matches!(found, Err(ParseEntryError::Counter { .. })), "{counter}");
        }
        for product in ["", "Slipway", "slip_way", "a/b"] {
            let found = EntryName::parse(product, "slipway_0.1.0.efi");
            assert!(matches!(found, Err(ParseEntryError::Product { .. })), "{product}");
        }
    }
}
