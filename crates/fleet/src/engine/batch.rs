//! Several decisions in one transaction: where all of them hold, thousands of units are placed in a fraction of the
//! time. They stay in order, and where one does not hold each is tried by itself.

use etcd_rpc::{Compare, OPS_MAX, Txn};

use super::write::Part;

/// Bytes after which a batch is full; one part alone may have more.
const BYTES_MAX: usize = 512 << 10;

/// Parts that go together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Batch {
    /// The parts, in order.
    pub(super) parts: Vec<Part>,
    term: Compare,
}

impl Batch {
    /// Returns the transaction, which holds only in the term.
    pub(super) fn txn(&self) -> Txn {
        let txn = Txn::new().when(self.term.clone());
        self.parts.iter().fold(txn, |txn, part| {
            let txn = part.conditions.iter().cloned().fold(txn, Txn::when);
            part.operations.iter().cloned().fold(txn, Txn::then)
        })
    }

    /// Returns each part by itself.
    pub(super) fn single(self) -> Vec<Self> {
        let Self { parts, term } = self;
        parts.into_iter().map(|part| Self { parts: vec![part], term: term.clone() }).collect()
    }
}

/// Puts parts into batches, in order.
pub(super) fn batches(parts: Vec<Part>, term: &Compare) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let (mut conditions, mut operations, mut bytes) = (1, 0, 0);
    for part in parts {
        let one = Batch { parts: vec![part], term: term.clone() };
        let (own_conditions, own_operations) = (one.parts[0].conditions.len(), one.parts[0].operations.len());
        let own_bytes = one.txn().n_bytes();
        let fits = conditions + own_conditions <= OPS_MAX
            && operations + own_operations <= OPS_MAX
            && bytes + own_bytes <= BYTES_MAX;
        match batches.last_mut().filter(|_| fits) {
            Some(batch) => {
                batch.parts.extend(one.parts);
                conditions += own_conditions;
                operations += own_operations;
                bytes += own_bytes;
            }
            None => {
                batches.push(one);
                (conditions, operations, bytes) = (1 + own_conditions, own_operations, own_bytes);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use etcd_rpc::Op;

    use super::*;

    #[test]
    fn batches_keep_order_and_limits() {
        let part = |key: usize, bytes: usize| Part {
            conditions: vec![Compare::absent(&key.to_string()); 5],
            operations: vec![Op::put(&key.to_string(), vec![0; bytes])],
        };
        let parts: Vec<Part> = (0..60).map(|key| part(key, 10)).collect();
        let term = Compare::exists("engine");
        let made = batches(parts.clone(), &term);
        assert_eq!(made.iter().map(|batch| batch.parts.len()).collect::<Vec<_>>(), [25, 25, 10]);
        assert!(made.iter().all(|batch| batch.txn().n_ops() <= OPS_MAX));
        assert_eq!(made.iter().flat_map(|batch| batch.parts.clone()).collect::<Vec<_>>(), parts);
        let large = batches(vec![part(1, BYTES_MAX), part(2, 10), part(3, 10)], &term);
        assert_eq!(large.iter().map(|batch| batch.parts.len()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(large[1].clone().single().len(), 2);
        assert!(batches(Vec::new(), &term).is_empty());
    }
}
