//! A setting under the name that the user gave it: of its flag, or of its variable.

use std::fs;
use std::path::PathBuf;

use locksmith_core::window::Variable;

use super::Error;
use crate::flags::Program;

/// A setting that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Its flag or its variable.
    pub(super) name: String,
    /// Its text, which is not empty unless a flag said so.
    pub(super) value: String,
}

/// Where settings come from.
pub(super) struct Given<'a> {
    pub(super) program: Program,
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Given<'_> {
    /// What a flag says, or else its variable.
    pub(super) fn text(&self, name: &str, flag: Option<&str>) -> Option<Named> {
        flag.map(|value| Named { name: format!("--{name}"), value: value.to_owned() })
            .or_else(|| self.set(self.variable_of(name)))
    }

    /// The same of a window's settings, which have a name without a prefix as well.
    pub(super) fn window(&self, name: &str, flag: Option<&str>, legacy: &str) -> Option<Named> {
        self.text(name, flag).or_else(|| self.set(legacy.to_owned()))
    }

    /// Two of which each needs the other.
    pub(super) fn pair<'n>(
        &self,
        (first, one): (&str, &'n Option<Named>),
        (second, two): (&str, &'n Option<Named>),
    ) -> Result<Option<(&'n Named, &'n Named)>, Error> {
        match (one, two) {
            (Some(one), Some(two)) => Ok(Some((one, two))),
            (None, None) => Ok(None),
            (Some(one), None) => {
                Err(Error::Half { name: one.name.clone(), missing: self.variable_of(second) })
            }
            (None, Some(two)) => {
                Err(Error::Half { name: two.name.clone(), missing: self.variable_of(first) })
            }
        }
    }

    /// The variable of a flag.
    pub(super) fn variable_of(&self, name: &str) -> String {
        format!("{}{}", self.program.prefix(), name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The name by which a setting was set, or would be.
    pub(super) fn named(&self, name: &str, setting: &Option<Named>) -> String {
        setting.as_ref().map_or_else(|| self.variable_of(name), |named| named.name.clone())
    }

    fn set(&self, name: String) -> Option<Named> {
        let value = (self.variable)(&name).filter(|value| !value.is_empty())?;
        Some(Named { name, value })
    }
}

impl Named {
    /// In the words of the core.
    pub(super) fn as_variable(&self) -> Variable<'_> {
        Variable { name: &self.name, value: &self.value }
    }

    /// Reads the file that it names.
    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        let path = PathBuf::from(&self.value);
        fs::read(&path).map_err(|err| Error::Unreadable { name: self.name.clone(), path, err })
    }
}
