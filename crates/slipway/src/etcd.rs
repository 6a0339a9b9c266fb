//! `slipway etcd`: keeps this machine's etcd well: backups, restoring one, replacing a lost member, its alarms.
//!
//! `etcdctl` asks etcd; what is made of its answers is decided by functions without input and output:
//! [`kept`] (which backups stay), [`replacement`] (whether a member may be replaced, and by what) and [`check`].

mod addresses;
mod alone;
mod backup;
mod check;
mod ctl;
mod kept;
mod member;
mod replace;
mod replacement;
mod restore;
mod settings;
mod tree;

use agent_support::host::Host;

use crate::flags::{EtcdAction, EtcdArgs};

/// The unit.
const UNIT: &str = "etcd.service";
/// The page that says what to do; ends errors that no command remedies.
const PAGE: &str = "docs/operating/etcd.md";
/// Where backups are, one folder each.
const BACKUPS: &str = "/var/lib/slipway/etcd/backups";

/// Does what was asked for.
pub fn run(host: &Host, args: EtcdArgs) -> anyhow::Result<()> {
    let given = settings::Given { endpoint: args.endpoint, data_dir: args.data_dir };
    match args.action {
        EtcdAction::Backup => backup::run(host, &settings::running(host, given)?),
        EtcdAction::Restore(args) => {
            restore::restore(host, &settings::stopped(host, given, args.place.peer_url)?, &args.backup)
        }
        EtcdAction::Alone(place) => restore::alone(&settings::stopped(host, given, place.peer_url)?),
        EtcdAction::Replace(replace) => {
            let wish = replacement::Wish { old: replace.old, name: replace.name, peer_url: replace.peer_url };
            replace::run(&settings::running(host, given)?, &wish)
        }
        EtcdAction::Addresses => addresses::run(host),
        EtcdAction::Check => check::run(&settings::running(host, given)?),
    }
}
