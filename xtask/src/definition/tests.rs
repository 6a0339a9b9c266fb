//! The committed definition is accepted; each wrong one is refused with its line.

use expect_test::{Expect, expect};

use super::*;

const COMMITTED: &str = include_str!("../../../image/image.yaml");

/// The error's line is that of the change; the rest is `expected`.
#[track_caller]
fn check_error(from: &str, to: &str, expected: Expect) {
    let at = COMMITTED.find(from).expect("the definition still has the text that is changed");
    let changed = COMMITTED.replacen(from, to, 1);
    let error = Definition::parse(&changed).expect_err("must be refused");
    let (line, rest) = error.split_once(':').unwrap();
    let first = COMMITTED[..at].lines().count() + usize::from(COMMITTED[..at].ends_with('\n'));
    assert!((first..first + 1 + to.lines().count()).contains(&line.parse().unwrap()), "{error}");
    expected.assert_eq(rest);
}

#[test]
fn accepts_the_committed_definition() {
    let definition = Definition::parse(COMMITTED).unwrap();
    assert_eq!(definition.product.value, "slipway");
    assert_eq!(Vec::from_iter(definition.optional_groups()), ["firmware", "microcode"]);
}

#[test]
fn rejects_unknown_field_with_line() {
    check_error(
        "product: slipway",
        "product: slipway\nprodukt: x",
        expect![
            "1: unknown field `produkt`, expected one of schema, product, min_from, mirror, archive, packages, tools, accounts, prune, initrd, ownership, partitions, disk_size, budgets"
        ],
    );
}

#[test]
fn rejects_missing_field() {
    let error = Definition::parse(&COMMITTED.replacen("disk_size: 3200 MiB", "", 1)).unwrap_err();
    assert!(error.ends_with("missing field `disk_size`"), "{error}");
}

#[test]
fn rejects_other_schema() {
    check_error("schema: 1", "schema: 2", expect!["9: schema: found 2, this checkout understands 1"]);
}

#[test]
fn rejects_malformed_size_with_line() {
    check_error(
        "disk_size: 3200 MiB",
        "disk_size: 4 gigs",
        expect!["12: size `4 gigs`: write it as `512 MiB` or `4 GiB`"],
    );
}

#[test]
fn rejects_number_given_twice() {
    check_error(
        "docker: 102",
        "docker: 103",
        expect!["11: accounts.groups.etcd: number 103 is that of `docker`"],
    );
}

#[test]
fn rejects_malformed_package_name() {
    check_error("- curl", "- Curl!", expect!["9: packages: `Curl!` is not a Debian package name"]);
}

#[test]
fn rejects_broken_glob() {
    check_error(
        "usr/share/doc/**",
        "\"usr/share/{doc\"",
        expect![
            "7: malformed glob: error parsing glob 'usr/share/{doc': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"
        ],
    );
}

#[test]
fn rejects_without_of_a_required_group() {
    let definition = Definition::parse(COMMITTED).unwrap();
    let err = definition.check_without(&["kernel".to_owned()]).unwrap_err();
    assert!(err.to_string().contains("firmware, microcode"), "{err}");
}

#[test]
fn min_from_is_a_version_and_may_be_left_out() {
    let committed = Definition::parse(COMMITTED).unwrap();
    assert_eq!(committed.min_from().to_string(), "0.1.0");
    let without = COMMITTED.replacen("min_from: 0.1.0\n", "", 1);
    assert_ne!(without, COMMITTED);
    assert_eq!(Definition::parse(&without).unwrap().min_from().to_string(), "0.1.0");
    let error = Definition::parse(&COMMITTED.replacen("min_from: 0.1.0", "min_from: 1.x", 1)).unwrap_err();
    assert!(error.contains(": min_from: "), "{error}");
}
