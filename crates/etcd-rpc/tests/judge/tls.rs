//! TLS: certificates of both sides, right and wrong.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use etcd_lab::wait::DEADLINE;
use etcd_lab::{Authority, Member, Programs, Signed};
use etcd_rpc::{Client, Config, Error, Identity, Tls};

use super::{TIMEOUT, refused};

/// A member that serves TLS and asks clients for certificates of the same authority.
struct Secured {
    _member: Member,
    url: String,
    authority: Authority,
    client: Signed,
}

impl Secured {
    /// Starts it with a certificate for `host`, or for its own address without one.
    async fn start(programs: &Programs, host: Option<&str>) -> Self {
        let mut member = Member::new(programs, "secured");
        let url = member.secure_url();
        let authority = Authority::new("authority");
        member.start_secured(&authority, host);
        let client = authority.sign("client");
        let secured = Self { _member: member, url, authority, client };
        if host.is_none() {
            secured.wait().await;
        } else {
            secured.wait_listening();
        }
        secured
    }

    fn client(&self, ca: &Authority, signed: Option<&Signed>) -> Client {
        let identity = signed.cloned().map(|Signed { certificate, key }| Identity { certificate, key });
        let mut config = Config::new([self.url.clone()], TIMEOUT);
        config.tls = Some(Tls { ca: ca.pem.clone(), identity });
        Client::new(config).unwrap()
    }

    async fn wait(&self) {
        let client = self.client(&self.authority, Some(&self.client));
        let begin = Instant::now();
        while let Err(error) = client.get("/").await {
            assert!(begin.elapsed() < DEADLINE, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn wait_listening(&self) {
        let address = self.url.trim_start_matches("https://");
        etcd_lab::until("somebody listens", || TcpListener::bind(address).is_err().then_some(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fitting_certificates_let_a_client_in() {
    let Some(programs) = Programs::shipped() else { return };
    let secured = Secured::start(&programs, None).await;
    let client = secured.client(&secured.authority, Some(&secured.client));
    client.put("/k", "x").await.unwrap();
    let mut follower = client.follow("/");
    let event = follower.next().await;
    assert!(matches!(event, etcd_rpc::Event::Listing { ref kvs, .. } if kvs.len() == 1), "{event:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_authority_is_not_trusted() {
    let Some(programs) = Programs::shipped() else { return };
    let secured = Secured::start(&programs, None).await;
    let client = secured.client(&Authority::new("another authority"), Some(&secured.client));
    let error = refused(client.put("/k", "x").await);
    assert!(
        matches!(&error, Error::Certificate { reason, .. } if reason.contains("UnknownIssuer")),
        "{error:?}"
    );
    assert!(!error.is_outcome_unknown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_name_is_not_trusted() {
    let Some(programs) = Programs::shipped() else { return };
    let secured = Secured::start(&programs, Some("etcd.example.com")).await;
    let client = secured.client(&secured.authority, Some(&secured.client));
    let begin = Instant::now();
    let error = loop {
        match refused(client.put("/k", "x").await) {
            // It listens, and does not serve yet.
            Error::Unreachable { .. } if begin.elapsed() < DEADLINE => {}
            error => break error,
        }
    };
    assert!(
        matches!(&error, Error::Certificate { reason, .. } if reason.contains("not valid for name")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_or_with_a_strange_one_is_refused_as_such() {
    let Some(programs) = Programs::shipped() else { return };
    let secured = Secured::start(&programs, None).await;
    let stranger = Authority::new("another authority").sign("client");
    for identity in [None, Some(&stranger)] {
        let error = refused(secured.client(&secured.authority, identity).get("/k").await);
        assert!(matches!(error, Error::Certificate { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_connection_to_a_server_with_tls_fails_in_time() {
    let Some(programs) = Programs::shipped() else { return };
    let secured = Secured::start(&programs, None).await;
    let plain = secured.url.replace("https://", "http://");
    let client = Client::new(Config::new([plain], TIMEOUT)).unwrap();
    let begin = Instant::now();
    let error = refused(client.get("/k").await);
    assert!(error.is_away(), "{error:?}");
    assert!(begin.elapsed() < TIMEOUT + Duration::from_secs(3));
}
