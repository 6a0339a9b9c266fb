//! `fleetctl` and `fleetd` as programs, over an etcd that is bad in one way: all that a person then reads, and that
//! nothing of the registry is changed.

use std::process::{Command, Stdio};
use std::time::Duration;

use etcd_lab::{Authority, Cluster, Member, Programs};
use etcd_rpc::{Client, Config, Identity, Tls};
use expect_test::{Expect, expect};

use crate::fleetd::lab::{Fleetd, Lab, until};
use crate::registry::slow_line::SlowLine;

/// A unit that the registry has before etcd is bad.
const KEPT: &str = "kept.service";
/// Its file, and that of another one.
const FILE: &str = "[Service]\nExecStart=/usr/bin/sleep 500\n";
/// What a person types: one that looks, one that adds, one that changes and one that takes away.
const TYPED: [&str; 4] =
    ["list-unit-files", "submit new.service", "load --no-block kept.service", "destroy kept.service"];

/// A machine, and where its etcd is.
struct Scene {
    machine: Lab,
    url: String,
    fleetd: Option<Fleetd>,
}

impl Scene {
    /// A machine whose `fleetd` asks `url`; it does not run yet.
    fn new(url: &str) -> Self {
        let machine = Lab::new(&settings(url));
        std::fs::write(machine.path("new.service"), FILE).unwrap();
        std::fs::write(machine.path(KEPT), FILE).unwrap();
        Self { machine, url: url.to_owned(), fleetd: None }
    }

    /// The same with a `fleetd` that runs, and a unit in the registry.
    fn with_unit(url: &str) -> Self {
        let mut scene = Self::new(url);
        scene.start();
        scene.machine.ask_until("/fleet/v1/machines", 200);
        assert_eq!(scene.type_in("submit kept.service"), "");
        scene
    }

    fn start(&mut self) {
        self.fleetd = Some(self.machine.start());
    }

    /// Runs `fleetctl`, which waits for longer than `fleetd` does; returns what it said on standard error, with its exit
    /// code unless that is 0.
    fn type_in(&self, typed: &str) -> String {
        let out = Command::new(env!("CARGO_BIN_EXE_fleetctl"))
            .arg(format!("--endpoint=unix://{}", self.machine.path("fleet.sock").display()))
            .arg("--request-timeout=30")
            .args(typed.split(' '))
            .current_dir(self.machine.path(""))
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // Some texts have the address alone.
        let address = self.url.split_once("://").unwrap().1;
        let said = String::from_utf8(out.stderr).unwrap();
        let said = said.replace(&self.url, "ETCD").replace(address, "ETCD");
        match out.status.code() {
            Some(0) => said,
            code => format!("{said}exit code {}\n", code.unwrap()),
        }
    }

    /// Types these, and compares what is said.
    #[track_caller]
    fn check(&self, typed: &[&str], expected: Expect) {
        let said: Vec<String> =
            typed.iter().map(|typed| format!("$ fleetctl {typed}\n{}", self.type_in(typed))).collect();
        expected.assert_eq(&said.concat());
    }
}

/// Settings of a `fleetd` that asks `url`. Without an engine its units stay where they are: nowhere.
fn settings(url: &str) -> String {
    format!("etcd_servers={url}\netcd_request_timeout=2\ndisable_engine=true\n")
}

/// The registry, as etcd's own tool prints it.
fn registry(programs: &Programs, member: &Member, user: &[&str]) -> String {
    let units = programs.ctl(member, &[user, &["get", "--prefix", "/fleet/v1/units/"]].concat());
    assert!(units.contains("/fleet/v1/units/kept.service"), "{units}");
    units
}

#[test]
fn a_full_etcd_is_said_to_be_full_and_serves_and_forgets_what_it_has() {
    let Some(programs) = Programs::shipped() else { return };
    let cluster = Cluster::start_with(&programs, 1, &["--quota-backend-bytes=16777216"]);
    let member = &cluster.members[0];
    let mut scene = Scene::with_unit(&member.client_url());
    let before = registry(&programs, member, &[]);
    let filler = member.client();
    // The gateway's words: `/large` and a megabyte, in base64.
    let put = serde_json::json!({ "key": "L2xhcmdl", "value": "eHh4".repeat(1 << 18) });
    until("it is full", || {
        let full = !filler.post_json("/v3/kv/put", &put).unwrap().is_success();
        full.then_some(())
    });
    // One that starts while it is full serves what there is, too.
    scene.fleetd.take().unwrap().end();
    scene.start();
    scene.machine.ask_until("/fleet/v1/machines", 200);
    scene.check(&TYPED[..3], expect![[r#"
        $ fleetctl list-unit-files
        $ fleetctl submit new.service
        error: storing unit new.service as inactive: fleet server unable to communicate with etcd: etcd's database is full (alarm NOSPACE), it takes no writes: compact and defragment it, then disarm the alarm (docs/operating/etcd.md, "Alarms")
        exit code 1
        $ fleetctl load --no-block kept.service
        error: setting unit kept.service to loaded: fleet server unable to communicate with etcd: etcd's database is full (alarm NOSPACE), it takes no writes: compact and defragment it, then disarm the alarm (docs/operating/etcd.md, "Alarms")
        exit code 1
    "#]]);
    assert_eq!(registry(&programs, member, &[]), before);
    // A full store still forgets.
    assert_eq!(scene.type_in("destroy kept.service"), "");
    assert_eq!(programs.ctl(member, &["get", "--prefix", "/fleet/v1/units/"]), "");
}

#[test]
fn an_etcd_that_may_only_be_read_is_served_and_its_refusals_are_told() {
    let Some(programs) = Programs::shipped() else { return };
    let cluster = Cluster::start(&programs, 1);
    let member = &cluster.members[0];
    let mut scene = Scene::with_unit(&member.client_url());
    scene.fleetd.take().unwrap().end();
    let before = registry(&programs, member, &[]);
    let steps: [&[&str]; 7] = [
        &["user", "add", "root:secret"],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "reader"],
        &["role", "grant-permission", "reader", "--prefix=true", "read", "/fleet/v1/"],
        &["user", "add", "fleet:word"],
        &["user", "grant-role", "fleet", "reader"],
        &["auth", "enable"],
    ];
    for step in steps {
        programs.ctl(member, step);
    }
    let user = "etcd_username=fleet\netcd_password=word\n";
    scene.machine.set(&format!("{}{user}", settings(&member.client_url())));
    scene.start();
    scene.machine.ask_until("/fleet/v1/machines", 200);
    scene.check(&TYPED, expect![[r#"
        $ fleetctl list-unit-files
        $ fleetctl submit new.service
        error: storing unit new.service as inactive: fleet server unable to communicate with etcd: etcd denied this (etcdserver: permission denied): name a user that has a role for these keys (`etcdctl role grant-permission`)
        exit code 1
        $ fleetctl load --no-block kept.service
        error: setting unit kept.service to loaded: fleet server unable to communicate with etcd: etcd denied this (etcdserver: permission denied): name a user that has a role for these keys (`etcdctl role grant-permission`)
        exit code 1
        $ fleetctl destroy kept.service
        error: destroying unit kept.service: fleet server unable to communicate with etcd: etcd denied this (etcdserver: permission denied): name a user that has a role for these keys (`etcdctl role grant-permission`)
        exit code 1
    "#]]);
    assert_eq!(registry(&programs, member, &["--user=root:secret"]), before);
}

#[test]
fn an_etcd_without_a_majority_is_said_to_have_no_leader() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 3);
    let scene = Scene::with_unit(&cluster.members[0].client_url());
    let before = registry(&programs, &cluster.members[0], &[]);
    cluster.members[1].kill();
    cluster.members[2].kill();
    until("it knows no leader", || {
        let said = scene.type_in("list-machines");
        said.contains("no leader").then_some(())
    });
    scene.check(&TYPED, expect![[r#"
        $ fleetctl list-unit-files
        error: listing units: fleet server unable to communicate with etcd: ETCD: etcd has no leader: start members until a majority of them runs, and check their network (docs/operating/etcd.md, "A lost majority" if they are gone for good); `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl submit new.service
        error: looking for unit new.service: fleet server unable to communicate with etcd: ETCD: etcd has no leader: start members until a majority of them runs, and check their network (docs/operating/etcd.md, "A lost majority" if they are gone for good); `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl load --no-block kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: ETCD: etcd has no leader: start members until a majority of them runs, and check their network (docs/operating/etcd.md, "A lost majority" if they are gone for good); `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl destroy kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: ETCD: etcd has no leader: start members until a majority of them runs, and check their network (docs/operating/etcd.md, "A lost majority" if they are gone for good); `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
    "#]]);
    cluster.start_again(1);
    cluster.start_again(2);
    cluster.members[0].wait_healthy();
    scene.machine.ask_until("/fleet/v1/machines", 200);
    assert_eq!(registry(&programs, &cluster.members[0], &[]), before);
}

#[test]
fn an_etcd_that_does_not_run_is_named() {
    let Some(programs) = Programs::shipped() else { return };
    let mut cluster = Cluster::start(&programs, 1);
    let scene = Scene::with_unit(&cluster.members[0].client_url());
    let before = registry(&programs, &cluster.members[0], &[]);
    cluster.members[0].kill();
    until("it is seen", || scene.type_in("list-machines").contains("cannot connect").then_some(()));
    scene.check(&TYPED, expect![[r#"
        $ fleetctl list-unit-files
        error: listing units: fleet server unable to communicate with etcd: cannot connect to etcd (ETCD: Connection refused (os error 111)): check that etcd runs there (`systemctl status etcd`) and that the endpoints are right; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl submit new.service
        error: looking for unit new.service: fleet server unable to communicate with etcd: cannot connect to etcd (ETCD: Connection refused (os error 111)): check that etcd runs there (`systemctl status etcd`) and that the endpoints are right; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl load --no-block kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: cannot connect to etcd (ETCD: Connection refused (os error 111)): check that etcd runs there (`systemctl status etcd`) and that the endpoints are right; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl destroy kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: cannot connect to etcd (ETCD: Connection refused (os error 111)): check that etcd runs there (`systemctl status etcd`) and that the endpoints are right; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
    "#]]);
    cluster.start_again(0);
    cluster.members[0].wait_healthy();
    assert_eq!(registry(&programs, &cluster.members[0], &[]), before);
}

/// Slow, and within the time that a request has: all is done. Slower than that: it is said, and that it is not known
/// whether a change was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_slow_is_waited_for_and_one_that_is_too_slow_is_not() {
    let Some(programs) = Programs::shipped() else { return };
    let cluster = Cluster::start(&programs, 1);
    let member = &cluster.members[0];
    let line = SlowLine::to(&member.client_url()).await;
    let scene = Scene::with_unit(&line.url);
    line.delay(Duration::from_millis(100));
    assert_eq!(scene.type_in("submit new.service"), "");
    assert_eq!(scene.type_in("list-unit-files"), "");
    assert_eq!(scene.type_in("destroy new.service"), "");
    line.delay(Duration::ZERO);
    let before = registry(&programs, member, &[]);
    line.hold();
    scene.check(&TYPED, expect![[r#"
        $ fleetctl list-unit-files
        error: listing units: fleet server unable to communicate with etcd: ETCD: etcd did not answer within 2.0 s: check its load and its disk (`etcdctl endpoint status`, `journalctl -u etcd`), or give more time; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl submit new.service
        error: looking for unit new.service: fleet server unable to communicate with etcd: ETCD: etcd did not answer within 2.0 s: check its load and its disk (`etcdctl endpoint status`, `journalctl -u etcd`), or give more time; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl load --no-block kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: ETCD: etcd did not answer within 2.0 s: check its load and its disk (`etcdctl endpoint status`, `journalctl -u etcd`), or give more time; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
        $ fleetctl destroy kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: ETCD: etcd did not answer within 2.0 s: check its load and its disk (`etcdctl endpoint status`, `journalctl -u etcd`), or give more time; `slipway etcd check` on fleetd's machine says which member is away
        exit code 1
    "#]]);
    // Nothing of it has reached etcd.
    assert_eq!(registry(&programs, member, &[]), before);
    line.go_on();
    // What is on its way arrives late, or not at all; whoever repeats it gets what is wanted.
    until("it answers again", || (scene.type_in("list-unit-files").is_empty()).then_some(()));
    assert_eq!(scene.type_in("submit new.service kept.service"), "");
    assert!(registry(&programs, member, &[]).contains("/fleet/v1/units/new.service"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_of_another_authority_is_not_asked() {
    let Some(programs) = Programs::shipped() else { return };
    let (authority, another) = (Authority::new("authority"), Authority::new("another authority"));
    let mut member = Member::new(&programs, "secured");
    member.start_secured(&authority, None);
    let signed = authority.sign("client");
    let mut scene = Scene::new(&member.secure_url());
    let machine = &scene.machine;
    let files = [("ca.pem", &another.pem), ("client.pem", &signed.certificate), ("client.key", &signed.key)];
    let mut settings = settings(&member.secure_url());
    for (option, (name, bytes)) in ["etcd_cafile", "etcd_certfile", "etcd_keyfile"].iter().zip(files) {
        std::fs::write(machine.path(name), bytes).unwrap();
        settings.push_str(&format!("{option}={}\n", machine.path(name).display()));
    }
    machine.set(&settings);
    let mut config = Config::new([member.secure_url()], Duration::from_secs(5));
    let identity = Identity { certificate: signed.certificate, key: signed.key };
    config.tls = Some(Tls { ca: authority.pem, identity: Some(identity) });
    let client = Client::new(config).unwrap();
    while client.get("/").await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.start();
    until("it is seen", || scene.type_in("list-machines").contains("certificate").then_some(()));
    scene.check(&TYPED, expect![[r#"
        $ fleetctl list-unit-files
        error: listing units: fleet server unable to communicate with etcd: ETCD: certificates do not fit (invalid peer certificate: UnknownIssuer): check that the CA is the one that signed etcd's certificate, that the certificate names the endpoint's host, and that etcd trusts the client's certificate
        exit code 1
        $ fleetctl submit new.service
        error: looking for unit new.service: fleet server unable to communicate with etcd: ETCD: certificates do not fit (invalid peer certificate: UnknownIssuer): check that the CA is the one that signed etcd's certificate, that the certificate names the endpoint's host, and that etcd trusts the client's certificate
        exit code 1
        $ fleetctl load --no-block kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: ETCD: certificates do not fit (invalid peer certificate: UnknownIssuer): check that the CA is the one that signed etcd's certificate, that the certificate names the endpoint's host, and that etcd trusts the client's certificate
        exit code 1
        $ fleetctl destroy kept.service
        error: looking for unit kept.service: fleet server unable to communicate with etcd: ETCD: certificates do not fit (invalid peer certificate: UnknownIssuer): check that the CA is the one that signed etcd's certificate, that the certificate names the endpoint's host, and that etcd trusts the client's certificate
        exit code 1
    "#]]);
    assert_eq!(client.list("/").await.unwrap().kvs.len(), 0, "nothing was written");
}
