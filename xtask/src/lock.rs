//! The lock files: every package that goes into the image or into the tools, with its hash.
//!
//! The format is described in `docs/formats/lock.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use deb::dependency::is_package_name;
use deb::index::is_archive_path;

use crate::durable;

/// The only format that this build reads and writes.
const FORMAT: &str = "1";

/// Group of the rows that every image has.
pub const IMAGE: &str = "image";

/// Most rows in one file.
const ROWS_MAX: usize = 100_000;

/// One lock file. Exists only if valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Newest `Date` of the suites that were resolved, seconds since 1970: the time of everything built.
    pub time: u64,
    /// Hash of what the definition says about packages.
    pub definition: String,
    /// By name, each name once.
    pub rows: Vec<Row>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Name of the package.
    pub name: String,
    /// Debian's version.
    pub version: String,
    /// `all` or a machine's.
    pub architecture: String,
    /// Whose closure it belongs to, never empty.
    pub groups: BTreeSet<String>,
    /// Folder below the mirror.
    pub archive: String,
    /// Path below the archive folder.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// Hash of the file, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl Row {
    /// Reads what follows the word `package` in a line.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        Self::of_fields(&text.split(' ').collect::<Vec<_>>())
    }

    fn of_fields(fields: &[&str]) -> anyhow::Result<Self> {
        let [groups, name, version, architecture, archive, path, size, sha256] = *fields else {
            bail!("a package has 8 fields, this line has {}", fields.len());
        };
        let row = Self {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: architecture.to_owned(),
            groups: groups.split(',').map(str::to_owned).collect(),
            archive: archive.to_owned(),
            path: path.to_owned(),
            size: size.parse().with_context(|| format!("size `{size}` is not in bytes"))?,
            sha256: sha256.to_owned(),
        };
        check_row(&row)?;
        Ok(row)
    }

    /// Tells whether a group needs it.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.contains(group)
    }

    /// Returns the path below the mirror.
    pub fn mirror_path(&self) -> String {
        format!("{}/{}", self.archive, self.path)
    }
}

impl Lock {
    /// Reads a lock file; errors name the line.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("reading {} (`cargo xtask lock` makes it)", path.display()))?;
        Self::parse(&text).map_err(|(line, err)| anyhow::anyhow!("{}:{line}: {err:#}", path.display()))
    }

    /// Reads a lock's text. The error comes with the line, counted from 1.
    pub fn parse(text: &str) -> Result<Self, (usize, anyhow::Error)> {
        let mut header = BTreeMap::new();
        let mut rows: Vec<Row> = Vec::new();
        let mut last = 0;
        for (line, text) in (1..).zip(text.lines()) {
            last = line;
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = text.split(' ').collect();
            let res = match words[..] {
                [key @ ("format" | "time" | "definition"), value] => add_header(&mut header, key, value),
                ["package", ref fields @ ..] => add_row(&mut rows, fields),
                _ => Err(anyhow::anyhow!("not a line of a lock file: `{text}`")),
            };
            res.map_err(|err| (line, err))?;
        }
        let mut need = |key: &str| {
            header
                .remove(key)
                .with_context(|| format!("the line `{key}` is missing"))
                .map_err(|err| (last, err))
        };
        let (_format, time, definition) = (need("format")?, need("time")?, need("definition")?);
        let time = time.parse().map_err(|_| (last, anyhow::anyhow!("time `{time}` is not in seconds")))?;
        Ok(Self { time, definition, rows })
    }

    /// Returns the text of the file.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# Written by `cargo xtask lock`; docs/formats/lock.md describes it.\n\
             format {FORMAT}\ntime {}\ndefinition {}\n",
            self.time, self.definition
        );
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort();
        for row in rows {
            let groups: Vec<&str> = row.groups.iter().map(String::as_str).collect();
            let Row { name, version, architecture, archive, path, size, sha256, .. } = row;
            let groups = groups.join(",");
            writeln!(
                text,
                "package {groups} {name} {version} {architecture} {archive} {path} {size} {sha256}"
            )
            .expect("writing to a string cannot fail");
        }
        text
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        durable::write(path, self.text().as_bytes())
    }

    /// Returns the rows of some groups, by name.
    pub fn rows_of<'a>(&'a self, groups: &'a [&str]) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(|row| groups.iter().any(|group| row.in_group(group)))
    }

    /// Returns the rows of an image without some of the optional groups, by name.
    pub fn image_rows(&self, without: &[String]) -> Vec<&Row> {
        let wanted = |group: &String| !without.contains(group);
        self.rows.iter().filter(|row| row.groups.iter().any(wanted)).collect()
    }
}

fn add_header(header: &mut BTreeMap<String, String>, key: &str, value: &str) -> anyhow::Result<()> {
    if key == "format" && value != FORMAT {
        bail!("format {value} is not known, only {FORMAT}: run `cargo xtask lock`");
    }
    if key == "definition" && !is_sha256(value) {
        bail!("`{value}` is not a SHA-256 in lower-case hexadecimal digits");
    }
    if header.insert(key.to_owned(), value.to_owned()).is_some() {
        bail!("the line `{key}` appears twice");
    }
    Ok(())
}

fn add_row(rows: &mut Vec<Row>, fields: &[&str]) -> anyhow::Result<()> {
    let row = Row::of_fields(fields)?;
    if let Some(before) = rows.last().filter(|before| row.name <= before.name) {
        bail!("`{}` comes after `{}`: each package once, sorted by name", row.name, before.name);
    }
    if ROWS_MAX <= rows.len() {
        bail!("more than {ROWS_MAX} packages");
    }
    rows.push(row);
    Ok(())
}

/// Checks what later code joins to paths and command lines.
fn check_row(row: &Row) -> anyhow::Result<()> {
    let word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !is_package_name(&row.name) {
        bail!("`{}` is not the name of a package", row.name);
    }
    row.version
        .parse::<deb::version::Version>()
        .with_context(|| format!("reading version `{}` of {}", row.version, row.name))?;
    if !word(&row.architecture) {
        bail!("`{}` is not an architecture", row.architecture);
    }
    if let Some(group) = row.groups.iter().find(|group| !word(group)) {
        bail!("`{group}` is not a group");
    }
    for path in [&row.archive, &row.path] {
        if !is_archive_path(path) {
            bail!("`{path}` is not a path below a mirror");
        }
    }
    if !is_sha256(&row.sha256) {
        bail!("`{}` is not a SHA-256 in lower-case hexadecimal digits", row.sha256);
    }
    Ok(())
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// How one lock differs from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// One line each: `+ name version`, `- name version`, `  name old -> new`, and what else changed.
    pub lines: Vec<String>,
}

impl Difference {
    /// Compares by name.
    pub fn between(old: &[Row], new: &[Row]) -> Self {
        let by_name = |rows: &[Row]| -> BTreeMap<String, Row> {
            rows.iter().map(|row| (row.name.clone(), row.clone())).collect()
        };
        let (old, new) = (by_name(old), by_name(new));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let line = |name: &String| match (old.get(name), new.get(name)) {
            (None, Some(new)) => Some(format!("+ {name} {}", new.version)),
            (Some(old), None) => Some(format!("- {name} {}", old.version)),
            (Some(old), Some(new)) if old.version != new.version => {
                Some(format!("  {name} {} -> {}", old.version, new.version))
            }
            (Some(old), Some(new)) if old.sha256 != new.sha256 => {
                Some(format!("  {name} {}: another file of the same version", new.version))
            }
            (Some(old), Some(new)) if old != new => Some(format!("  {name} {}: moved", new.version)),
            _ => None,
        };
        Self { lines: names.into_iter().filter_map(line).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn row(name: &str, version: &str, groups: &[&str]) -> Row {
        Row {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            archive: "debian".to_owned(),
            path: format!("pool/main/{name}_{version}.deb"),
            size: 12,
            sha256: SUM.to_owned(),
        }
    }

    fn lock() -> Lock {
        let rows = vec![
            row("aa", "1:2.0~rc1-3+b1", &["image"]),
            row("libstdc++6", "14", &["firmware", "microcode"]),
        ];
        Lock { time: 1_795_313_345, definition: SUM.to_owned(), rows }
    }

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(Lock::parse(&lock().text()).unwrap(), lock());
    }

    #[test]
    fn writes_rows_sorted_by_name() {
        let mut mixed = lock();
        mixed.rows.reverse();
        assert_eq!(mixed.text(), lock().text());
    }

    #[test]
    fn selects_rows_by_group() {
        let lock = lock();
        let names = |rows: Vec<&Row>| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(lock.image_rows(&[])), ["aa", "libstdc++6"]);
        assert_eq!(names(lock.image_rows(&["firmware".into()])), ["aa", "libstdc++6"]);
        assert_eq!(names(lock.image_rows(&["firmware".into(), "microcode".into()])), ["aa"]);
        assert_eq!(names(lock.rows_of(&["microcode"]).collect()), ["libstdc++6"]);
    }

    #[track_caller]
    fn rejects(from: &str, to: &str, line: usize, says: &str) {
        let text = lock().text();
        assert!(text.contains(from), "{from}");
        let (found_line, err) = Lock::parse(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!(found_line, line, "{err:#}");
        assert!(format!("{err:#}").contains(says), "{err:#}");
    }

    #[test]
    fn rejects_broken_lines_with_their_number() {
        rejects("format 1", "format 2", 2, "format 2 is not known");
        rejects("format 1", "# format", 6, "the line `format` is missing");
        rejects("time 1", "time x", 6, "is not in seconds");
        rejects("time", "format 1\ntime", 3, "appears twice");
        rejects("definition 00", "definition 0x", 4, "not a SHA-256");
        rejects("package image", "packages image", 5, "not a line of a lock file");
        rejects(" 12 ", " ", 5, "8 fields, this line has 7");
        rejects(" 12 ", " -12 ", 5, "not in bytes");
        rejects(" aa ", " a/ ", 5, "not the name of a package");
        rejects(" 1:2.0", " x:2.0", 5, "reading version");
        rejects("debian pool", "../debian pool", 5, "not a path below a mirror");
        rejects("pool/main/aa", "/pool/main/aa", 5, "not a path below a mirror");
        rejects("package image", "package image,", 5, "`` is not a group");
        rejects("amd64", "AMD", 5, "not an architecture");
        rejects(" libstdc++6 ", " aa ", 6, "comes after");
        rejects(" libstdc++6 ", " a0 ", 6, "comes after");
    }

    #[test]
    fn tells_added_removed_and_upgraded() {
        let old = [row("aa", "1", &["image"]), row("bb", "1", &["image"]), row("cc", "1", &["image"])];
        let mut moved = row("cc", "1", &["firmware"]);
        moved.size = 13;
        let new = [row("aa", "2", &["image"]), moved, row("dd", "1", &["image"])];
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.lines, ["  aa 1 -> 2", "- bb 1", "  cc 1: moved", "+ dd 1"]);
        assert_eq!(Difference::between(&old, &old), Difference::default());
    }
}
