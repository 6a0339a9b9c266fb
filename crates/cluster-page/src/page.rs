//! The page: one document without scripts, pictures or anything from elsewhere.

mod parts;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use crate::markup::Markup;
use crate::summary::{Stands, counted};
use crate::view::View;

pub use parts::span;

/// The only style of the page.
const STYLE: &str = include_str!("page/style.css");

/// Returns the page, which a browser loads anew after so many seconds.
pub fn render(view: &View, every_secs: u64) -> String {
    let head = Markup::new()
        .raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>")
        .text(&title(view))
        .raw("</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta http-equiv=\"refresh\" content=\"")
        .text(&every_secs.to_string())
        .raw("\">\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n<main>\n<header>\n<h1>Cluster</h1>\n<p>Seen at ")
        .piece(&parts::time(&view.at))
        .text(&format!(", looked at anew every {}", span(i64::try_from(every_secs).unwrap_or(i64::MAX))))
        .raw("</p>\n</header>\n");
    let body = head.piece(&stands(view));
    let body = parts::all(view).iter().fold(body, Markup::piece);
    body.raw("<footer><p>Times are UTC. This page changes nothing. The same as a document: <code>/status.json</code></p></footer>\n")
        .raw("</main>\n</body>\n</html>\n")
        .into_text()
}

/// Returns what a browser may do with the page: apply its style, and nothing else.
pub fn policy() -> String {
    let hash = BASE64.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A tab shows only its beginning.
fn title(view: &View) -> String {
    format!("{}: {}", view.stands.words(), counted(view.machines.len(), "machine", "machines"))
}

/// How it stands: the worst trouble first, then the whole in one sentence.
fn stands(view: &View) -> Markup {
    let (open, word) = match view.stands {
        Stands::Well => ("<section class=\"stands well\">", "<span class=\"word well\">"),
        Stands::Trouble => ("<section class=\"stands trouble\">", "<span class=\"word trouble\">"),
        Stands::Unknown => ("<section class=\"stands\">", "<span class=\"word\">"),
    };
    let line = Markup::new().raw(open).raw("<p>").element(word, view.stands.words(), "</span> ");
    let line = match view.troubles.split_first() {
        None => return line.element("<span id=\"summary\">", &view.summary, "</span></p></section>\n"),
        Some((first, [])) => line.element("<span id=\"summary\">", first, "</span></p>"),
        Some((first, more)) => {
            let items = more.iter().take(TROUBLES_MAX);
            let list = items.fold(Markup::new(), |list, trouble| list.element("<li>", trouble, "</li>"));
            let rest = more.len().saturating_sub(TROUBLES_MAX);
            let list =
                if rest == 0 { list } else { list.element("<li>", &format!("and {rest} more"), "</li>") };
            line.element("<span id=\"summary\">", first, "</span></p><ul>").piece(&list).raw("</ul>")
        }
    };
    line.element("<small>", &view.summary, "</small></section>\n")
}

/// Most troubles below the first one; all are in the document.
const TROUBLES_MAX: usize = 20;

#[cfg(test)]
mod tests;
