//! The order of versions and entries agrees with the UAPI version order on texts.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use proptest::prelude::*;
use slots::{EntryName, VERSION_MAX, Version, boot_order, compare_version_text};

/// Versions near each other, so that many pairs share a prefix.
fn version() -> impl Strategy<Value = String> {
    let n = || prop_oneof![0u64..12, 98u64..102, any::<u32>().prop_map(u64::from)];
    let word = prop_oneof![Just("a"), Just("alpha"), Just("beta"), Just("rc"), Just("rca"), Just("z")];
    let before = prop::option::of((word, n()));
    (n(), n(), n(), before)
        .prop_map(|(a, b, c, before)| match before {
            Some((word, n)) => format!("{a}.{b}.{c}~{word}.{n}"),
            None => format!("{a}.{b}.{c}"),
        })
        .prop_filter("too long", |text| text.len() <= VERSION_MAX)
}

fn entry(version: &str, counter: Option<(u32, Option<u32>)>) -> EntryName {
    let counter = match counter {
        None => String::new(),
        Some((left, None)) => format!("+{left}"),
        Some((left, Some(done))) => format!("+{left}-{done}"),
    };
    EntryName::parse("slipway", &format!("slipway_{version}{counter}.efi")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn versions_order_as_their_texts_do(a in version(), b in version()) {
        let parsed: [Version; 2] = [a.parse().unwrap(), b.parse().unwrap()];
        prop_assert_eq!(parsed[0].cmp(&parsed[1]), compare_version_text(&a, &b), "{} {}", a, b);
        prop_assert_eq!(parsed[0] == parsed[1], a == b);
        prop_assert_eq!(parsed[0].to_string(), a);
    }

    #[test]
    fn entries_without_tries_come_last_and_else_the_newest_first(
        a in version(), b in version(),
        a_left in prop::option::of((0u32..4, prop::option::of(0u32..4))),
        b_left in prop::option::of((0u32..4, prop::option::of(0u32..4))),
    ) {
        let (one, two) = (entry(&a, a_left), entry(&b, b_left));
        let found = boot_order(&one, &two);
        prop_assert_eq!(found, boot_order(&two, &one).reverse());
        if one.is_exhausted() != two.is_exhausted() {
            prop_assert_eq!(found.is_gt(), one.is_exhausted());
        } else if a != b {
            prop_assert_eq!(found, compare_version_text(&b, &a));
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC{0,30}") {
        if let Ok(version) = text.parse::<Version>() {
            prop_assert_eq!(version.to_string(), text.clone());
        }
        if let Ok(entry) = EntryName::parse("slipway", &text) {
            prop_assert_eq!(entry.to_string(), text);
        }
    }
}
