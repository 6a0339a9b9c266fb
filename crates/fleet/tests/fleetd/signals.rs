//! What signals do, with a store that is not there.

use rustix::process::Signal;

use crate::lab::{Lab, nobody};

#[test]
fn without_a_store_it_is_ready_and_says_what_it_waits_for() {
    let server = nobody();
    let lab = Lab::new(&format!("etcd_servers={server}\netcd_request_timeout=1\n"));
    let fleetd = lab.start();
    let answer = lab.ask_until("/fleet/v1/machines", 503);
    assert!(answer.body.contains("error"), "{answer:?}");
    let line = lab.printed("the API waits for the registry");
    assert!(line.contains(server.trim_start_matches("http://")), "{line}");
    lab.told("STATUS=");
    assert_eq!(fleetd.end(), Some(0));
    assert!(!lab.path("fleet.sock").exists(), "its socket goes with it");
}

#[test]
fn a_signal_prints_what_it_knows_as_one_line() {
    let server = nobody();
    let lab = Lab::new(&format!(
        "etcd_servers={server}\nmetadata=disk=ssd\netcd_password=hunter2\netcd_username=u\n"
    ));
    let fleetd = lab.start();
    fleetd.signal(Signal::USR1);
    let line = lab.printed("{\"");
    let state: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(state["metadata"]["disk"], "ssd");
    assert_eq!(state["etcdServers"][0], server);
    assert_eq!(state["parts"]["api"]["runs"], true, "{line}");
    assert!(!line.contains("hunter2"), "{line}");
    assert_eq!(fleetd.end(), Some(0));
}

#[test]
fn settings_are_read_anew_while_the_socket_stays() {
    let lab = Lab::new(&format!("etcd_servers={}\nmetadata=disk=hdd\n", nobody()));
    let fleetd = lab.start();
    let before = std::fs::metadata(lab.path("fleet.sock")).unwrap();
    lab.set(&format!("etcd_servers={}\nmetadata=disk=ssd\n", nobody()));
    fleetd.signal(Signal::HUP);
    lab.told("RELOADING=1\nMONOTONIC_USEC=");
    lab.told("READY=1");
    fleetd.signal(Signal::USR1);
    lab.printed(r#""metadata":{"disk":"ssd"}"#);
    let after = std::fs::metadata(lab.path("fleet.sock")).unwrap();
    let identity = |file: &std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(file);
    assert_eq!(identity(&before), identity(&after), "the socket is another one");
    lab.ask_until("/fleet/v1/machines", 503);
    assert_eq!(fleetd.end(), Some(0));
}

#[test]
fn with_wrong_settings_those_of_before_stay() {
    let lab = Lab::new(&format!("etcd_servers={}\nmetadata=disk=hdd\n", nobody()));
    let fleetd = lab.start();
    lab.set("metadata=ssd\n");
    fleetd.signal(Signal::HUP);
    let line = lab.printed("the settings of before stay");
    assert!(line.contains("`ssd` is no metadata"), "{line}");
    lab.told("READY=1");
    fleetd.signal(Signal::USR1);
    lab.printed(r#""metadata":{"disk":"hdd"}"#);
    lab.ask_until("/fleet/v1/machines", 503);
    assert_eq!(fleetd.end(), Some(0));
}

#[test]
fn a_watchdog_hears_that_it_is_alive() {
    let lab = Lab::new(&format!("etcd_servers={}\n", nobody()));
    let fleetd = lab.start_with(&[("WATCHDOG_USEC", "1000000")]);
    lab.told("WATCHDOG=1");
    assert_eq!(fleetd.end(), Some(0));
    lab.told("STOPPING=1");
}
