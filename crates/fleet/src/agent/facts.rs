//! What a machine tells the cluster of itself.

use std::time::Duration;

use tokio::time::Instant;

use super::address;
use super::settings::Settings;
use crate::registry::MachineValue;

/// How long an address is believed.
const BELIEVED: Duration = Duration::from_secs(60);

/// What is told, and when the address was looked up.
#[derive(Debug)]
pub(super) struct Facts {
    value: MachineValue,
    /// Without it the address is configured.
    looked: Option<Instant>,
}

impl Facts {
    /// The facts of a machine with these settings.
    pub(super) fn of(settings: &Settings) -> Self {
        let looked = settings.public_ip.is_none().then(Instant::now);
        let ip = settings.public_ip.clone().unwrap_or_else(default_ip);
        let (metadata, version, boot) =
            (settings.metadata.clone(), settings.version.clone(), settings.boot.clone());
        Self { value: MachineValue { ip, metadata, version, boot }, looked }
    }

    /// Returns them as they are; the address is looked up again after a minute, at once while there is none.
    pub(super) fn look(&mut self) -> &MachineValue {
        if let Some(looked) = self.looked
            && (self.value.ip.is_empty() || looked.elapsed() >= BELIEVED)
        {
            self.value.ip = default_ip();
            self.looked = Some(Instant::now());
        }
        &self.value
    }
}

fn default_ip() -> String {
    address::of_default_route().map(|ip| ip.to_string()).unwrap_or_default()
}
