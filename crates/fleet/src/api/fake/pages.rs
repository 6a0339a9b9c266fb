//! Pages of the fake.

use crate::api::{Page, Token};

/// Returns the rows behind a token; there is a next page only if there are more rows.
pub(super) fn cut<T>(rows: Vec<(String, T)>, from: Option<Token>, revision: i64, size: usize) -> Page<T> {
    let mut rows =
        rows.into_iter().skip_while(|(name, _)| from.as_ref().is_some_and(|from| *name <= from.after));
    let mut page = Page { rows: Vec::new(), next: None };
    let mut last = String::new();
    for (name, row) in rows.by_ref().take(size) {
        page.rows.push(row);
        last = name;
    }
    if rows.next().is_some() {
        page.next = Some(Token { revision, after: last });
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<(String, u32)> {
        ["a", "b", "c", "d"].map(str::to_owned).into_iter().zip(1..).collect()
    }

    #[test]
    fn a_full_last_page_is_the_last() {
        let first = cut(rows(), None, 7, 2);
        assert_eq!(first.rows, [1, 2]);
        assert_eq!(first.next, Some(Token { revision: 7, after: "b".to_owned() }));
        assert_eq!(cut(rows(), first.next, 7, 2), Page { rows: vec![3, 4], next: None });
    }

    #[test]
    fn nothing_is_one_page() {
        assert_eq!(cut(Vec::<(String, u32)>::new(), None, 7, 2), Page { rows: vec![], next: None });
    }
}
