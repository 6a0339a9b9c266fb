//! What the journal gets: each line with its priority, whichever part says it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use crate::lab::{Lab, nobody};

/// Makes a certificate that is its own authority; returns the settings that name it.
fn certificate(lab: &Lab) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(lab.path("api.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(lab.path("api.key"), key.serialize_pem()).unwrap();
    let (pem, key) = (lab.path("api.pem"), lab.path("api.key"));
    format!("api_cafile={0}\napi_certfile={0}\napi_keyfile={1}\n", pem.display(), key.display())
}

#[test]
fn every_line_of_every_part_has_its_priority() {
    let (lab, api) = (Lab::new(""), nobody());
    let api = api.trim_start_matches("http://");
    let certificate = certificate(&lab);
    lab.set(&format!(
        "etcd_servers={}\netcd_request_timeout=1\nverbosity=1\napi_addresses={api}\n{certificate}",
        nobody()
    ));
    let fleetd = lab.start_with(&[("JOURNAL_STREAM", "8:1")]);
    // Somebody who speaks no TLS.
    let mut client = TcpStream::connect(api).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    client.write_all(b"GET /fleet/v1/units HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // What it answers is its own business.
    let _ = client.read_to_end(&mut Vec::new());
    let refused = lab.printed("the API refuses a client at 127.0.0.1");
    assert!(refused.starts_with("<4>"), "{refused}");
    let agent = lab.printed("agent: ");
    assert!(agent.starts_with("<4>agent: "), "{agent}");
    lab.printed("<4>the API waits for the registry");
    lab.printed("<5>engine: ");
    assert_eq!(fleetd.end(), Some(0));
    let log = lab.log();
    let plain = |line: &&str| !["<3>", "<4>", "<5>", "<6>"].iter().any(|level| line.starts_with(level));
    assert_eq!(log.lines().filter(plain).collect::<Vec<_>>(), [""; 0], "lines without a priority");
}
