//! A database that is full, and how it is made to take writes again.

use etcd_lab::{Member, Programs};
use etcd_rpc::{Alarm, Client, Error};

use super::{client, refused};

async fn alarms(client: &Client) -> Vec<Alarm> {
    let status = client.status().await;
    status.into_iter().flat_map(|is| is.member.unwrap().alarms).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_refuses_writes_and_still_reads_and_deletes() {
    let Some(programs) = Programs::shipped() else { return };
    let mut member = Member::new(&programs, "small");
    let row = member.row();
    member.start(&["--initial-cluster", &row, "--quota-backend-bytes=16777216"]);
    member.wait_healthy();
    let client = client(&member);
    let mut written = 0;
    let error = loop {
        match client.put("/large", vec![b'x'; 1 << 20]).await {
            Ok(revision) => written = revision,
            Err(error) => break error,
        }
        assert!(written < 100, "the quota has no effect");
    };
    assert_eq!(error, Error::NoSpace);
    assert!(!error.is_outcome_unknown());
    assert_eq!(alarms(&client).await, [Alarm::NoSpace]);
    assert_eq!(refused(client.put("/small", "x").await), Error::NoSpace);
    assert_eq!(client.get("/large").await.unwrap().kv.unwrap().mod_revision, written);
    assert!(client.delete("/large").await.unwrap());
    // What the error tells to do helps.
    let now = client.get("/large").await.unwrap().revision;
    programs.ctl(&member, &["compact", &now.to_string()]);
    programs.ctl(&member, &["defrag"]);
    programs.ctl(&member, &["alarm", "disarm"]);
    assert_eq!(alarms(&client).await, []);
    assert!(client.put("/small", "x").await.is_ok());
}
