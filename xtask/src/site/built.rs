//! What is wrong with a built site: links that lead nowhere, and anything that would be fetched from elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::path;

/// One attribute of a tag.
#[derive(Debug, PartialEq, Eq)]
struct Attribute<'a> {
    tag: &'a str,
    name: &'a str,
    value: &'a str,
}

/// Looks at every page and style. `files` are all files of the site: text for pages and styles, nothing for others.
pub fn problems(files: &BTreeMap<String, Option<String>>) -> Vec<String> {
    let text = |end: &str| {
        let texts = files.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)));
        texts.filter(move |(path, _)| path.ends_with(end)).collect::<Vec<_>>()
    };
    let pages: BTreeMap<&str, Vec<Attribute<'_>>> =
        text(".html").into_iter().map(|(path, text)| (path, attributes(text))).collect();
    let ids: BTreeMap<&str, BTreeSet<&str>> = pages
        .iter()
        .map(|(path, all)| {
            (*path, all.iter().filter(|found| found.name == "id").map(|found| found.value).collect())
        })
        .collect();
    let mut found = Vec::new();
    for (page, all) in &pages {
        for Attribute { tag, name, value } in all.iter().filter(|found| matches!(found.name, "href" | "src"))
        {
            if let Err(why) = check(page, tag, value, files, &ids) {
                found.push(format!("{page}: <{tag} {name}=\"{value}\">: {why}"));
            }
        }
    }
    for (style, text) in text(".css") {
        for target in urls(text) {
            if let Err(why) = check(style, "style", target, files, &ids) {
                found.push(format!("{style}: {target}: {why}"));
            }
        }
    }
    found
}

fn check(
    page: &str,
    tag: &str,
    target: &str,
    files: &BTreeMap<String, Option<String>>,
    ids: &BTreeMap<&str, BTreeSet<&str>>,
) -> Result<(), &'static str> {
    // What is in the page itself may name a namespace, which nobody fetches.
    if target.starts_with("data:") {
        return Ok(());
    }
    if target.contains("://") || target.starts_with("//") || target.starts_with("mailto:") {
        return if tag == "a" { Ok(()) } else { Err("fetched from elsewhere") };
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = file.split('?').next().unwrap_or(file);
    let path = match file {
        "" => page.to_owned(),
        file => path::resolve(path::folder(page), file).ok_or("leads out of the site")?,
    };
    if !files.contains_key(&path) {
        return Err("no such file");
    }
    let is_there = |ids: &BTreeSet<&str>| anchor.is_empty() || ids.contains(anchor);
    if ids.get(path.as_str()).is_none_or(is_there) { Ok(()) } else { Err("no such heading") }
}

/// All attributes of all tags, outside of scripts and styles.
fn attributes(html: &str) -> Vec<Attribute<'_>> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some((_, behind)) = rest.split_once('<') {
        rest = behind;
        let tag_len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        let (tag, behind) = rest.split_at(tag_len);
        if tag.is_empty() {
            continue;
        }
        rest = of_tag(tag, behind, &mut found);
        if matches!(tag, "script" | "style") {
            let end = format!("</{tag}");
            rest = rest.find(&end).map_or("", |at| &rest[at..]);
        }
    }
    found
}

/// Reads the attributes up to the end of the tag, and returns what is behind it.
fn of_tag<'a>(tag: &'a str, mut rest: &'a str, found: &mut Vec<Attribute<'a>>) -> &'a str {
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        let (name, behind) = rest.split_at(rest.find(end).unwrap_or(rest.len()));
        rest = behind;
        if let Some(value) = rest.strip_prefix("=\"") {
            let Some((value, behind)) = value.split_once('"') else { return "" };
            found.push(Attribute { tag, name, value });
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('>') {
            return behind;
        } else if name.is_empty() {
            // A tag that does not end, or an attribute in another form, which mdBook does not write.
            return rest.split_once('>').map_or("", |(_, behind)| behind);
        }
    }
}

/// What a style sheet loads.
fn urls(css: &str) -> Vec<&str> {
    let bare = |text: &str| text.find([')', ';']).unwrap_or(text.len());
    let parts = css
        .split("url(")
        .skip(1)
        .chain(css.split("@import ").skip(1).filter(|text| !text.starts_with("url(")));
    parts.map(|text| text[..bare(text)].trim().trim_matches(['"', '\''])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned()))).collect();
        assert_eq!(problems(&files), expected);
    }

    #[test]
    fn accepts_links_that_lead_somewhere() {
        let page =
            "<a href=\"../b.html#x-1\">b</a> <a href=\"#y\" id=\"y\">c</a> <a href=\"https://e\">d</a>";
        check(&[("docs/a.html", page), ("b.html", "<h2 id=\"x-1\">x</h2>")], &[]);
    }

    #[test]
    fn names_links_that_lead_nowhere() {
        let page =
            "<a href=\"b.html\">b</a><img src=\"c.png\"><a href=\"a.html#z\">z</a><a href=\"../../d\">d</a>";
        check(
            &[("docs/a.html", page)],
            &[
                "docs/a.html: <a href=\"b.html\">: no such file",
                "docs/a.html: <img src=\"c.png\">: no such file",
                "docs/a.html: <a href=\"a.html#z\">: no such heading",
                "docs/a.html: <a href=\"../../d\">: leads out of the site",
            ],
        );
    }

    #[test]
    fn names_what_is_fetched_from_elsewhere() {
        check(
            &[("a.html", "<script src=\"https://x/y.js\"></script><link href=\"//x/y.css\">")],
            &[
                "a.html: <script src=\"https://x/y.js\">: fetched from elsewhere",
                "a.html: <link href=\"//x/y.css\">: fetched from elsewhere",
            ],
        );
        check(
            &[("a.css", "@import \"https://x\"; b { c: url('d.woff?v=1') } e { f: url('data:g,http://h') }")],
            &["a.css: d.woff?v=1: no such file", "a.css: https://x: fetched from elsewhere"],
        );
    }

    #[test]
    fn passes_over_what_is_no_tag() {
        let page =
            "<script>a = '<a href=\"b\">';</script> &lt;a href=\"c\"&gt; <!-- <x y> --> <p class=\"d>e\">";
        check(&[("a.html", page)], &[]);
        assert_eq!(attributes("<p class=\"d>e\" hidden id=\"f\"/>").len(), 2);
    }
}
