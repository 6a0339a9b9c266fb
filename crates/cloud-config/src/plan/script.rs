//! A program as user data: kept, and run beside the boot by the service manager.

use sha2::{Digest, Sha256};

use super::{Command, File, Plan};

const FOLDER: &str = "/var/lib/slipway/cloudinit/scripts";

/// Plans a script. Its unit is named after its content, so that nothing here is random; a script that still runs
/// is not started a second time.
pub(super) fn script(text: &str, plan: &mut Plan) {
    let digest = Sha256::digest(text.as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let unit = format!("coreos-cloudinit-{name}.service");
    let path = format!("{FOLDER}/{name}");
    // Not for all to read: scripts hold tokens.
    plan.push(File { mode: 0o700, ..File::new(path.clone(), text) });
    plan.push(File::new(format!("{FOLDER}/unit-name"), format!("{unit}\n")));
    let unit = format!("--unit={unit}");
    plan.push(Command::new(["systemd-run", "--no-block", "--collect", "--quiet", &unit, "--", &path]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut plan = Plan::default();
        script(text, &mut plan);
        plan.actions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_script_is_a_file_and_a_transient_unit() {
        let lines = lines("#!/bin/sh\n");
        let folder = "/var/lib/slipway/cloudinit/scripts";
        assert_eq!(lines[1], format!("write {folder}/unit-name (0644 root, 42 bytes)"));
        assert!(
            lines[0].starts_with(&format!("write {folder}/")) && lines[0].ends_with("(0700 root, 10 bytes)")
        );
        assert!(
            lines[2].starts_with("run systemd-run --no-block --collect --quiet --unit=coreos-cloudinit-")
        );
        assert_ne!(lines, self::lines("#!/bin/bash\n"));
    }
}
