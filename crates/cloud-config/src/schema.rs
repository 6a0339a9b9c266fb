//! The table of keys: what each takes and where it belongs. Checker, suggestions and the page go by it.

mod services;
mod table;

pub use table::{ENCODINGS, SECTIONS};

/// A map of the file: its path, and its keys.
///
/// The path of the file itself is empty; `users[]` is each item of the list `users`.
#[derive(Debug)]
pub struct Section {
    /// Its path.
    pub path: &'static str,
    /// Its keys, as the page lists them.
    pub keys: &'static [Key],
}

/// A key of a section, spelt with `_`.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Why not to use it any more, and what instead.
    pub deprecated: Option<&'static str>,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any scalar.
    Text,
    /// A scalar of a form.
    Form(Form),
    /// One of some words.
    Word(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// A whole number, 0 or more.
    Count,
    /// A list of scalars.
    Texts,
    /// A map that is a section of its own.
    Map,
    /// A list of maps that are one section.
    Maps,
}

/// A form of a scalar.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Digits of a mode: `0?` and three or four of 0 to 7.
    Mode,
    /// Beginning of a reboot window: `HH:MM`, or a day of the week and that.
    WindowStart,
    /// A duration as Go writes them: `1h30m`.
    Duration,
}

impl Kind {
    /// Returns the word of messages: what is wanted.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Text | Self::Form(_) | Self::Word(_) => "string",
            Self::Flag => "boolean",
            Self::Count => "integer",
            Self::Texts | Self::Maps => "list",
            Self::Map => "map",
        }
    }
}

impl Form {
    /// Tells whether a value is of this form.
    pub fn accepts(self, value: &str) -> bool {
        match self {
            Self::Mode => mode(value).is_some(),
            Self::WindowStart => is_window_start(value),
            Self::Duration => is_duration(value),
        }
    }
}

/// Returns the number that the digits of a mode say; `None` if they are of another form.
pub fn mode(value: &str) -> Option<u32> {
    let digits = if value.len() == 5 { value.strip_prefix('0')? } else { value };
    let is_mode = (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    is_mode.then(|| u32::from_str_radix(digits, 8).ok()).flatten()
}

/// Returns what a yes or no says, in any spelling of YAML 1.1; `None` if it is neither.
pub fn flag(value: &str) -> Option<bool> {
    let spelt = |words: [&str; 3]| {
        words.iter().any(|word| {
            let capital = word[..1].to_uppercase() + &word[1..];
            value == *word || value == capital || value == word.to_uppercase()
        })
    };
    match (spelt(["true", "yes", "on"]), spelt(["false", "no", "off"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// Returns the word that a value says; of YAML 1.1's booleans the one that is among the words.
pub fn word(value: &str, words: &[&'static str]) -> Option<&'static str> {
    let same = |wanted: bool| words.iter().copied().find(|word| flag(word) == Some(wanted));
    words.iter().copied().find(|word| *word == value).or_else(|| flag(value).and_then(same))
}

fn is_window_start(value: &str) -> bool {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let mut words = value.split_whitespace();
    let (Some(first), second, None) = (words.next(), words.next(), words.next()) else { return false };
    let (day, time) = second.map_or((None, first), |time| (Some(first), time));
    let is_day = day.is_none_or(|day| DAYS.contains(&day.to_lowercase().get(..3).unwrap_or_default()));
    let number = |text: &str, below: u32| {
        (1..=2).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| number < below)
    };
    is_day && time.split_once(':').is_some_and(|(hour, minute)| number(hour, 24) && number(minute, 60))
}

fn is_duration(value: &str) -> bool {
    let mut rest = value;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let unit = ["ms", "h", "m", "s"].into_iter().find(|unit| rest[digits..].starts_with(unit));
        let (Some(unit), true) = (unit, rest[..digits].parse::<f64>().is_ok()) else { return false };
        rest = &rest[digits + unit.len()..];
    }
    !value.is_empty()
}

/// Returns the section at a path.
pub fn section(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.path == path)
}

impl Section {
    /// Returns the key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns the path of a key: `coreos.units`.
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_the_table_are_sections_and_sections_are_reached() {
        let mut reached = vec![String::new()];
        for section in SECTIONS {
            for key in section.keys {
                match key.kind {
                    Kind::Map => reached.push(section.path_of(key.name)),
                    Kind::Maps => reached.push(format!("{}[]", section.path_of(key.name))),
                    _ => {}
                }
            }
        }
        reached.sort();
        let mut sections: Vec<_> = SECTIONS.iter().map(|section| section.path.to_owned()).collect();
        sections.sort();
        assert_eq!(sections, reached);
    }

    #[test]
    fn keys_are_spelt_one_way_and_are_there_once() {
        for section in SECTIONS {
            for (idx, key) in section.keys.iter().enumerate() {
                assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
                assert!(section.keys[..idx].iter().all(|other| other.name != key.name), "{}", key.name);
            }
        }
    }

    #[test]
    fn modes_are_three_or_four_digits() {
        for (value, expected) in
            [("644", Some(0o644)), ("0644", Some(0o644)), ("04755", Some(0o4755)), ("1777", Some(0o1777))]
        {
            assert_eq!(mode(value), expected, "{value}");
        }
        for wrong in ["", "64", "0999", "u+x", "00644x", "14755", "0o644", "420x", "rw-"] {
            assert_eq!(mode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn booleans_of_yaml_1_1_are_words_where_a_word_is_meant() {
        let words = ["reboot", "off"];
        assert_eq!(word("reboot", &words), Some("reboot"));
        for off in ["off", "Off", "OFF", "no", "false"] {
            assert_eq!(word(off, &words), Some("off"), "{off}");
        }
        assert_eq!(word("on", &words), None);
        assert_eq!(word("Reboot", &words), None);
        assert_eq!([flag("yes"), flag("No"), flag("tRue"), flag("1")], [Some(true), Some(false), None, None]);
    }

    #[test]
    fn windows_and_durations() {
        for good in ["14:00", "Thu 04:00", "sun 1:05", "Monday 23:59"] {
            assert!(is_window_start(good), "{good}");
        }
        for wrong in ["", "24:00", "4", "Foo 04:00", "04:60", "Thu 04:00 x", "+4:00"] {
            assert!(!is_window_start(wrong), "{wrong}");
        }
        for good in ["1h", "90m", "1h30m", "10s", "1.5h", "500ms"] {
            assert!(is_duration(good), "{good}");
        }
        for wrong in ["", "1", "h", "1d", "1h 30m", "-1h", "1..5h"] {
            assert!(!is_duration(wrong), "{wrong}");
        }
    }
}
