//! Who the members are, and how far each of them is.

use std::time::Duration;

use etcd_lab::wait::DEADLINE;
use etcd_lab::{Cluster, Programs};
use etcd_rpc::{Client, Config, Error, MemberStatus};
use tokio::time::{Instant, sleep};

use super::{TIMEOUT, client, client_of_all, one_member, refused};

/// What the members of a client's endpoints say of themselves; all must answer.
async fn statuses(client: &Client) -> Vec<MemberStatus> {
    client.status().await.into_iter().map(|is| is.member.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_names_every_member_as_it_was_started() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let client = client_of_all(&cluster);
    let list = client.member_list().await.unwrap();
    let ids: Vec<_> = statuses(&client).await.iter().map(|status| status.id).collect();
    for (started, id) in cluster.members.iter().zip(&ids) {
        let member = list.iter().find(|member| member.id == *id).unwrap();
        assert_eq!((member.name.as_str(), member.is_learner), (started.name.as_str(), false));
        assert_eq!(
            (&member.peer_urls, &member.client_urls),
            (&vec![started.peer_url()], &vec![started.client_url()])
        );
    }
    assert!(list.is_sorted_by_key(|member| member.id) && list.len() == 3, "{list:?}");
    // One that is down is a member as before.
    let down = cluster.follower();
    cluster.members[down].kill();
    assert_eq!(client.member_list().await.unwrap(), list);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_there_is_no_list() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let client = client_of_all(&cluster);
    cluster.members[0].kill();
    cluster.members[1].kill();
    let begin = Instant::now();
    let error = refused(client.member_list().await);
    assert!(error.is_away(), "{error:?}");
    assert!(begin.elapsed() < TIMEOUT + Duration::from_secs(3));
    assert!(matches!(client.status().await[0].member, Err(Error::Unreachable { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_added_has_no_name_before_it_starts_and_no_vote_as_a_learner() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(member) = one_member() else { return };
    let client = client(&member);
    programs.ctl(&member, &["member", "add", "later", "--learner", "--peer-urls=http://127.0.0.1:1"]);
    let list = client.member_list().await.unwrap();
    let later = list.iter().find(|member| member.is_learner).unwrap();
    assert_eq!((later.name.as_str(), later.client_urls.len(), list.len()), ("", 0, 2));
    assert!(!statuses(&client).await[0].is_learner);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_says_how_far_the_log_is_and_how_far_it_was_applied() {
    let Some(programs) = Programs::shipped() else { return };
    let cluster = Cluster::start(&programs, 3);
    let client = client_of_all(&cluster);
    let before = statuses(&client).await[0].committed_index;
    for n in 0..20 {
        client.put("/k", n.to_string()).await.unwrap();
    }
    let begin = Instant::now();
    loop {
        let now = statuses(&client).await;
        assert!(now.iter().all(|status| status.applied_index <= status.committed_index), "{now:?}");
        if now.iter().all(|status| status.applied_index >= before + 20) {
            break;
        }
        assert!(begin.elapsed() < DEADLINE, "{now:?}");
        sleep(Duration::from_millis(50)).await;
    }
    // Each member answers for itself, whoever is asked with it.
    let one = Client::new(Config::new([cluster.members[1].client_url()], TIMEOUT)).unwrap();
    assert_eq!(statuses(&one).await[0].id, statuses(&client).await[1].id);
}
