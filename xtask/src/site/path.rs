//! Paths in links: resolved from the page that has them, and written from it.

/// The folder of a path, without a slash at its end; empty at the top.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What `target`, as a page in `folder` says it, is from the top on; `None` where it leads out of the repository.
/// A folder has no slash at its end.
pub fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_as_a_browser_does() {
        for (folder, target, found) in [
            ("docs/operating", "../formats/disk.md", Some("docs/formats/disk.md")),
            ("docs", "decisions/", Some("docs/decisions")),
            ("", "./docs/a.md", Some("docs/a.md")),
            ("docs", "../../other", None),
        ] {
            assert_eq!(resolve(folder, target).as_deref(), found, "{folder} {target}");
        }
        assert_eq!((super::folder("docs/a.md"), super::folder("a.md")), ("docs", ""));
    }
}
