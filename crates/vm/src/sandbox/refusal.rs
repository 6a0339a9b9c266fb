//! Says what to enable when the kernel refuses a namespace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What decides whether a process may make namespaces here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The process has user number 0.
    pub root: bool,
    /// `user.max_user_namespaces`, where the kernel has it.
    pub max_user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`, where the kernel has it.
    pub unprivileged_userns_clone: Option<u64>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`, where the kernel has it.
    pub apparmor_restrict: Option<u64>,
    /// The dynamic loader that an AppArmor profile would have to name.
    pub loader: PathBuf,
}

impl Facts {
    /// Reads the settings of the running kernel; one that cannot be read counts as absent.
    pub fn of_this_host(tree: &Path) -> Self {
        let setting = |path: &str| {
            let text = std::fs::read_to_string(path).ok()?; // Absent on most kernels.
            text.trim().parse().ok()
        };
        Self {
            root: rustix::process::geteuid().is_root(),
            max_user_namespaces: setting("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: setting("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict: setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            // AppArmor matches the file behind the link.
            loader: tree.join("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        }
    }

    /// Returns the commands that lift the restriction, most likely first.
    pub fn remedy(&self) -> String {
        if self.root {
            return "root may not make namespaces here, so this is a container: start it with CAP_SYS_ADMIN \
                    (`--privileged`), or build as an ordinary user outside of it"
                .to_owned();
        }
        let mut remedy = String::from("to allow unprivileged user namespaces, run once:");
        if self.unprivileged_userns_clone == Some(0) {
            remedy.push_str("\n  sudo sysctl -w kernel.unprivileged_userns_clone=1");
        }
        if self.max_user_namespaces == Some(0) {
            remedy.push_str("\n  sudo sysctl -w user.max_user_namespaces=15000");
        }
        if self.apparmor_restrict == Some(1) {
            remedy.push_str("\n  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
            remedy.push_str(&format!(
                "\nor, to leave that setting alone, load this AppArmor profile (put it in \
                 /etc/apparmor.d/slipway-tools, then `sudo apparmor_parser -r /etc/apparmor.d/slipway-tools`):\
                 \n  abi <abi/4.0>,\
                 \n  profile slipway-tools {} flags=(unconfined) {{ userns, }}",
                self.loader.display()
            ));
        }
        if !remedy.contains("sysctl") {
            return "no setting of this kernel forbids user namespaces, so a container or a seccomp filter \
                    around this process does: allow `unshare` and `mount` there, or run as root"
                .to_owned();
        }
        remedy.push_str("\nor run the same command as root");
        remedy
    }
}

/// Returns the sorted names in `dir`; a folder that cannot be read has none (the probe reports the tree).
pub(super) fn top_level(dir: &Path) -> Vec<OsString> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<OsString> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn permissive() -> Facts {
        Facts {
            root: false,
            max_user_namespaces: Some(1000),
            unprivileged_userns_clone: None,
            apparmor_restrict: None,
            loader: "/t/ld.so".into(),
        }
    }

    #[track_caller]
    fn check(facts: Facts, expect: Expect) {
        expect.assert_eq(&facts.remedy());
    }

    #[test]
    fn names_the_sysctl_of_debian() {
        let facts = Facts { unprivileged_userns_clone: Some(0), ..permissive() };
        check(
            facts,
            expect![[r#"
                to allow unprivileged user namespaces, run once:
                  sudo sysctl -w kernel.unprivileged_userns_clone=1
                or run the same command as root"#]],
        );
    }

    #[test]
    fn names_the_limit_of_zero() {
        let facts = Facts { max_user_namespaces: Some(0), ..permissive() };
        check(
            facts,
            expect![[r#"
                to allow unprivileged user namespaces, run once:
                  sudo sysctl -w user.max_user_namespaces=15000
                or run the same command as root"#]],
        );
    }

    #[test]
    fn gives_the_apparmor_profile() {
        let facts = Facts { apparmor_restrict: Some(1), ..permissive() };
        check(
            facts,
            expect![[r#"
                to allow unprivileged user namespaces, run once:
                  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
                or, to leave that setting alone, load this AppArmor profile (put it in /etc/apparmor.d/slipway-tools, then `sudo apparmor_parser -r /etc/apparmor.d/slipway-tools`):
                  abi <abi/4.0>,
                  profile slipway-tools /t/ld.so flags=(unconfined) { userns, }
                or run the same command as root"#]],
        );
    }

    #[test]
    fn root_without_the_right_is_in_a_container() {
        let facts = Facts { root: true, ..permissive() };
        check(
            facts,
            expect![[
                r#"root may not make namespaces here, so this is a container: start it with CAP_SYS_ADMIN (`--privileged`), or build as an ordinary user outside of it"#
            ]],
        );
    }

    #[test]
    fn blames_the_surroundings_when_every_setting_is_open() {
        check(
            permissive(),
            expect![[
                r#"no setting of this kernel forbids user namespaces, so a container or a seccomp filter around this process does: allow `unshare` and `mount` there, or run as root"#
            ]],
        );
    }
}
