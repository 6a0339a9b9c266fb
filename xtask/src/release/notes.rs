//! The release notes: what the changelog says of the version, and how its packages differ from the last release's.

use std::fmt::Write as _;

use anyhow::Context as _;

use crate::command::report::difference;
use crate::manifest::Manifest;
use crate::time;

/// Section of what has no version yet.
const UNRELEASED: &str = "Unreleased";

/// What the notes are made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Text of `CHANGELOG.md`.
    pub changelog: &'a str,
    /// The new build.
    pub manifest: &'a Manifest,
    /// That of the release before.
    pub previous: Option<&'a Manifest>,
    /// Ids of the keys that sign.
    pub signers: &'a [String],
}

/// Writes the notes.
pub fn render(facts: &Facts<'_>) -> anyhow::Result<String> {
    let manifest = facts.manifest;
    let mut text = format!("# {} {}\n\n", capitalized(&manifest.product), manifest.version);
    push(&mut text, format_args!("| | |\n| --- | --- |\n"));
    let rows = [
        ("commit", manifest.commit.clone()),
        ("packages as of", time::rfc3339(manifest.build_time)),
        ("root hash of `/usr`", manifest.root_hash.clone()),
        ("signed by", facts.signers.join(", ")),
    ];
    for (name, value) in rows.iter().chain(&compilers(manifest)) {
        push(&mut text, format_args!("| {name} | {value} |\n"));
    }
    let section = section(facts.changelog, &manifest.version)?;
    push(&mut text, format_args!("\n## Changes\n\n{section}\n\n## Packages\n\n"));
    match facts.previous {
        Some(previous) => packages(&mut text, previous, manifest),
        None => {
            let n = manifest.packages.len();
            push(
                &mut text,
                format_args!("{n} packages; there is no release before this one to compare with.\n"),
            );
        }
    }
    push(
        &mut text,
        format_args!(
            "\n## Checking\n\n`sha256sum -c SHA256SUMS` checks the files, and `cargo xtask verify-release` in a checkout who \
             vouches for them, and what they hold.\n"
        ),
    );
    Ok(text)
}

/// The text below the heading of a version, or of what has none yet.
fn section<'a>(changelog: &'a str, version: &str) -> anyhow::Result<&'a str> {
    let under = |name: &str| {
        let heading = format!("## [{name}]");
        let at = changelog.match_indices(&heading).map(|(at, _)| at);
        let at = at.into_iter().find(|at| *at == 0 || changelog[..*at].ends_with('\n'))?;
        // A date follows.
        let (_, rest) = changelog[at..].split_once('\n')?;
        let end = rest.find("\n## ").unwrap_or(rest.len());
        Some(rest[..end].trim()).filter(|text| !text.is_empty())
    };
    under(version).or_else(|| under(UNRELEASED)).with_context(|| {
        format!("CHANGELOG.md says nothing below `## [{version}]` or `## [{UNRELEASED}]`: write what is new")
    })
}

fn packages(text: &mut String, previous: &Manifest, manifest: &Manifest) {
    let found = difference::between(previous, manifest);
    push(text, format_args!("Compared with {}: ", previous.version));
    let (added, removed, changed) = (found.added.len(), found.removed.len(), found.changed.len());
    if added + removed + changed == 0 {
        text.push_str("the same packages.\n");
        return;
    }
    push(text, format_args!("{changed} with another version, {added} added, {removed} removed.\n\n"));
    text.push_str("| package | before | now |\n| --- | --- | --- |\n");
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    rows.extend(found.changed.iter().map(|(name, from, to)| (name.as_str(), from.as_str(), to.as_str())));
    rows.extend(found.added.iter().map(|(name, to)| (name.as_str(), "", to.as_str())));
    rows.extend(found.removed.iter().map(|(name, from)| (name.as_str(), from.as_str(), "")));
    rows.sort_unstable();
    for (name, from, to) in rows {
        push(text, format_args!("| {name} | {from} | {to} |\n"));
    }
}

fn compilers(manifest: &Manifest) -> Vec<(&str, String)> {
    manifest.toolchain.iter().map(|(name, version)| (name.as_str(), version.clone())).collect()
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn push(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.write_fmt(words).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::report::page::tests::manifest;

    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- new\n\n\
                             ## [0.1.0]\n\n- first\n";

    #[test]
    fn a_version_has_its_own_section_and_otherwise_what_is_unreleased() {
        assert_eq!(section(CHANGELOG, "0.2.0").unwrap(), "### Added\n\n- new");
        assert_eq!(section(CHANGELOG, "0.1.0").unwrap(), "- first");
        assert_eq!(section(CHANGELOG, "0.3.0").unwrap(), "- later");
        let err = section("# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n\n- first\n", "0.2.0").unwrap_err();
        assert!(err.to_string().contains("`## [0.2.0]` or `## [Unreleased]`"), "{err}");
    }

    #[test]
    fn the_notes_name_what_was_added_removed_and_upgraded() {
        let previous = manifest();
        let mut next = previous.clone();
        next.version = "0.2.0".to_owned();
        next.packages[0].version = "99".to_owned();
        let gone = next.packages.pop().unwrap();
        next.packages.push(crate::manifest::Package { name: "zz".to_owned(), ..gone.clone() });
        let signers = ["aa".to_owned()];
        let facts =
            Facts { changelog: CHANGELOG, manifest: &next, previous: Some(&previous), signers: &signers };
        let text = render(&facts).unwrap();
        for part in [
            "# Slipway 0.2.0",
            "- new",
            "1 with another version, 1 added, 1 removed",
            "| 99 |\n",
            &format!("| zz |  | {} |", gone.version),
            &format!("| {} | {} |  |", gone.name, gone.version),
            "| signed by | aa |",
        ] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
        let same = render(&Facts { manifest: &previous, ..facts }).unwrap();
        assert!(same.contains("the same packages"), "{same}");
        let first =
            render(&Facts { manifest: &previous, previous: None, changelog: CHANGELOG, signers: &signers });
        assert!(first.unwrap().contains("no release before this one"));
    }
}
