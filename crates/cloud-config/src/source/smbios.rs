//! What the firmware says of the machine.

use agent_support::host::Host;

/// Returns a field of SMBIOS by the kernel's name for it; empty if there is none.
pub(super) fn field(host: &Host, name: &str) -> anyhow::Result<String> {
    Ok(host.read(&format!("/sys/class/dmi/id/{name}"))?.unwrap_or_default().trim().to_owned())
}
