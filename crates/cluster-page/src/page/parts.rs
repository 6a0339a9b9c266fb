//! The parts of the page: a table each, with a caption, and names of columns that a narrow screen shows beside each cell.

mod tables;

use crate::markup::Markup;
use crate::view::View;

/// Returns all parts in order.
pub(super) fn all(view: &View) -> Vec<Markup> {
    vec![
        missing(view),
        tables::machines(view),
        tables::slots(view),
        tables::versions(view),
        tables::units(view),
        tables::etcd(view),
        tables::events(view),
    ]
}

/// A moment.
pub(super) fn time(at: &str) -> Markup {
    let shown = at.trim_end_matches('Z').replace('T', " ");
    Markup::new().raw("<time datetime=\"").text(at).raw("\">").text(&shown).raw("</time>")
}

/// What did not answer, a line each.
fn missing(view: &View) -> Markup {
    if view.missing.is_empty() {
        return Markup::new();
    }
    let mut table = Table::new("What did not answer", &["Command", "Reason", "Shown here"]);
    for row in &view.missing {
        let shown = match (&row.known_at, row.age_secs) {
            (Some(at), Some(age)) => {
                let age = format!("{} ago", span(age));
                Markup::new().raw("what it said at ").piece(&time(at)).element("<small>", &age, "</small>")
            }
            _ => Markup::new().raw("nothing of it"),
        };
        table.row(&code(&row.source), &[text(&row.reason), shown]);
    }
    table.finish()
}

/// A span of time as people say it.
pub fn span(secs: i64) -> String {
    match secs {
        ..120 => format!("{secs} s"),
        120..7200 => format!("{} min", secs / 60),
        7200..172_800 => format!("{} h", secs / 3600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// Text.
pub(super) fn text(text: &str) -> Markup {
    Markup::new().text(text)
}

/// Text that programs read too.
pub(super) fn code(text: &str) -> Markup {
    Markup::new().element("<code>", text, "</code>")
}

/// Text, or a dash for what is not known.
pub(super) fn or_dash(found: Option<&String>) -> Markup {
    text(found.map_or("–", String::as_str))
}

/// How a state looks beside its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Well,
    Note,
    Trouble,
}

/// A state: a word, which says all that its color does.
pub(super) fn word(tone: Tone, text: &str) -> Markup {
    let open = match tone {
        Tone::Plain => "<span class=\"word\">",
        Tone::Well => "<span class=\"word well\">",
        Tone::Note => "<span class=\"word note\">",
        Tone::Trouble => "<span class=\"word trouble\">",
    };
    Markup::new().element(open, text, "</span>")
}

/// A table in a section of its own. Roles are said, because a narrow screen lays it out otherwise and browsers would
/// forget them.
pub(super) struct Table {
    names: &'static [&'static str],
    made: Markup,
    is_empty: bool,
}

impl Table {
    /// Begins one.
    pub(super) fn new(caption: &'static str, names: &'static [&'static str]) -> Self {
        let head = Markup::new()
            .raw("<section><table role=\"table\"><caption>")
            .raw(caption)
            .raw("</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
        let head = names.iter().fold(head, |head, name| {
            head.raw("<th scope=\"col\" role=\"columnheader\">").raw(name).raw("</th>")
        });
        Self { names, made: head.raw("</tr></thead>\n<tbody role=\"rowgroup\">\n"), is_empty: true }
    }

    /// Adds a row; the first cell says what it is about.
    pub(super) fn row(&mut self, first: &Markup, cells: &[Markup]) {
        let mut made = std::mem::take(&mut self.made).raw("<tr role=\"row\">");
        for (at, (cell, name)) in std::iter::once(first).chain(cells).zip(self.names).enumerate() {
            let (open, close) = match at {
                0 => ("<th scope=\"row\" role=\"rowheader\" data-name=\"", "</th>"),
                _ => ("<td role=\"cell\" data-name=\"", "</td>"),
            };
            made = made.raw(open).raw(name).raw("\">").piece(cell).raw(close);
        }
        self.made = made.raw("</tr>\n");
        self.is_empty = false;
    }

    /// Ends it.
    pub(super) fn finish(self) -> Markup {
        self.made.raw("</tbody></table></section>\n")
    }

    /// Ends it, or says in its place that there is nothing.
    pub(super) fn finish_or(self, caption: &'static str, nothing: &'static str) -> Markup {
        if !self.is_empty {
            return self.finish();
        }
        Markup::new()
            .raw("<section><table role=\"table\"><caption>")
            .raw(caption)
            .raw("</caption></table><p class=\"none\">")
            .raw(nothing)
            .raw("</p></section>\n")
    }
}
