//! All keys but the options of services.

use super::services::{ETCD, ETCD2, FLANNEL, FLEET, LOCKSMITH};
use super::{Form, Key, Kind, Section};

pub(super) const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, deprecated: None }
}

pub(super) const fn text(name: &'static str) -> Key {
    key(name, Kind::Text)
}

pub(super) const fn flag(name: &'static str) -> Key {
    key(name, Kind::Flag)
}

pub(super) const fn count(name: &'static str) -> Key {
    key(name, Kind::Count)
}

pub(super) const fn deprecated(name: &'static str, kind: Kind, why: &'static str) -> Key {
    Key { name, kind, deprecated: Some(why) }
}

const fn texts(name: &'static str) -> Key {
    key(name, Kind::Texts)
}

/// Every section, in the order of the page.
pub const SECTIONS: &[Section] = &[
    Section { path: "", keys: TOP },
    Section { path: "users[]", keys: USERS },
    Section { path: "write_files[]", keys: WRITE_FILES },
    Section { path: "coreos", keys: COREOS },
    Section { path: "coreos.units[]", keys: UNITS },
    Section { path: "coreos.units[].drop_ins[]", keys: DROP_INS },
    Section { path: "coreos.update", keys: UPDATE },
    Section { path: "coreos.oem", keys: OEM },
    Section { path: "coreos.etcd", keys: ETCD },
    Section { path: "coreos.etcd2", keys: ETCD2 },
    Section { path: "coreos.fleet", keys: FLEET },
    Section { path: "coreos.locksmith", keys: LOCKSMITH },
    Section { path: "coreos.flannel", keys: FLANNEL },
];

const TOP: &[Key] = &[
    text("hostname"),
    text("timezone"),
    key("manage_etc_hosts", Kind::Word(&["localhost"])),
    texts("ssh_authorized_keys"),
    key("users", Kind::Maps),
    key("write_files", Kind::Maps),
    key("coreos", Kind::Map),
];

const USERS: &[Key] = &[
    text("name"),
    text("passwd"),
    text("gecos"),
    text("homedir"),
    text("shell"),
    text("primary_group"),
    texts("groups"),
    flag("no_create_home"),
    flag("no_user_group"),
    flag("no_log_init"),
    flag("system"),
    texts("ssh_authorized_keys"),
    text("coreos_ssh_import_github"),
    texts("coreos_ssh_import_github_users"),
    text("coreos_ssh_import_url"),
];

/// Encodings of `content`, as they may be written.
pub const ENCODINGS: &[&str] =
    &["b64", "base64", "gz", "gzip", "gz+base64", "gzip+base64", "gz+b64", "gzip+b64"];

const WRITE_FILES: &[Key] = &[
    text("path"),
    text("content"),
    key("encoding", Kind::Word(ENCODINGS)),
    key("permissions", Kind::Form(Form::Mode)),
    text("owner"),
];

const COREOS: &[Key] = &[
    key("units", Kind::Maps),
    key("update", Kind::Map),
    key("etcd", Kind::Map),
    key("etcd2", Kind::Map),
    key("fleet", Kind::Map),
    key("locksmith", Kind::Map),
    key("flannel", Kind::Map),
    key("oem", Kind::Map),
];

const UNITS: &[Key] = &[
    text("name"),
    text("content"),
    key("drop_ins", Kind::Maps),
    flag("mask"),
    flag("runtime"),
    flag("enable"),
    key(
        "command",
        Kind::Word(&[
            "start",
            "stop",
            "restart",
            "reload",
            "try-restart",
            "reload-or-restart",
            "reload-or-try-restart",
        ]),
    ),
];

const DROP_INS: &[Key] = &[text("name"), text("content")];

const UPDATE: &[Key] = &[
    key("reboot_strategy", Kind::Word(&["etcd-lock", "reboot", "off", "best-effort"])),
    text("group"),
    text("server"),
];

const OEM: &[Key] = &[text("id"), text("name"), text("version_id"), text("home_url"), text("bug_report_url")];
