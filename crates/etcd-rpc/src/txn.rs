//! Transactions: comparisons, what is done if all hold, and what else.

use prost::Message as _;
use tonic::transport::Channel;

use crate::calls::{ANSWER_BYTES_MAX, Effect};
use crate::client::Client;
use crate::error::Error;
use crate::generated::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::generated::kv_client::KvClient;
use crate::generated::request_op::Request;
use crate::generated::response_op::Response;
use crate::generated::{self as proto, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest};
use crate::keys::{KeyValue, Position, Span};
use crate::lease::LeaseId;

/// How many comparisons a transaction may have, and how many operations on each side; etcd's default.
pub const OPS_MAX: usize = 128;
/// How many bytes a request may have; etcd's default.
pub const REQUEST_BYTES_MAX: usize = 3 << 19;

/// A transaction: all of one side is done at one revision, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Txn {
    request: TxnRequest,
}

/// A condition on one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare(proto::Compare);

/// One thing to do. A transaction writes a key at most once.
#[derive(Debug, Clone, PartialEq)]
pub struct Op(Request);

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether all comparisons held, so that the first side was done.
    pub succeeded: bool,
    /// The store's revision after it; that of the writes if there were some.
    pub revision: i64,
    /// One for each operation of the side that was done.
    pub answers: Vec<Answer>,
}

/// What one operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The key was written.
    Put,
    /// So many keys were deleted.
    Deleted(i64),
    /// What the key holds, after the operations before this one.
    Got(Option<KeyValue>),
}

impl Txn {
    /// Does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition; all must hold. Without any, [`Self::then`] is done.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.request.compare.push(compare.0);
        self
    }

    /// Adds what is done if all conditions hold.
    #[must_use]
    pub fn then(mut self, op: Op) -> Self {
        self.request.success.push(proto::RequestOp { request: Some(op.0) });
        self
    }

    /// Adds what is done if one does not hold.
    #[must_use]
    pub fn or_else(mut self, op: Op) -> Self {
        self.request.failure.push(proto::RequestOp { request: Some(op.0) });
        self
    }

    /// The longest of its three lists, which must not exceed [`OPS_MAX`].
    pub fn n_ops(&self) -> usize {
        let TxnRequest { compare, success, failure } = &self.request;
        compare.len().max(success.len()).max(failure.len())
    }

    /// Its size on the wire, which must not exceed [`REQUEST_BYTES_MAX`].
    pub fn n_bytes(&self) -> usize {
        self.request.encoded_len()
    }

    fn only_reads(&self) -> bool {
        let TxnRequest { success, failure, .. } = &self.request;
        success.iter().chain(failure).all(|op| matches!(op.request, Some(Request::RequestRange(_)) | None))
    }
}

impl Compare {
    /// The key is not there.
    pub fn absent(key: &str) -> Self {
        Self::equal(key, CompareTarget::Create, TargetUnion::CreateRevision(0))
    }

    /// The key is there.
    pub fn exists(key: &str) -> Self {
        let Self(mut compare) = Self::absent(key);
        compare.set_result(CompareResult::Greater);
        Self(compare)
    }

    /// The key was last written by this revision. 0 is the one of a key that is not there.
    pub fn mod_revision(key: &str, revision: i64) -> Self {
        Self::equal(key, CompareTarget::Mod, TargetUnion::ModRevision(revision))
    }

    /// The key was made by this revision. 0 is the one of a key that is not there.
    pub fn create_revision(key: &str, revision: i64) -> Self {
        Self::equal(key, CompareTarget::Create, TargetUnion::CreateRevision(revision))
    }

    /// The key holds this value. One that is not there holds none, not even an empty one.
    pub fn value(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self::equal(key, CompareTarget::Value, TargetUnion::Value(value.into()))
    }

    fn equal(key: &str, target: CompareTarget, union: TargetUnion) -> Self {
        let mut compare =
            proto::Compare { key: key.into(), target_union: Some(union), ..proto::Compare::default() };
        compare.set_result(CompareResult::Equal);
        compare.set_target(target);
        Self(compare)
    }
}

impl Op {
    /// Writes a key that stays. If it was bound to a lease, it no longer is.
    pub fn put(key: &str, value: impl Into<Vec<u8>>) -> Self {
        Self(Request::RequestPut(PutRequest { key: key.into(), value: value.into(), lease: 0 }))
    }

    /// Writes a key that ends with the lease.
    pub fn put_with_lease(key: &str, value: impl Into<Vec<u8>>, lease: LeaseId) -> Self {
        Self(Request::RequestPut(PutRequest { key: key.into(), value: value.into(), lease: lease.0 }))
    }

    /// Deletes a key, if it is there.
    pub fn delete(key: &str) -> Self {
        Self(Request::RequestDeleteRange(DeleteRangeRequest { key: key.into(), range_end: Vec::new() }))
    }

    /// Deletes all keys that begin with `prefix`.
    pub fn delete_prefix(prefix: &str) -> Self {
        let Span { from, end } = Span::prefix(prefix.as_bytes());
        Self(Request::RequestDeleteRange(DeleteRangeRequest { key: from, range_end: end }))
    }

    /// Reads a key.
    pub fn get(key: &str) -> Self {
        Self(Request::RequestRange(RangeRequest { key: key.into(), ..RangeRequest::default() }))
    }
}

impl Client {
    /// Runs a transaction. It is sent once: if its outcome is not known, the caller looks
    /// ([`Error::is_outcome_unknown`]).
    ///
    /// # Errors
    /// See [`Error`]. Conditions that do not hold are no error.
    pub async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        let effect = if txn.only_reads() { Effect::Repeatable } else { Effect::Once };
        let send = async |channel: Channel, request: tonic::Request<TxnRequest>| {
            let client = KvClient::new(channel);
            client.max_decoding_message_size(ANSWER_BYTES_MAX).txn(request).await
        };
        let answered = self.calls.call(effect, txn.request, send).await?;
        let proto::TxnResponse { header, succeeded, responses } = answered.answer;
        let answers = responses.into_iter().filter_map(|op| op.response).map(Answer::from).collect();
        Ok(Outcome { succeeded, revision: Position::of(header.as_ref()).revision, answers })
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        match response {
            Response::ResponsePut(_) => Self::Put,
            Response::ResponseDeleteRange(answer) => Self::Deleted(answer.deleted),
            Response::ResponseRange(answer) => Self::Got(answer.kvs.into_iter().next().map(KeyValue::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_list_counts() {
        let txn = (0..5).fold(Txn::new(), |txn, n| txn.then(Op::delete(&format!("/{n}"))));
        let txn = txn.when(Compare::exists("/0")).or_else(Op::get("/0"));
        assert_eq!(txn.n_ops(), 5);
    }

    #[test]
    fn a_transaction_of_reads_may_be_repeated_and_one_that_writes_on_either_side_may_not() {
        let reads = Txn::new().when(Compare::absent("/a")).then(Op::get("/b")).or_else(Op::get("/c"));
        assert!(reads.only_reads());
        assert!(!reads.clone().or_else(Op::put("/d", "x")).only_reads());
        assert!(!reads.then(Op::delete("/d")).only_reads());
    }

    #[test]
    fn the_size_grows_with_what_is_in_it() {
        let small = Txn::new().then(Op::put("/a", "x")).n_bytes();
        let large = Txn::new().then(Op::put("/a", vec![0; REQUEST_BYTES_MAX])).n_bytes();
        assert!(small < 64 && large > REQUEST_BYTES_MAX);
    }

    #[test]
    fn a_put_on_the_wire_is_what_etcd_documents() {
        // Field 2 of the transaction, field 2 of the operation; key, value and lease are fields 1, 2 and 3.
        let txn = Txn::new().then(Op::put_with_lease("k", "v", LeaseId(7)));
        assert_eq!(txn.request.encode_to_vec(), b"\x12\x0a\x12\x08\x0a\x01k\x12\x01v\x18\x07");
    }

    #[test]
    fn a_comparison_on_the_wire_is_what_etcd_documents() {
        // EQUAL and VERSION are 0 and left out; MOD is 2 in field 2; the key is field 3, mod_revision field 6.
        let txn = Txn::new().when(Compare::mod_revision("k", 5));
        assert_eq!(txn.request.encode_to_vec(), b"\x0a\x07\x10\x02\x1a\x01k\x30\x05");
        // GREATER is 1 in field 1; CREATE is 1; a create revision of 0 is in a oneof and therefore written.
        let txn = Txn::new().when(Compare::exists("k"));
        assert_eq!(txn.request.encode_to_vec(), b"\x0a\x09\x08\x01\x10\x01\x1a\x01k\x28\x00");
    }
}
