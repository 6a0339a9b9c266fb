//! The settings of the image's unit, as etcd understands them.

use etcd_lab::{Member, Programs};

const UNIT: &str = include_str!("../../../../overlays/etcd/usr/lib/systemd/system/etcd.service");

#[test]
fn the_guard_rails_of_the_unit_are_understood() {
    let Some(programs) = Programs::shipped() else { return };
    let mut member = Member::new(&programs, "unit");
    // Name and folder are the machine's; the member sets them itself.
    let settings = UNIT.lines().filter_map(|line| line.strip_prefix("Environment=ETCD_"));
    let settings = settings.filter(|line| !line.contains('%')).filter_map(|line| line.split_once('='));
    let mut args: Vec<String> = settings
        .map(|(name, value)| format!("--{}={value}", name.to_lowercase().replace('_', "-")))
        .collect();
    assert_eq!(args.len(), 4, "{args:?}");
    args.push(format!("--initial-cluster={}", member.row()));
    member.start(&args);
    member.wait_healthy();
    let log = member.log();
    for sign in [
        r#""auto-compaction-mode":"periodic","auto-compaction-retention":"1h0m0s""#,
        r#""quota-backend-bytes":2147483648"#,
    ] {
        assert!(log.contains(sign), "{sign} in:\n{log}");
    }
    assert_eq!(member.client().get("/v2/keys/").unwrap().status, 200);
}
