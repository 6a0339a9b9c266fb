//! The names of all options: those that do something, and those of the original that have nothing left to do.

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is used.
    Used,
    /// It was the original's and is accepted; why it does nothing.
    Ignored(&'static str),
}

/// All options by name.
pub const OPTIONS: &[(&str, Kind)] = &[
    ("agent_ttl", Kind::Used),
    ("api_addresses", Kind::Used),
    ("api_cafile", Kind::Used),
    ("api_certfile", Kind::Used),
    ("api_keyfile", Kind::Used),
    ("api_socket", Kind::Used),
    (
        "authorized_keys_file",
        Kind::Ignored("units are not signed: who may reach the API's socket decides what runs"),
    ),
    ("disable_engine", Kind::Used),
    (
        "disable_watches",
        Kind::Ignored("the watches miss nothing, and without them nothing would be heard of"),
    ),
    (
        "enable_grpc",
        Kind::Ignored("an agent hears of its own units alone, so engine and agents need no other way"),
    ),
    ("engine_mass_loss_wait", Kind::Used),
    ("engine_reconcile_interval", Kind::Used),
    ("engine_ttl", Kind::Used),
    ("etcd_cafile", Kind::Used),
    ("etcd_certfile", Kind::Used),
    ("etcd_key_prefix", Kind::Used),
    ("etcd_keyfile", Kind::Used),
    ("etcd_password", Kind::Used),
    ("etcd_request_timeout", Kind::Used),
    ("etcd_servers", Kind::Used),
    ("etcd_username", Kind::Used),
    ("grace", Kind::Used),
    ("metadata", Kind::Used),
    ("public_ip", Kind::Used),
    ("systemd_user", Kind::Used),
    ("token_limit", Kind::Used),
    ("units_directory", Kind::Used),
    ("verbosity", Kind::Used),
    ("verify_units", Kind::Ignored("units are not signed: who may reach the API's socket decides what runs")),
];

/// Returns the option of a name, with the name as a constant.
pub fn find(name: &str) -> Option<(&'static str, Kind)> {
    OPTIONS.iter().copied().find(|(known, _)| *known == name)
}

/// Returns the option that may be meant by a name that is none: one that differs in a few letters, or the only one that
/// contains it.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let names = || OPTIONS.iter().map(|(known, _)| *known);
    let close = names().map(|known| (distance(name, known), known)).min()?;
    if close.0 <= 1 + name.len() / 5 {
        return Some(close.1);
    }
    let mut containing = names().filter(|known| name.len() >= 3 && known.contains(name));
    containing.next().filter(|_| containing.next().is_none())
}

/// Letters that have to be put in, taken out or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, char) in from.chars().enumerate() {
        let mut before = row[0];
        row[0] = line + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = before + usize::from(char != *other);
            before = row[column + 1];
            row[column + 1] = replaced.min(before + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_there_once() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_slip_is_seen() {
        assert_eq!(suggestion("etcd_server"), Some("etcd_servers"));
        assert_eq!(suggestion("meta_data"), Some("metadata"));
        assert_eq!(suggestion("agentttl"), Some("agent_ttl"));
        assert_eq!(suggestion("mass_loss"), Some("engine_mass_loss_wait"));
    }

    #[test]
    fn what_is_like_nothing_gets_no_suggestion() {
        assert_eq!(suggestion("colour"), None);
        assert_eq!(suggestion("e"), None);
        assert_eq!(suggestion("file"), None, "several end so");
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
