//! Many keys with few requests.

use etcd_rpc::{Answer, Client, Error, KeyValue, OPS_MAX, Op, Txn};

/// Reads keys, as many with one transaction as etcd allows; returns one answer a key, in their order.
///
/// # Errors
/// When the store does not answer.
pub async fn get_all(client: &Client, keys: &[String]) -> Result<Vec<Option<KeyValue>>, Error> {
    let mut found = Vec::new();
    for some in keys.chunks(OPS_MAX) {
        let txn = some.iter().fold(Txn::new(), |txn, key| txn.then(Op::get(key)));
        let answers = client.txn(txn).await?.answers.into_iter();
        found.extend(answers.map(|answer| match answer {
            Answer::Got(kv) => kv,
            Answer::Put | Answer::Deleted(_) => None,
        }));
    }
    Ok(found)
}
