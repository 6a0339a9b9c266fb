//! Settings as `KEY=value` lines in a file and its drop-ins.
//!
//! Of an agent's settings `NAME`, read in this order, where a later value of a key takes the place of an earlier one:
//!
//! 1. `/usr/lib/slipway/NAME.conf.d/*.conf`, by file name: what the image says;
//! 2. `/etc/slipway/NAME.conf`;
//! 3. `/etc/slipway/NAME.conf.d/*.conf`, by file name.
//!
//! A line is empty, a comment (`#` or `;` first) or `KEY=value`; a key is of `A`–`Z`, `0`–`9` and `_`.
//! Blanks around key and value do not count, nor does one pair of quotes around the value; nothing in a value is
//! special, and a comment cannot follow it.
//! An empty value takes back what earlier files said.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use anyhow::Context;

use crate::host::Host;

/// A place in a file of settings; shown as `<path>:<line>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file, as a path of the machine.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// The value of a key and where it stands, for messages about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value, never empty in [`Settings`].
    pub value: String,
    /// Where it was set.
    pub at: Position,
}

/// What the files together say. Knows nothing of which keys there are: the agent judges that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    by_key: BTreeMap<String, Setting>,
}

impl Settings {
    /// Returns the setting of `key`; `None` if no file sets it, or the last one that does takes it back.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.by_key.get(key)
    }

    /// Returns all settings, by key: for refusing unknown ones.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Setting> {
        self.by_key.iter()
    }

    /// Lets the lines of one more file take effect.
    pub fn merge(&mut self, lines: Vec<(String, Setting)>) {
        for (key, setting) in lines {
            if setting.value.is_empty() {
                self.by_key.remove(&key);
            } else {
                self.by_key.insert(key, setting);
            }
        }
    }
}

/// Reads the settings `name` of the machine; missing files and folders say nothing.
pub fn read(host: &Host, name: &str) -> anyhow::Result<Settings> {
    let mut paths = drop_ins(host, &format!("/usr/lib/slipway/{name}.conf.d"))?;
    paths.push(format!("/etc/slipway/{name}.conf"));
    paths.extend(drop_ins(host, &format!("/etc/slipway/{name}.conf.d"))?);
    let mut settings = Settings::default();
    for path in paths {
        // A file that is gone since the folder was listed is like one that never was.
        if let Some(text) = host.read(&path)? {
            settings.merge(parse(&path, &text)?);
        }
    }
    Ok(settings)
}

/// Parses the text of the file at `path`, in the order of its lines; the error names the first line that is wrong.
pub fn parse(path: &str, text: &str) -> anyhow::Result<Vec<(String, Setting)>> {
    let mut settings = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let at = Position { path: path.to_owned(), line: idx + 1 };
        let (key, value) = parse_line(line).with_context(|| format!("{at}: `{line}` is not KEY=value"))?;
        settings.push((key.to_owned(), Setting { value: value.to_owned(), at }));
    }
    Ok(settings)
}

fn parse_line(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim_end(), value.trim_start());
    let is_key = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_key.then_some((key, unquoted(value)))
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn drop_ins(host: &Host, dir: &str) -> anyhow::Result<Vec<String>> {
    let names = host.list(dir)?.into_iter().filter(|name| name.ends_with(".conf"));
    Ok(names.map(|name| format!("{dir}/{name}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, usize)]) {
        let parsed = parse("/etc/slipway/update.conf", text).unwrap();
        let parsed: Vec<_> =
            parsed.iter().map(|(key, set)| (key.as_str(), set.value.as_str(), set.at.line)).collect();
        assert_eq!(parsed, expected);
    }

    #[test]
    fn blanks_comments_and_quotes_do_not_count() {
        check("", &[]);
        check("# A=1\n; B=2\n\n  C = x y \r\n", &[("C", "x y", 4)]);
        check(
            "A=\"1 2\"\nB='3'\nC=\"\nD=it's\n",
            &[("A", "1 2", 1), ("B", "3", 2), ("C", "\"", 3), ("D", "it's", 4)],
        );
        check("URL=https://a.example/?b=c#d", &[("URL", "https://a.example/?b=c#d", 1)]);
        check("A=\nB=''\n", &[("A", "", 1), ("B", "", 2)]);
    }

    #[test]
    fn rejects_what_is_no_setting_with_its_position() {
        for line in ["SERVER", "=x", "server=x", "A B=x", "export A=x", "[Update]"] {
            let err = parse("/etc/slipway/update.conf", &format!("# one\n{line}\n")).unwrap_err();
            assert_eq!(err.to_string(), format!("/etc/slipway/update.conf:2: `{line}` is not KEY=value"));
        }
    }

    #[test]
    fn later_files_win_and_say_where() {
        let tree = Tree::new();
        assert_eq!(read(&tree.host, "update").unwrap(), Settings::default());
        tree.file("/usr/lib/slipway/update.conf.d/10-image.conf", "A=image\nB=image\nC=image\nD=image\n");
        tree.file("/usr/lib/slipway/update.conf.d/20-image.conf", "B=image 2\n");
        tree.file("/etc/slipway/update.conf", "C=admin\n\nD=admin\n");
        tree.file("/etc/slipway/update.conf.d/20-site.conf", "D=site 2\n");
        tree.file("/etc/slipway/update.conf.d/10-site.conf", "D=site\n");
        tree.file("/etc/slipway/update.conf.d/README", "no settings\n");
        let settings = read(&tree.host, "update").unwrap();
        let shown: Vec<_> =
            settings.iter().map(|(key, set)| format!("{key}={} {}", set.value, set.at)).collect();
        assert_eq!(
            shown,
            [
                "A=image /usr/lib/slipway/update.conf.d/10-image.conf:1",
                "B=image 2 /usr/lib/slipway/update.conf.d/20-image.conf:1",
                "C=admin /etc/slipway/update.conf:1",
                "D=site 2 /etc/slipway/update.conf.d/20-site.conf:1",
            ]
        );
        assert_eq!(read(&tree.host, "locksmith").unwrap(), Settings::default());
    }

    #[test]
    fn an_empty_value_takes_a_setting_back() {
        let tree = Tree::new();
        tree.file("/usr/lib/slipway/update.conf.d/10-image.conf", "SERVER=https://updates.example\n");
        tree.file("/etc/slipway/update.conf", "SERVER=\n");
        assert_eq!(read(&tree.host, "update").unwrap().get("SERVER"), None);
    }
}
