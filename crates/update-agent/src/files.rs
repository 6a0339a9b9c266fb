//! Where the agent keeps what: every path that it reads or writes for itself.

/// Folder of what outlives a reboot.
pub const STATE_DIR: &str = "/var/lib/slipway/update";
/// What the agent knows.
pub const STATE_FILE: &str = "/var/lib/slipway/update/state.json";
/// What happened.
pub const HISTORY_FILE: &str = "/var/lib/slipway/update/history.json";
/// Folder of the payloads that are being fetched, each in a folder named after its manifest's digest.
pub const DOWNLOAD_DIR: &str = "/var/lib/slipway/update/download";
/// The boot loader that came with a version, until that version is blessed.
pub const LOADER_FILE: &str = "/var/lib/slipway/update/loader.efi";
/// What is going on, replaced by whoever holds the lock.
pub const STATUS_FILE: &str = "/run/slipway/update/status.json";
/// Held while anything of an update is being done.
pub const LOCK_FILE: &str = "/run/slipway/update.lock";
/// Held while the state is being changed: for a moment only.
pub const STATE_LOCK_FILE: &str = "/run/slipway/update-state.lock";
/// Exists while a version waits for a reboot, and holds it.
pub const REBOOT_FILE: &str = "/run/slipway/reboot-required";
/// Exists once the clock was synchronized (systemd-timesyncd.service(8)).
pub const SYNCHRONIZED_FILE: &str = "/run/systemd/timesync/synchronized";
/// Folder of the trusted keys in the image.
pub const KEYS_DIR: &str = "/usr/lib/slipway/keys";
/// Ids of retired keys in the image, one a line.
pub const RETIRED_FILE: &str = "/usr/lib/slipway/keys/retired";
