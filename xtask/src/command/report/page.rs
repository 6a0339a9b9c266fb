//! The page as a pure function of manifests and timings: no clock, no path, no request to anywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{escape, size};
use super::{drawing, sections};
use crate::keyed::Timing;
use crate::manifest::Manifest;
use crate::time::date;

const STYLE: &str = include_str!("style.css");

/// All that the page shows.
#[derive(Debug)]
pub struct Page<'a> {
    /// The build.
    pub manifest: &'a Manifest,
    /// What its stages took, in the order they ran; may be empty.
    pub stages: &'a [Timing],
    /// Component by package.
    pub components: &'a BTreeMap<String, String>,
    /// Upper bounds by role of the artifact.
    pub budgets: &'a BTreeMap<String, u64>,
    /// An older build to compare with.
    pub against: Option<&'a Manifest>,
}

/// Returns the whole HTML document. The same arguments give the same bytes.
pub fn render(page: &Page<'_>) -> String {
    let manifest = page.manifest;
    let title = format!("{} {}", capitalized(&manifest.product), manifest.version);
    let mut html = String::new();
    push(&mut html, format_args!("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"));
    // The browser itself refuses any request that a later change might bring in.
    push(
        &mut html,
        format_args!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
             'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{} – size report</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            escape(&title)
        ),
    );
    push(&mut html, format_args!("{}\n<main>\n", header(page, &title)));
    let sections = [
        drawing::treemap(page),
        sections::components(page),
        drawing::partitions(page),
        sections::artifacts(page),
        sections::stages(page),
        sections::difference(page),
        sections::special_files(page),
        sections::packages(page),
    ];
    html.push_str(&sections.concat());
    push(
        &mut html,
        format_args!(
            "</main>\n<footer>Made by <code>cargo xtask report</code> from the build manifest of {}. Sizes of \
             packages are those of their files in <code>/usr</code> before compression.</footer>\n</body>\n\
             </html>\n",
            escape(&title)
        ),
    );
    html
}

/// Appends formatted text.
pub fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to a string cannot fail");
}

fn header(page: &Page<'_>, title: &str) -> String {
    let manifest = page.manifest;
    let mut html = format!("<header>\n<h1>{}", escape(title));
    if manifest.insecure_keys {
        html.push_str(" <span class=\"badge\">INSECURE: development key</span>");
    }
    push(&mut html, format_args!("</h1>\n<p class=\"soft\">What the image consists of"));
    if let Some(old) = page.against {
        push(&mut html, format_args!(", compared with {}", escape(&old.version)));
    }
    html.push_str(".</p>\n<nav aria-label=\"Sections\">");
    let mut links = vec![("treemap", "Treemap"), ("components", "Components"), ("partitions", "Partitions")];
    links.extend([("artifacts", "Artifacts"), ("stages", "Stages")]);
    if page.against.is_some() {
        links.push(("difference", "Difference"));
    }
    links.extend([("special", "Special files"), ("packages", "Packages")]);
    for (id, name) in links {
        push(&mut html, format_args!("<a href=\"#{id}\">{name}</a>"));
    }
    html.push_str("</nav>\n<dl class=\"tiles\">\n");
    let length = |role: &str| manifest.artifacts.get(role).map_or_else(|| "–".to_owned(), |a| size(a.size));
    let unpacked: u64 = manifest.contents.values().sum();
    let tiles = [
        ("/usr, compressed", length("usr"), format!("{} before compression", size(unpacked))),
        ("Unified kernel image", length("uki"), "kernel, initrd, microcode".to_owned()),
        ("Disk image", length("raw"), format!("{} partitions, sparse", manifest.partitions.len())),
        ("Packages", manifest.packages.len().to_string(), format!("locked {}", date(manifest.build_time))),
        (
            "Special files",
            manifest.special_files.len().to_string(),
            "set-id, own group, capabilities".to_owned(),
        ),
    ];
    for (name, value, note) in tiles {
        push(
            &mut html,
            format_args!(
                "<div class=\"tile\"><dt>{name}</dt><dd>{} <small>{}</small></dd></div>\n",
                escape(&value),
                escape(&note)
            ),
        );
    }
    html.push_str("</dl>\n<dl class=\"facts\">\n");
    let mut facts = vec![("Root hash", manifest.root_hash.as_str()), ("Commit", &manifest.commit)];
    facts.push(("Lock", &manifest.lock_sha256));
    facts.extend(manifest.toolchain.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    for (name, value) in facts {
        push(&mut html, format_args!("<dt>{}</dt><dd class=\"mono\">{}</dd>\n", escape(name), escape(value)));
    }
    html.push_str("</dl>\n</header>");
    html
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A small made-up build.
    pub fn manifest() -> Manifest {
        let text = include_str!("../../../tests/data/report.manifest.json");
        serde_json::from_str(text).unwrap()
    }

    fn stages() -> Vec<Timing> {
        let text = r#"[{"stage":"rootfs","seconds":57.25,"outcome":"run","bytes_out":12},
                       {"stage":"usr<","seconds":0.001,"outcome":"hit","bytes_out":230000000}]"#;
        serde_json::from_str(text).unwrap()
    }

    fn rendered(manifest: &Manifest, against: Option<&Manifest>) -> String {
        let components =
            manifest.contents.keys().map(|name| (name.clone(), format!("part of {}", &name[..1])));
        render(&Page {
            manifest,
            stages: &stages(),
            components: &components.collect(),
            budgets: &BTreeMap::from([("usr".to_owned(), 200 << 20), ("uki".to_owned(), 1 << 20)]),
            against,
        })
    }

    #[test]
    fn values_cannot_break_out_of_the_page() {
        let mut manifest = manifest();
        let evil = "\"><script>alert(1)</script>";
        manifest.commit = evil.to_owned();
        manifest.packages[0].version = evil.to_owned();
        manifest.packages[0].licence = evil.to_owned();
        manifest.contents.insert(evil.to_owned(), 50_000_000);
        manifest.partitions[0].label = evil.to_owned();
        manifest.special_files[0].path = evil.to_owned();
        manifest.toolchain.insert(evil.to_owned(), evil.to_owned());
        manifest.artifacts.get_mut("raw").unwrap().file = evil.to_owned();
        let html = rendered(&manifest, Some(&self::manifest()));
        assert!(!html.contains("<script") && html.contains("&lt;script"), "{html}");
        assert!(html.contains("usr&lt;"), "stage names are escaped too");
    }

    #[test]
    fn the_same_manifest_gives_the_same_page() {
        assert_eq!(rendered(&manifest(), None), rendered(&manifest(), None));
    }

    #[test]
    fn nothing_is_requested_from_anywhere() {
        let html = rendered(&manifest(), Some(&manifest()));
        for sign in ["http:", "https:", "src=", "url(", "@import", "<link", "<script"] {
            assert!(!html.contains(sign), "the page contains `{sign}`");
        }
    }

    #[test]
    fn every_link_has_its_target_and_every_id_is_used_once() {
        let html = rendered(&manifest(), Some(&manifest()));
        let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for (idx, id) in ids.iter().enumerate() {
            assert!(!ids[..idx].contains(id), "two elements have the id `{id}`");
        }
        let links = html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
        for link in links {
            assert!(ids.contains(&link), "the link `#{link}` leads nowhere");
        }
    }

    #[test]
    fn elements_are_closed_in_order() {
        let html = rendered(&manifest(), Some(&manifest()));
        let body = html.split_once("</style>").unwrap().1;
        let mut open = vec!["html", "head"];
        for tag in body.split('<').skip(1) {
            let name = tag.split(|c: char| c == '>' || c.is_whitespace()).next().unwrap();
            if let Some(name) = name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "at <{tag}");
            } else if !tag.split('>').next().unwrap().ends_with('/') {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn an_empty_difference_says_so_and_without_one_there_is_no_section() {
        let same = rendered(&manifest(), Some(&manifest()));
        assert!(same.contains("id=\"difference\"") && same.contains("No difference"));
        assert!(!rendered(&manifest(), None).contains("id=\"difference\""));
    }

    #[test]
    fn a_manifest_without_anything_still_gives_a_page() {
        let mut manifest = manifest();
        manifest.packages.clear();
        manifest.contents.clear();
        manifest.artifacts.clear();
        manifest.partitions.clear();
        manifest.special_files.clear();
        let html = rendered(&manifest, None);
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }

    #[test]
    fn an_artifact_over_its_budget_is_marked() {
        let html = rendered(&manifest(), None);
        assert!(html.contains("over by"), "the UKI of the fixture is larger than 1 MiB");
    }
}
