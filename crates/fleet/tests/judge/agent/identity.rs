//! Two machines with one id: the second one does not serve while the first one lives.

use std::sync::Arc;
use std::time::Duration;

use fleet::agent::{Agent, Standing};
use fleet::http::Metrics;
use fleet::journal::Journal;
use fleet::systemd::{Fake, Places};
use tokio::time::timeout;

use super::SLEEPER;
use super::lab::{HERE, Lab};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_of_one_id_does_not_serve_until_it_is_the_only_one() {
    let Some(mut lab) = Lab::started().await else { return };
    lab.place("a.service", SLEEPER, "launched").await;
    lab.wait_reported("a.service", "active").await;
    let before = lab.get(&format!("machines/{HERE}")).await.unwrap();
    let folder = lab.folder().join("second");
    let mut settings = lab.settings.clone();
    settings.boot = "boot-of-the-second".to_owned();
    settings.memory_file = folder.join("agent.json");
    settings.guard_file = folder.join("guard");
    settings.places = Places { units: folder.join("units"), dropins: folder.join("system") };
    let fake = Arc::new(Fake::new(&settings.places.dropins));
    let config = etcd_rpc::Config::new([lab.etcd.client_url()], Duration::from_secs(1));
    let client = etcd_rpc::Client::new(config).unwrap();
    let agent = Agent::new(settings, client, Arc::clone(&fake), &Metrics::new(), Journal::new(0)).unwrap();
    let mut standing = agent.standing();
    let second = tokio::spawn(agent.run(std::future::pending()));
    let twin = standing.wait_for(|standing| matches!(standing, Standing::Twin { .. }));
    let twin = timeout(LIMIT, twin).await.expect("it is noticed").unwrap().clone();
    let Standing::Twin { why } = twin else { unreachable!("it was waited for") };
    assert!(why.contains("192.0.2.7") && why.contains("same id") && why.contains("machine-id"), "{why}");
    assert!(fake.log().iter().all(|did| did == "reload"), "{:?}", fake.log());
    assert_eq!(lab.get(&format!("machines/{HERE}")).await.unwrap(), before);
    assert_eq!(lab.fake.count("stop a.service"), 0);
    // The first one goes for good.
    lab.kill().await;
    let member = standing.wait_for(|standing| matches!(standing, Standing::Member(_)));
    timeout(LIMIT, member).await.expect("it is the only one now").unwrap();
    lab.wait("the unit runs there", async || fake.active("a.service") == "active").await;
    second.abort();
}
