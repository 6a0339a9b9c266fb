//! A small site, and everything that can be wrong with one.

use expect_test::{Expect, expect};

use super::*;

/// Pages of a site that is right.
const PAGES: [(&str, &str); 7] = [
    ("README.md", "# Top\n\n[a](docs/a.md) [records](docs/decisions/) [code](xtask/) [file](docs/x.yml)\n"),
    (
        "docs/SUMMARY.md",
        "# Summary\n\n[Top](../README.md)\n\n- [A](a.md)\n  - [Decisions](decisions/README.md)\n",
    ),
    ("docs/a.md", "# A\n\n[top](../README.md#top) [b](https://b) [here](#a)\n\n![A & \"b\"](p.svg)\n"),
    ("docs/p.svg", "<svg>\n\n<path/>\n</svg>\n"),
    ("docs/x.yml", "a: 1\n"),
    ("docs/decisions/README.md", "# Decisions\n"),
    ("docs/decisions/2026-11-29-old.md", "# Old one\n\n[a](../a.md)\n"),
];

fn files(changes: &[(&str, &str)]) -> Files {
    let all = PAGES.iter().chain(changes).map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    all.collect()
}

#[track_caller]
fn check_page(path: &str, expected: &Expect) {
    let source = source(&files(&[("docs/decisions/2026-11-30-new.md", "# New one\n")])).unwrap();
    expected.assert_eq(std::str::from_utf8(&source[path]).unwrap());
}

#[track_caller]
fn check_refused(path: &str, text: &str, expected: &[&str]) {
    assert_eq!(source(&files(&[(path, text)])).unwrap_err(), expected);
}

#[test]
fn the_table_of_contents_counts_from_the_top_and_has_the_records() {
    check_page(
        "SUMMARY.md",
        &expect![[r#"
            # Summary

            [Top](README.md)

            - [A](docs/a.md)
              - [Decisions](docs/decisions/README.md)
                - [New one](docs/decisions/2026-11-30-new.md)
                - [Old one](docs/decisions/2026-11-29-old.md)
        "#]],
    );
    check_page(
        "docs/decisions/README.md",
        &expect![[r#"
            # Decisions

            - 2026-11-30: [New one](2026-11-30-new.md)
            - 2026-11-29: [Old one](2026-11-29-old.md)
        "#]],
    );
}

#[test]
fn links_lead_to_what_mdbook_makes_and_pictures_are_in_the_page() {
    check_page(
        "README.md",
        &expect![[r#"
            # Top

            [a](docs/a.md) [records](docs/decisions/index.html) code [file](docs/x.yml)
        "#]],
    );
    check_page(
        "docs/a.md",
        &expect![[r##"
            # A

            [top](../index.html#top) [b](https://b) [here](#a)

            <div class="picture" role="img" aria-label="A &amp; &quot;b&quot;">
            <svg>
            <path/>
            </svg>
            </div>
        "##]],
    );
}

#[test]
fn names_everything_that_is_wrong() {
    check_refused("docs/b.md", "# B\n", &["docs/b.md: not in docs/SUMMARY.md: add a line for it there"]);
    let nowhere = "docs/a.md: b.md: no page of the site, nor a file below docs/";
    check_refused("docs/a.md", "[b](b.md)", &[nowhere]);
    check_refused("docs/a.md", "[b](../../b)", &["docs/a.md: ../../b: leads out of the repository"]);
    check_refused("docs/a.md", "![b](x.yml)", &["docs/a.md: x.yml: no picture (*.svg) below docs/"]);
    let twice = "[T](../README.md)\n- [A](a.md)\n- [A](a.md)\n- [C](c.md)\n- [D](decisions/README.md)\n";
    check_refused(
        "docs/SUMMARY.md",
        twice,
        &["docs/SUMMARY.md: docs/a.md: named twice", "docs/SUMMARY.md: docs/c.md: no such page"],
    );
    let files = Files::from([
        ("docs/a.md".to_owned(), b"\xff".to_vec()),
        (SUMMARY.to_owned(), b"- [A](a.md)".to_vec()),
    ]);
    assert!(source(&files).unwrap_err()[0].starts_with("docs/a.md: no UTF-8: "));
    assert_eq!(source(&Files::new()).unwrap_err(), ["docs/SUMMARY.md: there is none"]);
}
