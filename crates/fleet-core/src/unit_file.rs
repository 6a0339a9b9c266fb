//! Unit files: the text as somebody wrote it, and the options in it.
//!
//! The text is kept to the byte: comments, order and blank lines are what a person reads in `fleetctl cat`. What a
//! unit is follows from its options alone, as the original had it: two files that differ in comments only have one
//! hash. Syntax: systemd.syntax(7) without what the original did not know; limits are named here.

mod error;
mod parse;

pub use error::{Line, UnitFileError};
pub(crate) use parse::is_comment;
pub use parse::{FILE_MAX, LINE_MAX, OPTIONS_MAX};

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

/// The section that says where a unit is to be.
pub const FLEET: &str = "X-Fleet";

/// One option of a unit file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitOption {
    /// Section without brackets.
    pub section: String,
    /// Name.
    pub name: String,
    /// Value; a continued one has its backslashes and line ends.
    pub value: String,
}

/// A unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    content: String,
    options: Vec<UnitOption>,
    /// Line of each option, from 1.
    lines: Vec<usize>,
    hash: String,
}

impl UnitFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When a line is none of a unit file, or the file is over a limit.
    pub fn parse(text: &str) -> Result<Self, UnitFileError> {
        let (options, lines) = parse::parse(text)?;
        let hash = hash(&options);
        Ok(Self { content: text.to_owned(), options, lines, hash })
    }

    /// Makes a file of options.
    ///
    /// # Errors
    /// When an option would not be read back as it is, such as one with a line end in its name.
    pub fn from_options(options: &[UnitOption]) -> Result<Self, UnitFileError> {
        let file = Self::parse(&serialize(options))?;
        // Sections are written in the order in which they first come, each once.
        let mut read = file.options.iter();
        for section in sections(options) {
            for option in options.iter().filter(|option| option.section == section) {
                if read.next() != Some(option) {
                    return Err(UnitFileError::unwritable(option));
                }
            }
        }
        match read.next() {
            Some(option) => Err(UnitFileError::unwritable(option)),
            None => Ok(file),
        }
    }

    /// Returns the text as it was written.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Returns the options in the order of the file.
    pub fn options(&self) -> &[UnitOption] {
        &self.options
    }

    /// Returns options with their lines, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &UnitOption)> {
        self.lines.iter().copied().zip(&self.options)
    }

    /// Returns the SHA-1 of the options in the original's form, 40 hexadecimal digits: an identity that people see,
    /// not a protection.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the values of an option, in order.
    pub fn values<'a>(&'a self, section: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_it = move |option: &&UnitOption| option.section == section && option.name == name;
        self.options.iter().filter(of_it).map(|option| option.value.as_str())
    }

    /// Returns what the file says the unit is.
    pub fn description(&self) -> Option<&str> {
        self.values("Unit", "Description").last().filter(|text| !text.is_empty())
    }

    /// Whether it says how it is enabled.
    pub fn has_install(&self) -> bool {
        self.options.iter().any(|option| option.section == "Install")
    }

    /// Whether its process ends when its work is done.
    pub fn is_oneshot(&self) -> bool {
        self.values("Service", "Type").last() == Some("oneshot")
    }
}

/// Writes options in the original's form: sections in the order in which they first come, an empty line between them.
pub fn serialize(options: &[UnitOption]) -> String {
    let mut text = String::new();
    for section in sections(options) {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "[{section}]");
        for option in options.iter().filter(|option| option.section == section) {
            let _infallible = writeln!(text, "{}={}", option.name, option.value);
        }
    }
    text
}

fn sections(options: &[UnitOption]) -> Vec<&str> {
    let mut sections: Vec<&str> = Vec::new();
    for option in options {
        if !sections.contains(&option.section.as_str()) {
            sections.push(&option.section);
        }
    }
    sections
}

fn hash(options: &[UnitOption]) -> String {
    let digest = Sha1::digest(serialize(options).as_bytes());
    digest.iter().fold(String::with_capacity(40), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn option(section: &str, name: &str, value: &str) -> UnitOption {
        let own = |text: &str| text.to_owned();
        UnitOption { section: own(section), name: own(name), value: own(value) }
    }

    #[test]
    fn text_is_kept_and_options_are_read() {
        let text = "# why\n[Unit]\nDescription=Foo\n\n; more\n[Service]\n  ExecStart = /bin/a \\\n  b\n[Unit]\nAfter=x\n";
        let file = UnitFile::parse(text).unwrap();
        assert_eq!(file.content(), text);
        let expected = [
            option("Unit", "Description", "Foo"),
            option("Service", "ExecStart", "/bin/a \\\n  b"),
            option("Unit", "After", "x"),
        ];
        assert_eq!(file.options(), expected);
        assert_eq!(file.numbered().map(|(line, _)| line).collect::<Vec<_>>(), [3, 7, 10]);
        assert_eq!(file.description(), Some("Foo"));
    }

    #[test]
    fn comments_do_not_change_what_a_unit_is() {
        let hash = |text| UnitFile::parse(text).unwrap().hash().to_owned();
        assert_eq!(hash("[Service]\nExecStart=/bin/a\n"), hash("# x\n[Service]\n\n ExecStart=/bin/a"));
        assert_ne!(hash("[Service]\nExecStart=/bin/a\n"), hash("[Service]\nExecStart=/bin/b\n"));
    }

    #[test]
    fn the_hash_is_that_of_the_serialized_options() {
        let file = UnitFile::parse("[Unit]\nA=1\n[Service]\nB=2\n[Unit]\nC=3\n").unwrap();
        assert_eq!(serialize(file.options()), "[Unit]\nA=1\nC=3\n\n[Service]\nB=2\n");
        // `printf '[Service]\nExecStart=/usr/bin/sleep 500\n' | sha1sum`
        let talk = UnitFile::parse("[Service]\nExecStart=/usr/bin/sleep 500\n").unwrap();
        assert_eq!(talk.hash(), SLEEP_HASH);
    }

    const SLEEP_HASH: &str = "c64adba257ab51ad24bc399ac9f94a3eb48c8ea5";

    #[test]
    fn options_become_a_file_unless_it_would_say_something_else() {
        let options = [option("Service", "ExecStart", "/bin/a \\\n b"), option("X-Fleet", "Global", "true")];
        let file = UnitFile::from_options(&options).unwrap();
        assert_eq!(file.options(), options);
        assert_eq!(file.content(), "[Service]\nExecStart=/bin/a \\\n b\n\n[X-Fleet]\nGlobal=true\n");
        for option in [
            option("Service", "A", "x\n[Other]"),
            option("Service", "A", " x"),
            option("Service", "A=", "x"),
            option("Ser]vice", "A", "x"),
            option("Service", "#A", "x"),
            option("Service", "A", "x\\"),
            option("Service", "A", "x\\\n# y"),
            option("Service", "A", "x\nB=y"),
            option("", "A", "x"),
        ] {
            assert!(UnitFile::from_options(std::slice::from_ref(&option)).is_err(), "{option:?}");
            let kept = UnitOption { section: "Unit".to_owned(), name: "B".to_owned(), value: "c".to_owned() };
            assert!(UnitFile::from_options(&[option.clone(), kept]).is_err(), "{option:?}");
        }
    }

    #[test]
    fn an_option_that_cannot_be_written_is_named() {
        let options = [option("Unit", "Description", "fine"), option("Service", "ExecStart", "/bin/a ")];
        let err = UnitFile::from_options(&options).unwrap_err();
        assert!(err.to_string().starts_with("option ExecStart= of section Service would not"), "{err}");
    }

    #[test]
    fn facts_of_a_file() {
        let file =
            UnitFile::parse("[Service]\nType=simple\nType=oneshot\n[Install]\nWantedBy=a.target\n").unwrap();
        assert!(file.is_oneshot() && file.has_install());
        let plain = UnitFile::parse("[Service]\nType=oneshot\nType=simple\n").unwrap();
        assert!(!plain.is_oneshot() && !plain.has_install());
    }

    fn options() -> impl Strategy<Value = Vec<UnitOption>> {
        let one = ("[A-Z][a-z-]{0,5}", "[A-Z][A-Za-z]{0,8}", "([!-~][ -~]{0,20}[!-Z^-~])?")
            .prop_map(|(section, name, value)| UnitOption { section, name, value });
        proptest::collection::vec(one, 1..12)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(options in options()) {
            let file = UnitFile::from_options(&options).unwrap();
            let again = UnitFile::parse(&serialize(file.options())).unwrap();
            prop_assert_eq!(again.options(), file.options());
            prop_assert_eq!(again.hash(), file.hash());
        }

        #[test]
        fn any_text_is_a_file_or_an_error(text in "[\\[\\]A-c=#;\\\\ \t\r\n\u{feff}\0-]{0,80}") {
            if let Ok(file) = UnitFile::parse(&text) {
                prop_assert_eq!(file.content(), &text);
                // What is read is what the serialized form says too.
                let again = UnitFile::parse(&serialize(file.options())).unwrap();
                prop_assert_eq!(again.hash(), file.hash());
            }
        }
    }
}
