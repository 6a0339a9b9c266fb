//! YAML as a tree of nodes that know where they stand: the one place that uses the library.
//!
//! Scalars are text as written: what a plain `0644` or `off` means is for the reader of the key.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag, options};

use crate::finding::{Finding, Position, quoted};

/// Levels of lists and maps in each other.
pub const DEPTH_MAX: usize = 64;
/// Items of one list and keys of one map: whoever compares each with each does it in no time.
pub const ITEMS_MAX: usize = 4096;
/// Bytes of all nodes, with what aliases stand for counted each time.
const SIZE_MAX: usize = 4 << 20;
/// What a node counts for beside its text.
const NODE_SIZE: usize = 16;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: an empty plain scalar, `~` or `null`.
    Null,
    /// Any other scalar.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file, without a key twice.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key as the schema spells it: `-` as `_`.
    pub key: String,
    /// The key as the file spells it.
    pub written: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Returns the value of a key of a map; nothing for a null and for what is no map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        let node = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
        node.filter(|node| node.value != Value::Null)
    }

    /// Returns the text of a scalar.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// Returns the items of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// Returns the entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    fn size(&self) -> usize {
        NODE_SIZE
            + match &self.value {
                Value::Null => 0,
                Value::Text(text) => text.len(),
                Value::List(items) => items.iter().map(Self::size).sum(),
                Value::Map(entries) => {
                    entries.iter().map(|entry| entry.written.len() + entry.node.size()).sum()
                }
            }
    }

    fn depth(&self) -> usize {
        match &self.value {
            Value::Null | Value::Text(_) => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or_default(),
            Value::Map(entries) => {
                1 + entries.iter().map(|entry| entry.node.depth()).max().unwrap_or_default()
            }
        }
    }
}

/// Parses one document; no document at all is a null.
pub fn parse(text: &str) -> Result<Node, Finding> {
    let options = options! {
        emit_comments: false,
        block_nesting_limit: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
    };
    Builder::default().build(Parser::new_from_str_with_options(text, options))
}

/// A list or map that is not complete yet.
#[derive(Debug)]
struct Open {
    at: Position,
    anchor: usize,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    List(Vec<Node>),
    /// The second value is a key that waits for its value: spelling and place.
    Map(Vec<Entry>, Option<(String, Position)>),
}

#[derive(Debug, Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    size: usize,
}

impl Builder {
    fn build<'a>(
        mut self,
        events: impl Iterator<Item = Result<(Event<'a>, Span), ScanError>>,
    ) -> Result<Node, Finding> {
        let mut n_documents = 0;
        for event in events {
            let (event, span) = event.map_err(|err| syntax(&err))?;
            let at = position(span.start);
            match event {
                Event::DocumentStart(..) => {
                    n_documents += 1;
                    if n_documents > 1 {
                        return Err(Finding::error(at, "a second document in one file"));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let text = if is_binary(tag.as_deref()) {
                        binary(&text, at)?.into()
                    } else {
                        check_tag(tag.as_deref(), at)?;
                        text
                    };
                    let is_null = style == ScalarStyle::Plain
                        && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                    let value = if is_null { Value::Null } else { Value::Text(text.into_owned()) };
                    let node = Node { at, value };
                    let size = node.size();
                    self.complete(node, anchor, size)?;
                }
                Event::SequenceStart(_, anchor, tag) => {
                    check_tag(tag.as_deref(), at)?;
                    self.begin(Open { at, anchor, kind: OpenKind::List(Vec::new()) })?;
                }
                Event::MappingStart(_, anchor, tag) => {
                    check_tag(tag.as_deref(), at)?;
                    self.begin(Open { at, anchor, kind: OpenKind::Map(Vec::new(), None) })?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(Open { at, anchor, kind }) = self.open.pop() else { continue };
                    let value = match kind {
                        OpenKind::List(items) => Value::List(items),
                        OpenKind::Map(entries, _) => Value::Map(entries),
                    };
                    // Its parts were counted when they were complete.
                    self.complete(Node { at, value }, anchor, NODE_SIZE)?;
                }
                Event::Alias(anchor) => {
                    // The node inside of itself is not complete, and so not known yet.
                    let node = self.anchors.get(&anchor).cloned();
                    let mut node =
                        node.ok_or_else(|| Finding::error(at, "an alias inside of what it stands for"))?;
                    if self.open.len() + node.depth() > DEPTH_MAX {
                        return Err(too_deep(at));
                    }
                    node.at = at;
                    let size = node.size();
                    self.complete(node, 0, size)?;
                }
                _ => {}
            }
        }
        Ok(self.root.unwrap_or(Node { at: Position::START, value: Value::Null }))
    }

    fn begin(&mut self, open: Open) -> Result<(), Finding> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(open.at));
        }
        if let Some(Open { kind: OpenKind::Map(_, None), .. }) = self.open.last() {
            return Err(Finding::error(open.at, "a list or map as a key"));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a complete node into what is open, or at the root; `size` is what it adds to all that is there.
    fn complete(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Finding> {
        // What an alias may stand for is kept a second time.
        self.size += size + if anchor == 0 { 0 } else { node.size() };
        if self.size > SIZE_MAX {
            return Err(Finding::error(node.at, "too many nodes, or aliases that stand for too much"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => {
                check_count(items.len(), node.at)?;
                items.push(node);
            }
            Some(OpenKind::Map(entries, waiting)) => match waiting.take() {
                None => {
                    check_count(entries.len(), node.at)?;
                    *waiting = Some(key(&node, entries)?);
                }
                Some((written, at)) => {
                    entries.push(Entry { key: written.replace('-', "_"), written, at, node });
                }
            },
        }
        Ok(())
    }
}

/// Makes a key of a complete node: a scalar that the map does not have yet, in whatever spelling.
fn key(node: &Node, entries: &[Entry]) -> Result<(String, Position), Finding> {
    let Some(text) = node.text() else {
        let what = if node.value == Value::Null { "no key before `:`" } else { "a list or map as a key" };
        return Err(Finding::error(node.at, what));
    };
    let spelt = text.replace('-', "_");
    if let Some(first) = entries.iter().find(|entry| entry.key == spelt) {
        let line = first.at.line;
        return Err(Finding::error(
            node.at,
            format!("key {} is there already, in line {line}", quoted(text)),
        ));
    }
    Ok((text.to_owned(), node.at))
}

fn is_binary(tag: Option<&Tag>) -> bool {
    tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:")).is_some_and(|name| name == "binary")
}

/// Returns what `!!binary` stands for: text, or compressed bytes as characters of the same numbers, which is how
/// such bytes can be written without the tag too.
fn binary(text: &str, at: Position) -> Result<String, Finding> {
    let joined: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(joined).map_err(|_| Finding::error(at, "`!!binary` is no base64"))?;
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    String::from_utf8(bytes).or_else(|err| {
        let characters = || err.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        let message = "`!!binary` is no text: use encoding b64";
        is_gzip.then(characters).ok_or_else(|| Finding::error(at, message))
    })
}

fn check_tag(tag: Option<&Tag>, at: Position) -> Result<(), Finding> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(Finding::error(at, format!("tag {} has no meaning here", quoted(&tag.original()))))
        }
        _ => Ok(()),
    }
}

fn check_count(count: usize, at: Position) -> Result<(), Finding> {
    if count < ITEMS_MAX {
        return Ok(());
    }
    Err(Finding::error(at, format!("more than {ITEMS_MAX} items in one list or map")))
}

fn too_deep(at: Position) -> Finding {
    Finding::error(at, format!("more than {DEPTH_MAX} lists and maps in each other"))
}

fn syntax(err: &ScanError) -> Finding {
    let said = err.info();
    Finding::error(position(*err.marker()), format!("not valid YAML: {}", said.lines().next().unwrap_or("")))
}

/// The library counts columns from 0.
fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Node {
        parse(text).unwrap()
    }

    #[track_caller]
    fn check_wrong(text: &str, expected: &str) {
        let line = parse(text).unwrap_err().line("f");
        assert!(line.starts_with(&format!("f:{expected}")), "{line}");
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let node = parsed("#cloud-config\nusers:\n  - name: core\n    no-create-home: yes\n");
        let users = &node.entries()[0];
        assert_eq!((users.key.as_str(), users.at), ("users", Position { line: 2, column: 1 }));
        let core = &users.node.items()[0];
        assert_eq!(core.get("name").and_then(Node::text), Some("core"));
        let home = &core.entries()[1];
        assert_eq!((home.key.as_str(), home.written.as_str()), ("no_create_home", "no-create-home"));
        assert_eq!((home.at, home.node.at.column), (Position { line: 4, column: 5 }, 21));
        assert_eq!(home.node.text(), Some("yes"));
    }

    #[test]
    fn scalars_are_text_as_written() {
        let node = parsed("a: 0644\nb: off\nc: \"null\"\nd: ~\ne:\nf: 1e3\n");
        let texts: Vec<_> = node.entries().iter().map(|entry| entry.node.text()).collect();
        assert_eq!(texts, [Some("0644"), Some("off"), Some("null"), None, None, Some("1e3")]);
        assert_eq!(parsed("").value, Value::Null);
        assert_eq!(parsed("#cloud-config\n").value, Value::Null);
    }

    #[test]
    fn binary_is_text_or_compressed() {
        assert_eq!(parsed("a: !!binary aGVs\n").get("a").and_then(Node::text), Some("hel"));
        assert_eq!(parsed("a: !!binary H4s=\n").get("a").and_then(Node::text), Some("\u{1f}\u{8b}"));
        check_wrong("a: !!binary /w==\n", "1:");
        check_wrong("a: !!binary \"?\"\n", "1:");
    }

    #[test]
    fn line_ends_of_windows_are_line_ends() {
        let node = parsed("a: |\r\n  one\r\n  two\r\nb: 1\r\n");
        assert_eq!(node.get("a").and_then(Node::text), Some("one\ntwo\n"));
        assert_eq!(node.entries()[1].at, Position { line: 4, column: 1 });
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let node = parsed("a: &x [1, 2]\nb: *x\n");
        assert_eq!(node.get("b").map(|node| node.items().len()), Some(2));
        assert_eq!(node.get("b").unwrap().at, Position { line: 2, column: 4 });
        check_wrong("a: *x\n", "1:4: error: not valid YAML");
        check_wrong("a: &x [*x]\n", "1:8: error: ");
    }

    #[test]
    fn rejects_bombs_of_aliases_and_of_depth() {
        let mut bomb = "a0: &a0 [xxxxxxxxxxxxxxxx]\n".to_owned();
        for n in 1..30 {
            let below = n - 1;
            bomb.push_str(&format!("a{n}: &a{n} [*a{below}, *a{below}, *a{below}, *a{below}]\n"));
        }
        let err = parse(&bomb).unwrap_err();
        assert_eq!(err.message, "too many nodes, or aliases that stand for too much");
        let deep = |n: usize| format!("a: {}{}\n", "[".repeat(n), "]".repeat(n));
        assert!(parse(&deep(DEPTH_MAX - 1)).is_ok());
        for n in [DEPTH_MAX, 500, 100_000] {
            assert_eq!(parse(&deep(n)).unwrap_err().level, crate::Level::Error);
        }
        let steps: String = (0..100).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(parse(&steps).is_err());
        let mut long = "a0: &a0 [x]\n".to_owned();
        for n in 1..100 {
            long.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
        }
        assert!(parse(&long).unwrap_err().message.starts_with("more than 64 lists"));
    }

    #[test]
    fn rejects_lists_and_maps_that_nobody_wrote_by_hand() {
        let list = |n| format!("a: [{}]\n", vec!["x"; n].join(", "));
        assert!(parse(&list(ITEMS_MAX)).is_ok());
        assert!(parse(&list(ITEMS_MAX + 1)).unwrap_err().message.starts_with("more than 4096 items"));
        let map: String = (0..=ITEMS_MAX).map(|n| format!("k{n}: x\n")).collect();
        check_wrong(&map, "4097:1: error: more than 4096 items in one list or map");
    }

    #[test]
    fn rejects_what_cannot_be_meant() {
        check_wrong("a: 1\nb: 2\na: 3\n", "3:1: error: key \"a\" is there already, in line 1");
        check_wrong("a-b: 1\na_b: 2\n", "2:1: error: key \"a_b\" is there already, in line 1");
        check_wrong("[a]: 1\n", "1:1: error: a list or map as a key");
        check_wrong("a: 1\n---\nb: 2\n", "2:1: error: a second document in one file");
        check_wrong("a: !!python/object 1\n", "1:");
        check_wrong("a:\n\t- b\n", "2:");
        check_wrong("a: [1\n", "1:4: error: not valid YAML: unclosed bracket");
        check_wrong("a: b: c\n", "1:");
    }
}
