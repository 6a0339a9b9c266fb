//! The payload manifest: what is written reads back, and every wrong field is named.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use expect_test::{Expect, expect};
use payload::{Architecture, Digest, Layout, Manifest, ManifestError, SectionLens};
use proptest::prelude::*;

/// Length of the envelope around the manifest.
const ENVELOPE_LEN: u64 = 3000;

fn manifest() -> Manifest {
    let lens =
        SectionLens { uki_blocks: 72, uki: 5000, loader: 300, tree_blocks: 108, tree: 4096, usr: 8192 };
    Manifest {
        product: "slipway".to_owned(),
        version: "1.4.0".to_owned(),
        architecture: Architecture::X86_64,
        min_from: "0.1.0".to_owned(),
        root_hash: Digest([1; 32]),
        salt: Digest([2; 32]),
        verity_uuid: [3; 16],
        layout: Layout::new(ENVELOPE_LEN, &lens).unwrap(),
        uki_sha256: Digest([4; 32]),
        uki_blocks_sha256: Digest([5; 32]),
        loader_sha256: Digest([6; 32]),
        tree_blocks_sha256: Digest([7; 32]),
        build_time: 1_790_000_000,
    }
}

fn text() -> String {
    String::from_utf8(manifest().to_json()).unwrap()
}

#[test]
fn the_text_is_this() {
    expect![[r#"
        {
          "product": "slipway",
          "version": "1.4.0",
          "architecture": "x86-64",
          "min_from": "0.1.0",
          "build_time": 1790000000,
          "root_hash": "0101010101010101010101010101010101010101010101010101010101010101",
          "hash_type": 1,
          "block_size": 4096,
          "salt": "0202020202020202020202020202020202020202020202020202020202020202",
          "verity_uuid": "03030303030303030303030303030303",
          "usr_blocks": 2,
          "uki_blocks": {
            "offset": 4096,
            "size": 72,
            "sha256": "0505050505050505050505050505050505050505050505050505050505050505"
          },
          "uki": {
            "offset": 8192,
            "size": 5000,
            "sha256": "0404040404040404040404040404040404040404040404040404040404040404"
          },
          "loader": {
            "offset": 16384,
            "size": 300,
            "sha256": "0606060606060606060606060606060606060606060606060606060606060606"
          },
          "tree_blocks": {
            "offset": 20480,
            "size": 108,
            "sha256": "0707070707070707070707070707070707070707070707070707070707070707"
          },
          "tree": {
            "offset": 24576,
            "size": 4096
          },
          "usr": {
            "offset": 28672,
            "size": 8192
          },
          "total_length": 36864
        }"#]]
    .assert_eq(&text());
}

#[test]
fn every_field_is_described() {
    let page = include_str!("../../../docs/formats/payload.md");
    let value: serde_json::Value = serde_json::from_str(&text()).unwrap();
    for field in value.as_object().unwrap().keys() {
        assert!(page.contains(&format!("\n| `{field}` |")), "{field}");
    }
}

#[test]
fn passes_over_what_it_does_not_know() {
    for more in ["{\"notes\": [1],", "{\"notes\": {\"product\": 1},"] {
        let more = text().replacen('{', more, 1);
        assert_eq!(Manifest::parse(more.as_bytes(), ENVELOPE_LEN), Ok(manifest()));
    }
}

#[test]
fn the_longest_leaves_room_for_every_signature() {
    let mut longest = manifest();
    longest.product = "a".repeat(32);
    longest.version = "1".repeat(20);
    longest.min_from = "1".repeat(20);
    longest.build_time = u64::MAX;
    let lens = SectionLens {
        uki_blocks: 36 << 16,
        uki: 256 << 20,
        loader: 4 << 20,
        tree_blocks: 36 << 16,
        tree: 64 << 20,
        usr: 4 << 30,
    };
    longest.layout = Layout::new(ENVELOPE_LEN, &lens).unwrap();
    let body = longest.to_json();
    assert_eq!(Manifest::parse(&body, ENVELOPE_LEN), Ok(longest));
    assert!(payload::PREFIX_LEN + body.len() + payload::SIGNATURES_MAX * 80 <= 4096);
}

#[test]
fn the_envelope_decides_where_sections_begin() {
    let found = Manifest::parse(text().as_bytes(), 4097);
    assert_eq!(found, Err(ManifestError::Place { section: "uki_blocks", expected: 8192, found: 4096 }));
}

/// Makes one change at a time in the text, and lists what is said of it.
#[track_caller]
fn check(changes: &[(&str, &str)], expected: Expect) {
    let text = text();
    let mut found = String::new();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in {text}");
        let err = Manifest::parse(text.replacen(from, to, 1).as_bytes(), ENVELOPE_LEN).unwrap_err();
        let source = std::error::Error::source(&err).map_or_else(String::new, |source| format!(": {source}"));
        found += &format!("{err}{source}\n");
    }
    expected.assert_eq(&found);
}

#[test]
fn names_and_versions_are_plain() {
    check(
        &[
            ("slipway", "../x"),
            ("\"1.4.0\"", "\"1.4.0\\n\""),
            ("x86-64", "arm64"),
            ("0.1.0", ""),
            ("0.1.0", "\\u001b[2J"),
        ],
        expect![[r#"
            payload manifest, field `product`: expected 1 to 32 of a-z, 0-9 and `-`, found `../x`
            payload manifest, field `version`: expected a version of at most 20 characters, found `1.4.0\n`
            payload manifest, field `architecture`: expected x86-64, found `arm64`
            payload manifest, field `min_from`: expected a version of at most 20 characters, found ``
            payload manifest, field `min_from`: expected a version of at most 20 characters, found `\u{1b}[2J`
        "#]],
    );
}

#[test]
fn numbers_are_those_that_the_sections_need() {
    check(
        &[
            ("\"hash_type\": 1", "\"hash_type\": 0"),
            ("\"block_size\": 4096", "\"block_size\": 512"),
            ("\"usr_blocks\": 2", "\"usr_blocks\": 3"),
            ("\"total_length\": 36864", "\"total_length\": 32769"),
        ],
        expect![[r#"
            payload manifest, field `hash_type`: expected 1, found `0`
            payload manifest, field `block_size`: expected 4096, found `512`
            payload manifest, field `usr_blocks`: expected the size of `usr` in blocks, found `3`
            payload manifest, field `total_length`: expected the end of `usr`, found `32769`
        "#]],
    );
}

#[test]
fn sections_have_their_limits_and_their_places() {
    check(
        &[
            ("\"size\": 8192", "\"size\": 8193"),
            ("\"size\": 300", "\"size\": 0"),
            ("\"size\": 72", "\"size\": 71"),
            ("\"size\": 108", "\"size\": 35"),
            ("\"size\": 5000", "\"size\": 268435457"),
            ("\"offset\": 8192", "\"offset\": 4096"),
            ("\"offset\": 4096", "\"offset\": 18446744073709551615"),
        ],
        expect![[r#"
            payload manifest: section `usr` has 8193 bytes: expected 4096 to 4294967296, a multiple of 4096
            payload manifest: section `loader` has 0 bytes: expected 1 to 4194304
            payload manifest: section `uki_blocks` has 71 bytes: expected 36 to 2366496, a multiple of 36
            payload manifest: section `tree_blocks` has 35 bytes: expected 0 to 2366496, a multiple of 36
            payload manifest: section `uki` has 268435457 bytes: expected 1 to 268435456
            payload manifest, section `uki` is at 4096: expected 8192
            payload manifest, section `uki_blocks` is at 18446744073709551615: expected 4096
        "#]],
    );
}

#[test]
fn hashes_are_whole_and_in_lower_case() {
    let digits = |byte: &str| byte.repeat(32);
    check(
        &[
            (&digits("01"), "01"),
            (&digits("02"), "AB"),
            (&"03".repeat(16), "\\n"),
            (&digits("04"), ""),
            (&digits("05"), "x"),
            (&digits("06"), "0x06"),
            (&digits("07"), "07"),
        ],
        expect![[r#"
            payload manifest, field `root_hash`: `01` is not 64 lower-case hexadecimal digits
            payload manifest, field `salt`: `AB` is not 64 lower-case hexadecimal digits
            payload manifest, field `verity_uuid`: `\n` is not 32 lower-case hexadecimal digits
            payload manifest, field `uki.sha256`: `` is not 64 lower-case hexadecimal digits
            payload manifest, field `uki_blocks.sha256`: `x` is not 64 lower-case hexadecimal digits
            payload manifest, field `loader.sha256`: `0x06` is not 64 lower-case hexadecimal digits
            payload manifest, field `tree_blocks.sha256`: `07` is not 64 lower-case hexadecimal digits
        "#]],
    );
}

#[test]
fn what_is_no_json_of_that_shape_is_refused() {
    check(
        &[
            ("\"salt\"", "\"sugar\""),
            ("\"salt\"", "\"product\""),
            ("\"usr_blocks\": 2", "\"usr_blocks\": -2"),
            ("\"usr_blocks\": 2", "\"usr_blocks\": 2.0"),
            ("\n}", "\n}}"),
        ],
        expect![[r#"
            payload manifest: missing field `salt` at line 42 column 1
            payload manifest: duplicate field `product` at line 10 column 11
            payload manifest: invalid value: integer `-2`, expected u64 at line 12 column 18
            payload manifest: invalid type: floating point `2.0`, expected u64 at line 12 column 19
            payload manifest: trailing characters at line 42 column 2
        "#]],
    );
}

prop_compose! {
    fn any_lens()(
        n_blocks in 1_u64..60_000,
        uki in 1_u64..=256 << 20,
        loader in 1_u64..=4 << 20,
        n_tree in 0_u64..=1 << 14,
        n_usr in 1_u64..=1 << 20,
    ) -> SectionLens {
        SectionLens { uki_blocks: 36 * n_blocks, uki, loader, tree_blocks: 36 * n_tree, tree: 4096 * n_tree, usr: 4096 * n_usr }
    }
}

prop_compose! {
    fn any_manifest()(
        product in "[a-z0-9-]{1,32}",
        versions in ("[a-z0-9.~]{1,20}", "[a-z0-9.~]{1,20}"),
        hashes: [[u8; 32]; 6],
        verity_uuid: [u8; 16],
        lens in any_lens(),
        envelope_len in 1_u64..20_000,
        build_time: u64,
    ) -> (Manifest, u64) {
        let [root_hash, salt, uki_sha256, uki_blocks_sha256, loader_sha256, tree_blocks_sha256] = hashes.map(Digest);
        let (version, min_from) = versions;
        let layout = Layout::new(envelope_len, &lens).unwrap();
        let architecture = Architecture::X86_64;
        let manifest = Manifest {
            product, version, architecture, min_from, root_hash, salt, verity_uuid, layout, uki_sha256,
            uki_blocks_sha256, loader_sha256, tree_blocks_sha256, build_time,
        };
        (manifest, envelope_len)
    }
}

proptest! {
    #[test]
    fn reads_what_it_writes((manifest, envelope_len) in any_manifest()) {
        let body = manifest.to_json();
        prop_assert_eq!(Manifest::parse(&body, envelope_len), Ok(manifest));
    }

    #[test]
    fn sections_and_padding_are_all_of_a_payload((manifest, envelope_len) in any_manifest()) {
        let layout = manifest.layout;
        let mut parts = [&layout.sections()[..], &layout.padding(envelope_len)].concat();
        parts.sort();
        // The tree of a single block takes nothing.
        parts.retain(|part| part.len != 0);
        let mut at = envelope_len;
        for part in parts {
            prop_assert_eq!(part.offset, at);
            at = part.end();
        }
        prop_assert_eq!(at, layout.total());
    }

    #[test]
    fn changed_texts_never_panic_and_read_as_what_they_say(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = manifest().to_json();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(read) = Manifest::parse(&body, ENVELOPE_LEN) {
            prop_assert_eq!(Manifest::parse(&read.to_json(), ENVELOPE_LEN), Ok(read));
        }
    }
}
