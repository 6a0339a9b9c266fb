//! The registry's beginning: the marker, without which no agent takes an empty registry for the wish that nothing runs.

use std::time::Duration;

use etcd_rpc::{Client, Compare, Op, Txn};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

/// The form of keys and values.
const FORMAT: u32 = 1;
/// The first pause before it is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Writes the marker, unless it is there, until that has worked; `trouble` is told each time that it has not.
pub async fn write(client: &Client, prefix: &str, trouble: impl Fn(String)) {
    let (mut pause, longest) = PAUSES;
    while let Err(err) = once(client, prefix).await {
        trouble(err.to_string());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Creates it; one that is there stays. An outcome that is not known is an error, after which it is tried again.
async fn once(client: &Client, prefix: &str) -> Result<(), etcd_rpc::Error> {
    let key = format!("{prefix}marker");
    // When this was is for people; nothing compares it.
    let value = json!({ "format": FORMAT, "time": clock_gettime(ClockId::Realtime).tv_sec });
    let txn = Txn::new().when(Compare::absent(&key)).then(Op::put(&key, value.to_string()));
    client.txn(txn).await.map(drop)
}
