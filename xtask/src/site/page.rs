//! One page for the site: links as they are there, and pictures in the page.

use std::collections::BTreeMap;

use super::links::{self, Link};
use super::{Files, path};

/// What a page can link to.
#[derive(Debug)]
pub struct Site<'a> {
    /// All files.
    pub files: &'a Files,
    /// Pages and pictures as text.
    pub texts: &'a BTreeMap<&'a str, &'a str>,
    /// Paths of the pages that the site has.
    pub pages: &'a [String],
}

/// Returns the page for mdBook, or what is wrong with its links.
///
/// A link to code, which the site has not, becomes its text; that the code is there is a house rule of its own.
pub fn rewrite(path: &str, text: &str, site: &Site<'_>) -> Result<String, Vec<String>> {
    let (mut out, mut problems, mut done) = (String::with_capacity(text.len()), Vec::new(), 0);
    for link in links::find(text) {
        out.push_str(&text[done..link.whole.start]);
        match replaced(path, text, &link, site) {
            Ok(words) => out.push_str(&words),
            Err(why) => problems.push(format!("{path}: {}: {why}", &text[link.target.clone()])),
        }
        done = link.whole.end;
    }
    out.push_str(&text[done..]);
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn replaced(page: &str, text: &str, link: &Link, site: &Site<'_>) -> Result<String, &'static str> {
    let (whole, shown, target) =
        (&text[link.whole.clone()], &text[link.text.clone()], &text[link.target.clone()]);
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    if links::is_elsewhere(target) || file.is_empty() {
        return Ok(whole.to_owned());
    }
    let path = path::resolve(path::folder(page), file).ok_or("leads out of the repository")?;
    if link.is_picture {
        let picture = site.texts.get(path.as_str()).filter(|_| path.ends_with(".svg"));
        return Ok(picture_in_page(shown, picture.ok_or("no picture (*.svg) below docs/")?));
    }
    let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
    let is_page = |path: &str| site.pages.iter().any(|page| page == path);
    let readme = if path.is_empty() { "README.md".to_owned() } else { format!("{path}/README.md") };
    if is_page(&path) {
        // mdBook calls the page of a folder `index.html`, and does not say so in links.
        let file = match file.strip_suffix("README.md") {
            Some(folder) => format!("{folder}index.html"),
            None => file.to_owned(),
        };
        return Ok(format!("[{shown}]({file}{anchor})"));
    }
    if is_page(&readme) {
        return Ok(format!("[{shown}]({}/index.html{anchor})", file.trim_end_matches('/')));
    }
    if site.files.contains_key(&path) && !path.ends_with(".md") && path.starts_with("docs/") {
        return Ok(whole.to_owned());
    }
    if path.starts_with("docs/") {
        return Err("no page of the site, nor a file below docs/");
    }
    Ok(shown.to_owned())
}

/// In the page, where the site's theme decides its colors, and not the system's.
fn picture_in_page(words: &str, svg: &str) -> String {
    // A blank line would end the HTML.
    let lines: Vec<&str> = svg.lines().filter(|line| !line.trim().is_empty()).collect();
    let words = words.replace('&', "&amp;").replace('"', "&quot;");
    format!("<div class=\"picture\" role=\"img\" aria-label=\"{words}\">\n{}\n</div>", lines.join("\n"))
}
