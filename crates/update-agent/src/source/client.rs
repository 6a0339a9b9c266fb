//! What all requests of this agent have in common: patience, counting, its name, and whom HTTPS trusts.

use std::fmt;

use agent_support::host::Host;
use agent_support::sealed;
use anyhow::Context as _;
use http_get::{Patience, Proxy, Url};
use ureq::Agent;

use super::{Limits, Traffic};

/// Sends requests for one machine, to where one URL leads.
pub struct Client {
    /// How long a server may keep the agent waiting.
    pub limits: Limits,
    /// What the network took.
    pub traffic: Traffic,
    pub(super) agent: Agent,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads what a client of this machine needs, and asks nothing yet; `url` decides about a proxy.
    pub fn new(host: &Host, limits: &Limits, traffic: &Traffic, url: &Url) -> anyhow::Result<Self> {
        let roots = http_get::trusted(host).context("reading the certificate authorities")?;
        let patience = Patience { answer: limits.answer, stall: limits.stall };
        let proxy = if url.is_loopback() { Proxy::Never } else { Proxy::OfEnvironment };
        let name = format!("slipway-update/{}", sealed::version(host)?);
        let agent = http_get::client(roots, patience, proxy, &name);
        Ok(Self { limits: limits.clone(), traffic: traffic.clone(), agent })
    }
}
