//! What a unit on the command line means: its name, and the file that may be beside it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fleet_core::name::{NameError, UnitName};
use fleet_core::requirements::Requirements;
use fleet_core::unit_file::{FILE_MAX, UnitFile, UnitFileError};

/// Suffixes to which no `.service` is appended.
const SUFFIXES: [&str; 6] = ["service", "socket", "timer", "path", "device", "mount"];

/// A unit on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: UnitName,
    /// Where its file is, if there is one.
    pub path: PathBuf,
}

/// A unit file on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub file: UnitFile,
}

/// What is wrong with a unit on the command line.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Not a unit's name.
    #[error("{argument:?} is no unit: {source}")]
    Name {
        /// As it was given.
        argument: String,
        /// Why.
        source: NameError,
    },
    /// The file cannot be read.
    #[error("reading {}: {source}", .path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no unit file.
    #[error("{}: {source}", .path.display())]
    Syntax {
        /// File.
        path: PathBuf,
        /// Why.
        source: UnitFileError,
    },
    /// `[X-Fleet]` contradicts itself.
    #[error("unit {unit}: {problems}")]
    Requirements {
        /// Unit.
        unit: String,
        /// What is wrong, one after the other.
        problems: String,
    },
}

impl Argument {
    /// Reads an argument: the name is its last part, with `.service` if no suffix says what it is.
    ///
    /// # Errors
    /// When that is no unit's name.
    pub fn parse(argument: &str) -> Result<Self, LocalError> {
        let known = argument.rsplit_once('.').is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix));
        let path = if known { argument.to_owned() } else { format!("{argument}.service") };
        let name = path.rsplit('/').next().unwrap_or_default();
        let name = UnitName::parse(name)
            .map_err(|source| LocalError::Name { argument: argument.to_owned(), source })?;
        Ok(Self { name, path: PathBuf::from(path) })
    }

    /// Reads all arguments of a command.
    ///
    /// # Errors
    /// When one is no unit's name.
    pub fn parse_all(arguments: &[String]) -> Result<Vec<Self>, LocalError> {
        arguments.iter().map(|argument| Self::parse(argument)).collect()
    }

    /// Reads the file of exactly this unit; `None` if there is none.
    ///
    /// # Errors
    /// When there is one and it is no unit file.
    pub fn own_file(&self) -> Result<Option<Local>, LocalError> {
        read(&self.path)
    }

    /// Reads the file of the instance's template, in the same folder; `None` if there is none.
    ///
    /// # Errors
    /// When there is one and it is no unit file.
    pub fn template_file(&self) -> Result<Option<Local>, LocalError> {
        match self.name.template() {
            Some(template) => read(&self.path.with_file_name(template.as_str())),
            None => Ok(None),
        }
    }
}

/// Reads a unit file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Local>, LocalError> {
    let failed = |source| LocalError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other.map_err(failed)?,
    };
    // One byte more than a unit file has is enough to be refused.
    let limit = u64::try_from(FILE_MAX + 1).unwrap_or(u64::MAX);
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text).map_err(failed)?;
    let file =
        UnitFile::parse(&text).map_err(|source| LocalError::Syntax { path: path.to_owned(), source })?;
    Ok(Some(Local { path: path.to_owned(), file }))
}

/// Checks what `[X-Fleet]` asks for, before anything is sent, and returns warnings about it.
///
/// # Errors
/// When it contradicts itself.
pub fn check(name: &UnitName, file: &UnitFile) -> Result<Vec<String>, LocalError> {
    match Requirements::of(name, file) {
        Ok((_, warnings)) => Ok(warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(LocalError::Requirements { unit: name.to_string(), problems: problems.join("; ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn parse(argument: &str) -> (String, PathBuf) {
        let argument = Argument::parse(argument).unwrap();
        (argument.name.to_string(), argument.path)
    }

    #[test]
    fn names_are_the_last_part_with_a_suffix() {
        assert_eq!(parse("foo"), ("foo.service".to_owned(), "foo.service".into()));
        assert_eq!(parse("dir/foo"), ("foo.service".to_owned(), "dir/foo.service".into()));
        assert_eq!(parse("./web@1.socket"), ("web@1.socket".to_owned(), "./web@1.socket".into()));
        assert_eq!(parse("a.b"), ("a.b.service".to_owned(), "a.b.service".into()));
    }

    #[test]
    fn what_is_no_name_is_refused_with_what_was_given() {
        let err = Argument::parse("a b").unwrap_err().to_string();
        assert!(err.starts_with("\"a b\" is no unit: "), "{err}");
    }

    #[test]
    fn an_instance_finds_its_own_file_before_that_of_its_template() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("app@.service"), "[Service]\nExecStart=/bin/a\n").unwrap();
        let argument = Argument::parse(dir.path().join("app@7").to_str().unwrap()).unwrap();
        assert!(argument.own_file().unwrap().is_none());
        let template = argument.template_file().unwrap().unwrap();
        assert_eq!(template.path, dir.path().join("app@.service"));
        fs::write(dir.path().join("app@7.service"), "[Service]\nExecStart=/bin/b\n").unwrap();
        let own = argument.own_file().unwrap().unwrap();
        assert_ne!(own.file.hash(), template.file.hash());
    }

    #[test]
    fn a_unit_that_is_no_instance_has_no_template() {
        assert!(Argument::parse("foo").unwrap().template_file().unwrap().is_none());
    }

    #[test]
    fn a_large_file_is_no_unit_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.service");
        let file = |lines: usize| format!("[Unit]\nDescription=A\n{}", "#\n".repeat(lines));
        fs::write(&path, file(FILE_MAX / 2 - 20)).unwrap();
        assert!(read(&path).is_ok());
        fs::write(&path, file(FILE_MAX / 2)).unwrap();
        assert!(matches!(read(&path), Err(LocalError::Syntax { source: UnitFileError::TooLong(_), .. })));
    }

    #[test]
    fn contradictions_are_found_before_anything_is_sent() {
        let name = UnitName::parse("x.service").unwrap();
        let file = UnitFile::parse("[X-Fleet]\nGlobal=true\nMachineOf=db.service\n").unwrap();
        let err = check(&name, &file).unwrap_err().to_string();
        assert!(err.contains("Global") && err.contains("MachineOf"), "{err}");
        let file = UnitFile::parse("[X-Fleet]\nColour=red\n").unwrap();
        let warnings = check(&name, &file).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("Colour"), "{warnings:?}");
    }
}
