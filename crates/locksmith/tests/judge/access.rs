//! An etcd that asks who is there: users with roles.

use super::{machine, one_member};

#[test]
fn an_etcd_that_asks_for_a_user_is_told_one() {
    let Some((programs, member)) = one_member() else { return };
    let m1 = machine("m1", &member);
    let ctl = |args: &[&str]| programs.ctl(&member, args);
    ctl(&["user", "add", "root:secret"]);
    ctl(&["user", "grant-role", "root", "root"]);
    // One that may only read, as a person who looks.
    ctl(&["role", "add", "looks"]);
    ctl(&["role", "grant-permission", "looks", "--prefix=true", "read", "/coreos.com/updateengine/"]);
    ctl(&["user", "add", "viewer:seen"]);
    ctl(&["user", "grant-role", "viewer", "looks"]);
    ctl(&["auth", "enable"]);
    let (_, stderr) = m1.check(&["status"], 1);
    assert!(stderr.starts_with("Error initializing etcd client: etcd denied this"), "{stderr}");
    let viewer = ["-etcd-username", "viewer", "-etcd-password", "seen"];
    let with = |user: [&'static str; 4], words: &[&'static str]| [&user[..], words].concat();
    assert_eq!(m1.check(&with(viewer, &["status"]), 0).0, "Available: 1\nMax: 1\n");
    let (_, stderr) = m1.check(&with(viewer, &["lock"]), 1);
    assert!(stderr.contains("etcd denied this"), "{stderr}");
    let root = ["-etcd-username", "root", "-etcd-password", "secret"];
    m1.check(&with(root, &["lock"]), 0);
    assert!(m1.check(&with(viewer, &["status"]), 0).0.ends_with("MACHINE ID\nm1\n"));
    let wrong = ["-etcd-username", "root", "-etcd-password", "guess"];
    let (_, stderr) = m1.check(&with(wrong, &["status"]), 1);
    assert!(stderr.contains("etcd does not know the user `root` with this password"), "{stderr}");
}
