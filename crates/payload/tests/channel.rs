//! The channel file: what is written reads back, and every wrong field is named.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use expect_test::{Expect, expect};
use payload::channel::{Channel, ChannelError, Wave};
use payload::{Digest, PAYLOAD_MAX};
use proptest::prelude::*;

fn channel() -> Channel {
    Channel {
        product: "slipway".to_owned(),
        channel: "stable".to_owned(),
        version: "1.4.0".to_owned(),
        sequence: 7,
        issued: 1_790_000_000,
        expires: 1_792_592_000,
        locations: vec!["slipway_1.4.0.payload".to_owned()],
        manifest_sha256: Digest([8; 32]),
        payload_len: 300 << 20,
        waves: vec![
            Wave { start: 0, duration: 3600, percent: 5 },
            Wave { start: 86_400, duration: 86_400, percent: 95 },
        ],
    }
}

#[test]
fn the_text_is_this() {
    expect![[r#"
        {
          "product": "slipway",
          "channel": "stable",
          "version": "1.4.0",
          "sequence": 7,
          "issued": 1790000000,
          "expires": 1792592000,
          "locations": [
            "slipway_1.4.0.payload"
          ],
          "manifest_sha256": "0808080808080808080808080808080808080808080808080808080808080808",
          "payload_length": 314572800,
          "waves": [
            {
              "start": 0,
              "duration": 3600,
              "percent": 5
            },
            {
              "start": 86400,
              "duration": 86400,
              "percent": 95
            }
          ]
        }"#]]
    .assert_eq(std::str::from_utf8(&channel().to_json()).unwrap());
}

#[test]
fn every_field_is_described() {
    let page = include_str!("../../../docs/formats/channel.md");
    let value: serde_json::Value = serde_json::from_slice(&channel().to_json()).unwrap();
    let fields = value.as_object().unwrap().keys().chain(value["waves"][0].as_object().unwrap().keys());
    for field in fields {
        assert!(page.contains(&format!("\n| `{field}` |")), "{field}");
    }
}

#[test]
fn reads_what_it_writes_with_and_without_waves() {
    for channel in [channel(), Channel { waves: vec![], ..channel() }] {
        assert_eq!(Channel::parse(&channel.to_json()), Ok(channel));
    }
}

#[test]
fn passes_over_what_it_does_not_know() {
    let text = String::from_utf8(channel().to_json()).unwrap();
    let more = text.replacen('{', "{\"notes\": \"…\",", 1);
    assert_eq!(Channel::parse(more.as_bytes()), Ok(channel()));
}

#[test]
fn every_field_is_checked_and_named() {
    let check = |change: fn(&mut Channel), field| {
        let mut changed = channel();
        change(&mut changed);
        let found = Channel::parse(&changed.to_json());
        assert!(
            matches!(&found, Err(ChannelError::Field { field: named, .. }) if *named == field),
            "{found:?}"
        );
        assert_eq!(changed.check(), found.map(|_| ()));
    };
    check(|channel| channel.product = "A".to_owned(), "product");
    check(|channel| channel.channel = "../x".to_owned(), "channel");
    check(|channel| channel.version = "1 0".to_owned(), "version");
    check(|channel| channel.sequence = 0, "sequence");
    check(|channel| channel.expires = channel.issued, "expires");
    check(|channel| channel.locations = vec![], "locations");
    check(|channel| channel.locations = vec!["a".to_owned(); 17], "locations");
    check(|channel| channel.locations = vec![String::new()], "locations");
    check(|channel| channel.locations = vec!["a b".to_owned()], "locations");
    check(|channel| channel.locations = vec!["a".repeat(1025)], "locations");
    check(|channel| channel.payload_len = 0, "payload_length");
    check(|channel| channel.payload_len = PAYLOAD_MAX + 1, "payload_length");
    check(|channel| channel.waves[0].percent = 4, "waves");
    check(|channel| channel.waves[0].percent = u32::MAX, "waves");
    check(|channel| channel.waves[0].start = 366 * 86_400 + 1, "waves");
    check(|channel| channel.waves[0].duration = u64::MAX, "waves");
    check(|channel| channel.waves = vec![Wave { start: 0, duration: 1, percent: 100 }; 33], "waves");
}

/// Makes one change at a time in the text, and lists what is said of it.
#[track_caller]
fn check(changes: &[(&str, &str)], expected: Expect) {
    let text = String::from_utf8(channel().to_json()).unwrap();
    let mut found = String::new();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in {text}");
        let err = Channel::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        let source = std::error::Error::source(&err).map_or_else(String::new, |source| format!(": {source}"));
        found += &format!("{err}{source}\n");
    }
    expected.assert_eq(&found);
}

#[test]
fn errors_show_what_was_found_without_control_characters() {
    check(
        &[
            ("slipway", "\\u001b[2J"),
            (&"08".repeat(32), "08"),
            ("\"issued\"", "\"issue\""),
            ("\"sequence\": 7", "\"sequence\": -7"),
        ],
        expect![[r#"
            channel file, field `product`: expected 1 to 32 of a-z, 0-9 and `-`, found `\u{1b}[2J`
            channel file, field `manifest_sha256`: `08` is not 64 lower-case hexadecimal digits
            channel file: missing field `issued` at line 25 column 1
            channel file: invalid value: integer `-7`, expected u64 at line 5 column 16
        "#]],
    );
}

prop_compose! {
    fn any_channel()(
        names in ("[a-z0-9-]{1,32}", "[a-z0-9-]{1,32}", "[a-z0-9.~]{1,20}"),
        sequence in 1_u64..,
        times in (0_u64..u64::MAX, 0_u64..u64::MAX).prop_filter("of some length", |(a, b)| a != b),
        locations in prop::collection::vec("[!-~]{1,60}", 1..=16),
        hash: [u8; 32],
        payload_len in 1..=PAYLOAD_MAX,
        starts in prop::collection::vec((0_u64..=366 * 86_400, 0_u64..=366 * 86_400), 0..=32),
    ) -> Channel {
        let (product, channel, version) = names;
        let (issued, expires) = (times.0.min(times.1), times.0.max(times.1));
        // The first wave has what the others leave.
        let n_others = u32::try_from(starts.len()).unwrap().saturating_sub(1);
        let share = |idx: usize| if idx == 0 { 100 - 3 * n_others } else { 3 };
        let wave = |(idx, (start, duration))| Wave { start, duration, percent: share(idx) };
        let waves = starts.into_iter().enumerate().map(wave).collect();
        let manifest_sha256 = Digest(hash);
        Channel {
            product,
            channel,
            version,
            sequence,
            issued,
            expires,
            locations,
            manifest_sha256,
            payload_len,
            waves,
        }
    }
}

proptest! {
    #[test]
    fn reads_what_it_writes(channel in any_channel(), seed: u64) {
        prop_assert!(channel.issued <= channel.due(seed));
        prop_assert_eq!(Channel::parse(&channel.to_json()), Ok(channel));
    }

    #[test]
    fn changed_texts_never_panic_and_read_as_what_they_say(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = channel().to_json();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(read) = Channel::parse(&body) {
            prop_assert_eq!(Channel::parse(&read.to_json()), Ok(read));
        }
    }
}
