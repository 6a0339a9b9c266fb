//! Reading keys: one, a page, or all of a prefix at one revision; and writing one without conditions.

mod paging;
mod span;

use std::ops::ControlFlow;

use tonic::Request;
use tonic::transport::Channel;

use crate::calls::{ANSWER_BYTES_MAX, Answered, Effect};
use crate::client::Client;
use crate::error::Error;
use crate::generated::kv_client::KvClient;
use crate::generated::{self as proto, RangeRequest, RangeResponse};
use crate::txn::{Answer, Op, Txn};

pub(crate) use paging::{Paging, Position};
pub(crate) use span::Span;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key. What is not UTF-8 in it is replaced; nothing of ours writes such keys.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The revision that made the key, for the last time if it was deleted in between.
    pub create_revision: i64,
    /// The revision that wrote the value.
    pub mod_revision: i64,
    /// How often the key was written since it was made; the first time counts.
    pub version: i64,
    /// The lease with which the key ends; 0 without one.
    pub lease: i64,
}

/// The answer to [`Client::get`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// The key, if it is there.
    pub kv: Option<KeyValue>,
    /// The store's revision as it was read.
    pub revision: i64,
}

/// All keys of a prefix at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The keys in their order.
    pub kvs: Vec<KeyValue>,
    /// The revision at which this was so.
    pub revision: i64,
}

/// Which part of a prefix [`Client::page`] reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Keys that begin with this.
    pub prefix: String,
    /// Those after this key; from the first one without it.
    pub after: Option<String>,
    /// As of this revision; of now without it.
    pub revision: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// A part of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The keys in their order.
    pub kvs: Vec<KeyValue>,
    /// What the next page's [`Range::after`] is; `None` at the end.
    pub more: Option<String>,
    /// The revision at which this was so, for the pages that follow.
    pub revision: i64,
}

impl From<proto::KeyValue> for KeyValue {
    fn from(kv: proto::KeyValue) -> Self {
        Self {
            key: text(kv.key),
            value: kv.value,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            lease: kv.lease,
        }
    }
}

impl Client {
    /// Reads a key as the cluster has agreed on it by now (linearizable).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, key: &str) -> Result<Got, Error> {
        let request = RangeRequest { key: key.into(), ..RangeRequest::default() };
        let RangeResponse { header, kvs, .. } = self.range(request).await?.answer;
        let revision = Position::of(header.as_ref()).revision;
        Ok(Got { kv: kvs.into_iter().next().map(KeyValue::from), revision })
    }

    /// Reads all keys of a prefix at one revision, however many they are.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::Compacted`] means that the history went on faster than the keys were read, again and
    /// again.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let (kvs, position) = self.list_at(prefix).await?;
        Ok(Listing { kvs, revision: position.revision })
    }

    /// The same, with all that is known of when it was read.
    pub(crate) async fn list_at(&self, prefix: &str) -> Result<(Vec<KeyValue>, Position), Error> {
        let mut paging = Paging::new(Span::prefix(prefix.as_bytes()));
        loop {
            let answer = self.range(paging.request()).await.map(|Answered { answer, .. }| answer);
            if let ControlFlow::Break((kvs, position)) = paging.take(answer)? {
                return Ok((kvs.into_iter().map(KeyValue::from).collect(), position));
            }
        }
    }

    /// Reads a part of a prefix. Pages of one list give the first one's revision to all others.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::Compacted`] when the revision is no longer kept: begin again without one.
    pub async fn page(&self, range: Range) -> Result<Page, Error> {
        let Range { prefix, after, revision, limit } = range;
        let span = Span::prefix(prefix.as_bytes());
        let span = after.map_or(span.clone(), |after| span.after(after.as_bytes()));
        let request = RangeRequest {
            key: span.from,
            range_end: span.end,
            limit: i64::from(limit),
            revision: revision.unwrap_or_default(),
        };
        let RangeResponse { header, kvs, more } = self.range(request).await?.answer;
        let revision = revision.unwrap_or_else(|| Position::of(header.as_ref()).revision);
        let last = kvs.last().filter(|_| more).map(|kv| kv.key.clone());
        let more = last.map(String::from_utf8).transpose();
        let more = more.map_err(|err| Error::NotText { key: text(err.into_bytes()) })?;
        Ok(Page { kvs: kvs.into_iter().map(KeyValue::from).collect(), more, revision })
    }

    /// Writes a key without conditions; gives the revision that did it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<i64, Error> {
        Ok(self.txn(Txn::new().then(Op::put(key, value))).await?.revision)
    }

    /// Deletes a key without conditions; says whether it was there.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        let outcome = self.txn(Txn::new().then(Op::delete(key))).await?;
        Ok(matches!(outcome.answers.as_slice(), [Answer::Deleted(n)] if *n > 0))
    }

    async fn range(&self, request: RangeRequest) -> Result<Answered<RangeResponse>, Error> {
        let send = async |channel: Channel, request: Request<RangeRequest>| {
            let client = KvClient::new(channel);
            client.max_decoding_message_size(ANSWER_BYTES_MAX).range(request).await
        };
        self.calls.call(Effect::Repeatable, request, send).await
    }
}

/// A key as text.
pub(crate) fn text(key: Vec<u8>) -> String {
    String::from_utf8(key).unwrap_or_else(|err| String::from_utf8_lossy(err.as_bytes()).into_owned())
}
