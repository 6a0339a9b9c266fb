//! Values of a map, as far as their shape is right.

use crate::finding::Position;
use crate::schema;
use crate::yaml::{Node, Value};

/// A map; of a null, one without keys.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a Node);

/// Stands for a section that is not there.
static NOTHING: Node = Node { at: Position::START, value: Value::Null };

impl<'a> Fields<'a> {
    /// Returns a text that is there and not empty.
    pub fn text(self, key: &str) -> Option<&'a str> {
        self.raw(key).filter(|text| !text.is_empty())
    }

    /// Tells whether a key is there and not empty, of whatever type.
    pub fn has(self, key: &str) -> bool {
        self.0.get(key).is_some_and(|node| node.text() != Some(""))
    }

    /// Returns a text that is there.
    pub fn raw(self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Node::text)
    }

    /// Returns a text as a value of its own.
    pub fn owned(self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// Returns whether a flag is there and says yes.
    pub fn flag(self, key: &str) -> bool {
        self.raw(key).and_then(schema::flag) == Some(true)
    }

    /// Returns the word that a key has, as the table spells it.
    pub fn word(self, key: &str, words: &[&'static str]) -> Option<&'static str> {
        self.raw(key).and_then(|value| schema::word(value, words))
    }

    /// Returns the texts of a list that are not empty, and where they stand.
    pub fn texts(self, key: &str) -> impl Iterator<Item = (&'a str, Position)> {
        let items = self.0.get(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|item| Some((item.text()?, item.at))).filter(|(text, _)| !text.is_empty())
    }

    /// Returns the maps of a list.
    pub fn maps(self, key: &str) -> impl Iterator<Item = Self> {
        let items = self.0.get(key).map(Node::items).unwrap_or_default().iter();
        items.filter(|item| matches!(item.value, Value::Map(_))).map(Self)
    }

    /// Returns a map in this one.
    pub fn section(self, key: &str) -> Self {
        self.0.get(key).map_or(Self(&NOTHING), Self)
    }

    /// Returns where the value of a key stands; without it, where the map does.
    pub fn at(self, key: &str) -> Position {
        self.0.get(key).map_or(self.0.at, |node| node.at)
    }
}
