//! Ranges of keys, as etcd names them: the first key, and the first one that is no longer in it.

/// A range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first key.
    pub(crate) from: Vec<u8>,
    /// The first key behind; a single zero byte stands for the end of all keys.
    pub(crate) end: Vec<u8>,
}

impl Span {
    /// All keys that begin with `prefix`.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        // The last byte that can be raised is raised; what follows it does not matter.
        let raised = prefix.iter().rposition(|byte| *byte < u8::MAX).map(|at| {
            let mut end = prefix[..=at].to_vec();
            end[at] += 1;
            end
        });
        let from = if prefix.is_empty() { vec![0] } else { prefix.to_vec() };
        Self { from, end: raised.unwrap_or_else(|| vec![0]) }
    }

    /// What of it comes after `key`.
    pub(crate) fn after(mut self, key: &[u8]) -> Self {
        // The smallest key that is larger.
        let next: Vec<u8> = key.iter().copied().chain([0]).collect();
        self.from = self.from.max(next);
        self
    }

    /// Whether `key` is in it.
    #[cfg(test)]
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        key >= self.from.as_slice() && (self.end == [0] || key < self.end.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(Span::prefix(b"/fleet/").end, b"/fleet0");
        assert_eq!(Span::prefix(b"a\xff\xff").end, b"b");
        assert_eq!(Span::prefix(b"\xff").end, [0]);
        assert_eq!(Span::prefix(b""), Span { from: vec![0], end: vec![0] });
    }

    proptest! {
        #[test]
        fn a_prefix_has_the_keys_that_begin_with_it_and_no_others(
            prefix in proptest::collection::vec(prop_oneof![Just(0), Just(254), Just(255), any::<u8>()], 0..4),
            key in proptest::collection::vec(prop_oneof![Just(0), Just(254), Just(255), any::<u8>()], 1..6),
        ) {
            prop_assert_eq!(Span::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        }

        #[test]
        fn after_a_key_are_the_larger_ones(a in "[a-c]{1,4}", b in "[a-c]{1,4}") {
            let span = Span::prefix(b"").after(a.as_bytes());
            prop_assert_eq!(span.contains(b.as_bytes()), b > a);
        }
    }
}
