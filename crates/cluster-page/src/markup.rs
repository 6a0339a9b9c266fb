//! HTML, written so that no foreign text can be anything but text: what is not a constant of ours goes through
//! [`escape`], because nothing else takes it.

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// Begins an empty piece.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends markup of ours.
    pub fn raw(mut self, ours: &'static str) -> Self {
        self.0.push_str(ours);
        self
    }

    /// Appends text, whoever wrote it.
    pub fn text(mut self, text: &str) -> Self {
        escape(text, &mut self.0);
        self
    }

    /// Appends another piece.
    pub fn piece(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Appends an element with text in it.
    pub fn element(self, open: &'static str, text: &str, close: &'static str) -> Self {
        self.raw(open).text(text).raw(close)
    }

    /// Tells whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns it as text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Appends a text so that it is text in elements and in attributes with quotes around them.
fn escape(text: &str, to: &mut String) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&#39;"),
            // HTML has none of these, and a browser would make something of its own of them.
            c if c.is_control() && !matches!(c, '\n' | '\t') => to.push('\u{fffd}'),
            c => to.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        Markup::new().text(text).into_text()
    }

    #[test]
    fn what_means_something_in_html_is_replaced() {
        assert_eq!(escaped(r#"<a href="x">&'"#), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(escaped("a\0b\u{7f}"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn pieces_are_put_together() {
        let inner = Markup::new().element("<b>", "x&y", "</b>");
        assert!(Markup::new().is_empty() && !inner.is_empty());
        assert_eq!(Markup::new().raw("<p>").piece(&inner).raw("</p>").into_text(), "<p><b>x&amp;y</b></p>");
    }

    proptest! {
        #[test]
        fn no_text_opens_or_closes_anything(text in any::<String>()) {
            let found = escaped(&text);
            let has_markup = found.contains(['<', '>', '"', '\'']);
            prop_assert!(!has_markup);
            let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
            let is_known = |rest: &str| entities.iter().any(|entity| rest.starts_with(entity));
            prop_assert!(found.match_indices('&').all(|(at, _)| is_known(&found[at..])));
        }

        #[test]
        fn what_is_read_back_is_what_was_written(text in "[^\\p{Cc}]*") {
            let found = escaped(&text);
            let read = found.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(read.replace("&amp;", "&"), text);
        }
    }
}
