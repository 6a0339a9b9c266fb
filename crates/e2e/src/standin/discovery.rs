//! The discovery service: the image's etcd, run on the host's loopback.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use etcd_lab::Discovery;

use crate::lab::Lab;

/// From the start of the process to its first answer.
const READY: Duration = Duration::from_secs(60);

/// Starts the service in a folder of the scenario, and waits until it answers.
pub fn start(lab: &Lab) -> anyhow::Result<Discovery> {
    let etcd = Command::new(lab.setup.programs()?.etcd);
    Discovery::start(etcd, &lab.folder("discovery")?, READY * lab.setup.patience)
        .context("starting the discovery service")
}
