//! The mirror that a Debian host uses itself, from its apt sources (sources.list(5)).

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;

use crate::hash::sorted_dir;

/// Archive folders that have to lie below one base.
const ARCHIVES: [&str; 2] = ["debian", "debian-security"];

/// Returns the base of the first source below which all archive folders are used, else of the first that has
/// `debian`.
pub fn base(apt: &Path) -> anyhow::Result<Option<String>> {
    let mut uris = read_list(&apt.join("sources.list"))?;
    let parts = apt.join("sources.list.d");
    if parts.is_dir() {
        for (name, path) in sorted_dir(&parts)? {
            if name.ends_with(".list") {
                uris.extend(read_list(&path)?);
            } else if name.ends_with(".sources") {
                uris.extend(uris_of_paragraphs(&read(&path)?));
            }
        }
    }
    Ok(base_of(&uris))
}

fn base_of(uris: &[String]) -> Option<String> {
    let is_used = |base: &str, archive: &str| uris.iter().any(|uri| *uri == format!("{base}/{archive}"));
    let bases: Vec<&str> = uris.iter().filter_map(|uri| uri.strip_suffix("/debian")).collect();
    let all = bases.iter().find(|base| ARCHIVES.iter().all(|archive| is_used(base, archive)));
    all.or(bases.first()).map(|base| (*base).to_owned())
}

fn read_list(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = read(path)?;
    Ok(text.lines().filter_map(uri_of_line).collect())
}

/// Returns the URI of `deb [options] URI suite component…`.
fn uri_of_line(line: &str) -> Option<String> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    rest.split_ascii_whitespace().next().and_then(usable)
}

/// Returns the URIs of a `.sources` file. A paragraph that is not one is left to apt to complain about.
fn uris_of_paragraphs(text: &str) -> Vec<String> {
    let paragraphs = deb::control::paragraphs(text).filter_map(Result::ok);
    let used = paragraphs.filter(|paragraph| {
        let types = paragraph.get("Types").unwrap_or_default();
        let off = paragraph.get("Enabled").is_some_and(|value| matches!(value, "no" | "false" | "0"));
        !off && types.split_ascii_whitespace().any(|kind| kind == "deb")
    });
    let uris = used.flat_map(|paragraph| paragraph.get("URIs").unwrap_or_default().split_ascii_whitespace());
    uris.filter_map(usable).collect()
}

/// Keeps what the build can read itself, without the slash at the end.
fn usable(uri: &str) -> Option<String> {
    let known = ["http://", "https://", "file:/"].iter().any(|scheme| uri.starts_with(scheme));
    known.then(|| uri.trim_end_matches('/').to_owned())
}

fn read(path: &Path) -> anyhow::Result<String> {
    match fs::read(path) {
        // Comments may be in any encoding, URIs are ASCII.
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(err) => Err(err).with_context(|| format!("reading {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(base(dir.path()).unwrap().as_deref(), expected);
    }

    #[test]
    fn reads_one_line_sources() {
        check(
            &[("sources.list", "# x\ndeb-src http://s/debian a\ndeb http://m/debian/ trixie main\n")],
            Some("http://m"),
        );
        check(
            &[("sources.list", "deb [arch=amd64 signed-by=/a b] https://m/x/debian trixie main")],
            Some("https://m/x"),
        );
        check(&[("sources.list.d/a.list", "deb file:/srv/debian trixie main")], Some("file:/srv"));
    }

    #[test]
    fn reads_paragraphs() {
        let text = "Types: deb deb-src\nURIs: http://o/other http://m/debian\nSuites: trixie\n";
        check(&[("sources.list.d/a.sources", text)], Some("http://m"));
        check(&[("sources.list.d/a.sources", &format!("{text}Enabled: no\n"))], None);
        check(&[("sources.list.d/a.sources", &text.replace("deb deb-src", "deb-src"))], None);
        check(&[("sources.list.d/a.txt", text)], None);
    }

    #[test]
    fn prefers_a_base_that_has_every_archive() {
        let text =
            "deb http://a/debian t main\ndeb http://b/debian t main\ndeb http://b/debian-security t main\n";
        check(&[("sources.list", text)], Some("http://b"));
        check(&[("sources.list", &text.replace("http://b/debian-s", "http://c/debian-s"))], Some("http://a"));
    }

    #[test]
    fn other_distributions_have_none() {
        check(
            &[(
                "sources.list",
                "deb http://archive.example/ubuntu noble main\ndeb cdrom:[x]/debian t main\n",
            )],
            None,
        );
        check(&[], None);
        assert_eq!(base(Path::new("/nonexistent")).unwrap(), None);
    }
}
