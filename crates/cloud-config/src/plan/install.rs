//! What `[Install]` of a unit asks for, as links: enabling without asking the service manager.

use super::Link;

/// Returns the name of the file of a unit: of an instance, that of its template.
pub fn unit_file_name(name: &str) -> String {
    match split(name) {
        (prefix, Some(instance), end) if !instance.is_empty() => format!("{prefix}@{end}"),
        _ => name.to_owned(),
    }
}

/// Splits `prefix@instance.service`; without an `@` there is no instance.
fn split(name: &str) -> (&str, Option<&str>, &str) {
    let dot = name.rfind('.').unwrap_or(name.len());
    let (stem, end) = name.split_at(dot);
    match stem.split_once('@') {
        Some((prefix, instance)) => (prefix, Some(instance), end),
        None => (stem, None, end),
    }
}

/// Returns the links that enabling a unit makes below `folder`, and what cannot be done.
///
/// `texts` are the unit's file, which is at `file`, and its drop-ins.
pub fn links(name: &str, file: &str, texts: &[&str], folder: &str) -> (Vec<Link>, Vec<String>) {
    let (mut links, mut warnings) = (Vec::new(), Vec::new());
    let mut name = name.to_owned();
    let settings = settings(texts);
    let values = |key: &str| {
        let of_key = settings.iter().filter(move |(name, _)| name == key);
        // An empty value takes back what was said before.
        of_key.fold(Vec::new(), |mut words: Vec<String>, (_, value)| {
            if value.is_empty() {
                words.clear();
            }
            words.extend(value.split_whitespace().map(str::to_owned));
            words
        })
    };
    if let (prefix, Some(""), end) = split(&name) {
        let Some(instance) = values("DefaultInstance").pop() else {
            return (links, vec![format!("{name} is a template without a default instance: name one")]);
        };
        name = format!("{prefix}@{instance}{end}");
    }
    let mut link = |at: String| match resolved(&at, &name) {
        Some(at) if !at.split('/').any(|part| part.is_empty() || part == "..") => {
            links.push(Link { path: format!("{folder}/{at}"), target: file.to_owned() });
        }
        _ => warnings.push(format!("{name}: [Install] names `{at}`, which cannot be a link")),
    };
    for (key, end) in [("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds")] {
        for by in values(key).into_iter().filter(|by| !by.contains('/')) {
            link(format!("{by}.{end}/{name}"));
        }
    }
    for alias in values("Alias").into_iter().filter(|alias| !alias.contains('/')) {
        link(alias);
    }
    if !values("Also").is_empty() {
        warnings.push(format!("{name}: `Also=` is not followed: list those units too"));
    }
    if links.is_empty() && warnings.is_empty() {
        warnings.push(format!("{name} has no [Install] that says when it is wanted: it is not enabled"));
    }
    (links, warnings)
}

/// Returns the settings of all sections `[Install]`, in order.
fn settings(texts: &[&str]) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for text in texts {
        let mut is_install = false;
        let mut joined = String::new();
        for line in text.lines() {
            if joined.is_empty() && line.trim_start().starts_with(['#', ';']) {
                continue;
            }
            if let Some(start) = line.strip_suffix('\\') {
                joined.push_str(start);
                joined.push(' ');
                continue;
            }
            joined.push_str(line);
            let whole = std::mem::take(&mut joined);
            let whole = whole.trim();
            if whole.starts_with('[') {
                is_install = whole == "[Install]";
            } else if let Some((key, value)) = whole.split_once('=').filter(|_| is_install) {
                settings.push((key.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    settings
}

/// Replaces the specifiers of a name; `None` if there are others than those that a name alone answers.
fn resolved(text: &str, name: &str) -> Option<String> {
    let (prefix, instance, end) = split(name);
    let mut done = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('%') {
        done.push_str(head);
        match tail.chars().next()? {
            'i' => done.push_str(instance.unwrap_or_default()),
            'p' => done.push_str(prefix),
            'n' => done.push_str(name),
            'N' => done.push_str(name.strip_suffix(end)?),
            '%' => done.push('%'),
            _ => return None,
        }
        rest = &tail[1..];
    }
    done.push_str(rest);
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, links_expected: &[&str], n_warnings: usize) {
        let (links, warnings) = links(name, "/u/f", &[text], "/e");
        let paths: Vec<_> = links.iter().map(|link| link.path.as_str()).collect();
        assert_eq!((paths.as_slice(), warnings.len()), (links_expected, n_warnings), "{warnings:?}");
        assert!(links.iter().all(|link| link.target == "/u/f"));
    }

    #[test]
    fn install_sections_are_links() {
        check(
            "a.service",
            "[Unit]\nWantedBy=x\n[Install]\n# WantedBy=no\nWantedBy=m.target \\\n n.target\nRequiredBy=r.target\n\
             Alias=b.service\n",
            &[
                "/e/m.target.wants/a.service",
                "/e/n.target.wants/a.service",
                "/e/r.target.requires/a.service",
                "/e/b.service",
            ],
            0,
        );
        check(
            "a.service",
            "[Install]\nWantedBy=x.target\nWantedBy=\nWantedBy=y.target\n",
            &["/e/y.target.wants/a.service"],
            0,
        );
    }

    #[test]
    fn instances_are_links_to_their_template() {
        assert_eq!(unit_file_name("a@b.service"), "a@.service");
        assert_eq!(unit_file_name("a@.service"), "a@.service");
        assert_eq!(unit_file_name("a.b.service"), "a.b.service");
        check(
            "a@b.service",
            "[Install]\nWantedBy=x-%i.target %p.target\n",
            &["/e/x-b.target.wants/a@b.service", "/e/a.target.wants/a@b.service"],
            0,
        );
        check(
            "a@.service",
            "[Install]\nDefaultInstance=d\nWantedBy=x.target\n",
            &["/e/x.target.wants/a@d.service"],
            0,
        );
        check("a@.service", "[Install]\nWantedBy=x.target\n", &[], 1);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        check("a.service", "[Service]\n", &[], 1);
        check(
            "a.service",
            "[Install]\nAlso=b.service\nWantedBy=x.target\n",
            &["/e/x.target.wants/a.service"],
            1,
        );
        check("a.service", "[Install]\nWantedBy=%H.target\nAlias=../x\n", &[], 1);
    }
}
