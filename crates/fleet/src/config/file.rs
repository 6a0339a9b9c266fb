//! Lines of `fleet.conf`: `option = value`, comments, and a variable's place in the same list.

use std::fmt;
use std::path::{Path, PathBuf};

/// One option as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub origin: Origin,
    /// Name in lower case, with `_` for `-`.
    pub name: String,
    /// Value without the quotes around it.
    pub value: String,
}

/// Where an option was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, from 1.
    Line(PathBuf, usize),
    /// A variable.
    Variable(String),
}

/// A line that is no option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No `=`.
    #[error("{origin}: `{line}` is no option: write NAME=VALUE, or # before a comment")]
    NoOption {
        /// Where.
        origin: Origin,
        /// The line.
        line: String,
    },
    /// A quote without its end.
    #[error("{origin}: {name} has a quote that does not end: write it as {name}=\"VALUE\"")]
    OpenQuote {
        /// Where.
        origin: Origin,
        /// The option.
        name: String,
    },
    /// A section.
    #[error("{origin}: {section} begins a section, and fleet.conf has none: remove the line")]
    Section {
        /// Where.
        origin: Origin,
        /// The line.
        section: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
        }
    }
}

/// Reads the lines of a file.
///
/// # Errors
/// With the first line that is no option.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let origin = Origin::Line(path.to_owned(), index + 1);
        if line.starts_with('[') {
            return Err(Error::Section { origin, section: line.to_owned() });
        }
        let named = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = named.filter(|(name, _)| is_name(name)) else {
            return Err(Error::NoOption { origin, line: line.to_owned() });
        };
        let name = name.to_ascii_lowercase().replace('-', "_");
        let Some(value) = unquoted(value) else {
            return Err(Error::OpenQuote { origin, name });
        };
        entries.push(Entry { origin, name, value });
    }
    Ok(entries)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Takes the quotes off a value, and a comment behind it. Without quotes a comment begins with a space before its `#`
/// or `;`, because both may be in a value.
fn unquoted(value: &str) -> Option<String> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        let end = value.find(" #").into_iter().chain(value.find(" ;")).min().unwrap_or(value.len());
        return Some(value[..end].trim_end().to_owned());
    };
    let mut inner = String::new();
    let mut chars = value[1..].chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' if quote == '"' => inner.push(chars.next()?),
            _ if char == quote => {
                let rest = chars.as_str().trim_start();
                return (rest.is_empty() || rest.starts_with(['#', ';'])).then_some(inner);
            }
            _ => inner.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let entries = parse(Path::new("fleet.conf"), text).unwrap();
        entries.into_iter().map(|entry| (entry.name, entry.value)).collect()
    }

    fn one(value: &str) -> String {
        pairs(&format!("metadata={value}\n")).remove(0).1
    }

    fn refused(text: &str) -> String {
        parse(Path::new("/etc/fleet/fleet.conf"), text).unwrap_err().to_string()
    }

    #[test]
    fn comments_and_empty_lines_are_nothing() {
        let text = "# one\n; two\n\n  agent_ttl = 60s  # three\nEtcd-Servers=http://a:1\r\n";
        let expected = [("agent_ttl", "60s"), ("etcd_servers", "http://a:1")];
        assert_eq!(pairs(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn quotes_are_taken_off() {
        assert_eq!(one(r#""region=us west,disk=ssd""#), "region=us west,disk=ssd");
        assert_eq!(one(r#""a=\"b\\c\"" ; why"#), r#"a="b\c""#);
        assert_eq!(one("'a=\"b\"'"), "a=\"b\"");
        assert_eq!(one("\"\""), "");
    }

    #[test]
    fn a_list_stays_as_it_is_written() {
        assert_eq!(one(r#"["http://a:1", "http://b:2"]"#), r#"["http://a:1", "http://b:2"]"#);
    }

    #[test]
    fn a_hash_inside_of_a_value_is_no_comment() {
        assert_eq!(one("a=b#c"), "a=b#c");
        assert_eq!(one("\"a=b #c\""), "a=b #c");
    }

    #[test]
    fn a_line_that_is_no_option_is_named() {
        assert_eq!(
            refused("\nagent_ttl 30s\n"),
            "/etc/fleet/fleet.conf:2: `agent_ttl 30s` is no option: write NAME=VALUE, or # before a comment"
        );
        assert!(refused("=x").contains("`=x` is no option"));
        assert!(refused("[fleet]\n").contains("fleet.conf has none"));
        assert!(refused("metadata=\"a\n").contains("metadata has a quote that does not end"));
        assert!(refused("metadata=\"a\" b\n").contains("does not end"));
    }
}
