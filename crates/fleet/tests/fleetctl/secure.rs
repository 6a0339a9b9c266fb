//! https endpoints: certificates of one authority on both sides.

use std::fs;
use std::path::Path;

use etcd_lab::Authority;
use fleet::http::TlsFiles;

use super::lab::{Lab, Said};

/// Makes an authority in a folder, with a certificate of the server and one of `fleetctl`.
fn certificates(dir: &Path) -> [TlsFiles; 2] {
    fs::create_dir(dir).unwrap();
    let authority = Authority::new("authority");
    fs::write(dir.join("ca.pem"), &authority.pem).unwrap();
    [("server", "127.0.0.1"), ("client", "client")].map(|(file, name)| {
        let files = TlsFiles {
            ca: dir.join("ca.pem"),
            certificate: dir.join(file).with_extension("pem"),
            key: dir.join(file).with_extension("key"),
        };
        let signed = authority.sign(name);
        fs::write(&files.certificate, signed.certificate).unwrap();
        fs::write(&files.key, signed.key).unwrap();
        files
    })
}

fn list(lab: &Lab, address: &str, files: &TlsFiles) -> Said {
    let endpoint = format!("--endpoint=https://{address}");
    let [ca, certificate, key] = [("ca", &files.ca), ("cert", &files.certificate), ("key", &files.key)]
        .map(|(flag, path)| format!("--{flag}-file={}", path.display()));
    lab.bare(&[&endpoint, &ca, &certificate, &key, "list-machines", "--no-legend", "--fields=ip"])
}

#[test]
fn an_https_endpoint_is_asked_with_certificates() {
    let lab = Lab::new();
    let [server, client] = certificates(&lab.dir().join("pki"));
    let said = list(&lab, &lab.tls(&server), &client);
    assert_eq!((said.code, said.stdout.as_str()), (0, "172.17.8.101\n"), "{}", said.stderr);
}

#[test]
fn a_server_of_another_authority_is_not_asked() {
    let lab = Lab::new();
    let [server, _] = certificates(&lab.dir().join("pki"));
    let [_, stranger] = certificates(&lab.dir().join("other"));
    let said = list(&lab, &lab.tls(&server), &stranger);
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    assert!(said.stderr.contains("--ca-file"), "{}", said.stderr);
}

#[test]
fn an_https_endpoint_takes_all_three_files_and_no_tunnel() {
    let lab = Lab::new();
    let bare = lab.bare(&["--endpoint=https://127.0.0.1:1", "list-machines"]);
    assert_eq!(bare.code, 2);
    assert!(bare.stderr.contains("--ca-file, --cert-file and --key-file"), "{}", bare.stderr);
    let tunnel = lab.bare(&["--endpoint=https://127.0.0.1:1", "--tunnel=bastion", "list-machines"]);
    assert_eq!(tunnel.code, 2);
    assert!(tunnel.stderr.contains("SSH protects it already"), "{}", tunnel.stderr);
    assert!(lab.ssh_calls().is_empty());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let lab = Lab::new();
    let missing = lab.dir().join("missing.pem");
    let files = TlsFiles { ca: missing.clone(), certificate: missing.clone(), key: missing };
    let said = list(&lab, "127.0.0.1:1", &files);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("missing.pem"), "{}", said.stderr);
}
