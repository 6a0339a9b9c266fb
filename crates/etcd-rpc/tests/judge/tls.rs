//! TLS: certificates of both sides, right and wrong.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use etcd_lab::wait::DEADLINE;
use etcd_lab::{Member, Programs};
use etcd_rpc::{Client, Config, Error, Identity, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{TIMEOUT, refused};

/// An authority.
struct Authority {
    pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params.self_signed(&key).unwrap().pem().into_bytes();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a host, or for a client, with its key.
    fn sign(&self, host: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem().into_bytes();
        Identity { certificate, key: key.serialize_pem().into_bytes() }
    }
}

/// A member that serves TLS and asks clients for certificates of the same authority.
struct Secured {
    _member: Member,
    url: String,
    authority: Authority,
    client: Identity,
}

impl Secured {
    /// Starts it with a certificate for `host`, or for its own address without one.
    async fn start(programs: &Programs, host: Option<&str>) -> Self {
        let mut member = Member::new(programs, "secured");
        let url = member.client_url().replace("http://", "https://");
        let address = url.trim_start_matches("https://").split(':').next().unwrap().to_owned();
        let authority = Authority::new("authority");
        let server = authority.sign(host.unwrap_or(&address));
        let file = |name: &str, bytes: &[u8]| {
            let path = member.folder().join(name);
            fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let files = [file("crt", &server.certificate), file("key", &server.key), file("ca", &authority.pem)];
        let [certificate, key, ca] = files.each_ref().map(String::as_str);
        let row = member.row();
        let args = [
            ["--initial-cluster", row.as_str()],
            ["--listen-client-urls", url.as_str()],
            ["--advertise-client-urls", url.as_str()],
            ["--cert-file", certificate],
            ["--key-file", key],
            ["--trusted-ca-file", ca],
        ];
        let mut args = args.concat();
        args.push("--client-cert-auth");
        member.start(&args);
        let client = authority.sign("client");
        let secured = Self { _member: member, url, authority, client };
        if host.is_none() {
            secured.wait().await;
        } else {
            secured.wait_listening(&address);
        }
        secured
    }

    fn client(&self, ca: &Authority, identity: Option<&Identity>) -> Client {
        let mut config = Config::new([self.url.clone()], TIMEOUT);
        config.tls = Some(Tls { ca: ca.pem.clone(), identity: identity.cloned() });
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

    fn wait_listening(&self, address: &str) {
        etcd_lab::until("somebody listens", || TcpListener::bind((address, 2379)).is_err().then_some(()));
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
