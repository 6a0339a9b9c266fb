//! Whether a service is meant to run on this machine.

use std::collections::BTreeMap;

use crate::tools;

/// Returns whether `unit` exists, is not masked, and some target wants it.
pub fn is_wanted(unit: &str) -> anyhow::Result<bool> {
    Ok(judge(&tools::systemctl_show(unit, &["LoadState", "WantedBy", "RequiredBy"])?))
}

fn judge(properties: &BTreeMap<String, String>) -> bool {
    let value = |key: &str| properties.get(key).map_or("", String::as_str);
    value("LoadState") == "loaded" && !(value("WantedBy").is_empty() && value("RequiredBy").is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(load: &str, wanted: &str, expected: bool) {
        let properties = [("LoadState", load), ("WantedBy", wanted)];
        assert_eq!(judge(&properties.map(|(k, v)| (k.to_owned(), v.to_owned())).into()), expected);
    }

    #[test]
    fn masked_missing_and_unwanted_units_are_not_meant_to_run() {
        check("loaded", "multi-user.target", true);
        check("loaded", "", false);
        check("masked", "multi-user.target", false);
        check("not-found", "", false);
    }
}
