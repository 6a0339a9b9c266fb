//! The drop-in that binds an exclusive unit to the guard, so that systemd stops it when the guard ends, and in time.

use std::time::Duration;

use fleet_core::unit_file::UnitFile;

/// The guard's unit, which the image has.
pub const GUARD_UNIT: &str = "fleet-guard.service";
/// Name of the drop-in; late in the order, so that it has the last word.
pub(super) const FILE: &str = "99-fleet-guard.conf";

/// Returns the drop-in for a unit that must have stopped within `limit` of the guard's end.
///
/// A stop is each `ExecStop=`, then a signal, each with the same time, and then a kill that takes none: what the unit
/// may take is divided among them. A shorter time of the unit's own is left to it.
pub fn bound_to_guard(unit: &str, file: &UnitFile, limit: Duration) -> String {
    let mut dropin = format!("[Unit]\nBindsTo={GUARD_UNIT}\nAfter={GUARD_UNIT}\n");
    let Some((section, option)) = unit.rsplit_once('.').and_then(|(_, suffix)| stop_timeout(suffix)) else {
        return dropin;
    };
    let steps = u32::try_from(file.values(section, "ExecStop").filter(|value| !value.is_empty()).count());
    let each = limit / steps.unwrap_or(u32::MAX).saturating_add(1);
    let own = file.values(section, "TimeoutStopSec").chain(file.values(section, "TimeoutSec")).last();
    let each = own.and_then(time_span).map_or(each, |own| each.min(own));
    // systemd takes zero for "no limit".
    let millis = each.as_millis().max(1);
    // A unit that is only asked to stop, or whose children are not, could outlive the guard.
    dropin.push_str(&format!("[{section}]\n{option}={millis}ms\nSendSIGKILL=yes\n"));
    let kill_mode = file.values(section, "KillMode").last().unwrap_or_default();
    if !matches!(kill_mode, "mixed" | "control-group") {
        dropin.push_str("KillMode=control-group\n");
    }
    dropin
}

/// The section of a kind of unit and its option for how long a stop may take, if it runs processes.
fn stop_timeout(suffix: &str) -> Option<(&'static str, &'static str)> {
    Some(match suffix {
        "service" => ("Service", "TimeoutStopSec"),
        "scope" => ("Scope", "TimeoutStopSec"),
        "socket" => ("Socket", "TimeoutSec"),
        "mount" => ("Mount", "TimeoutSec"),
        "swap" => ("Swap", "TimeoutSec"),
        _ => return None,
    })
}

/// A time span as systemd writes it, such as `90`, `5s` or `1min 30s`; `None` for none, endless, or unknown ones.
fn time_span(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u32 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "us" | "usec" => Duration::from_micros(1),
            "ms" | "msec" => Duration::from_millis(1),
            "" | "s" | "sec" | "second" | "seconds" => Duration::from_secs(1),
            "m" | "min" | "minute" | "minutes" => Duration::from_secs(60),
            "h" | "hr" | "hour" | "hours" => Duration::from_secs(3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = rest[letters..].trim_start();
    }
    // Zero is no limit.
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn bound(unit: &str, text: &str) -> String {
        bound_to_guard(unit, &UnitFile::parse(text).unwrap(), LIMIT)
    }

    fn millis(text: &str) -> String {
        let dropin = bound("a.service", text);
        let line = dropin.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
        line.to_owned()
    }

    #[test]
    fn a_service_is_bound_and_stopped_within_the_limit() {
        let dropin = bound("a.service", "[Service]\nExecStart=/bin/a\n");
        expect_test::expect![[r#"
            [Unit]
            BindsTo=fleet-guard.service
            After=fleet-guard.service
            [Service]
            TimeoutStopSec=10000ms
            SendSIGKILL=yes
            KillMode=control-group
        "#]]
        .assert_eq(&dropin);
    }

    #[test]
    fn the_time_is_divided_among_the_commands_of_a_stop() {
        let text = "[Service]\nExecStop=/bin/a\nExecStop=/bin/b\nExecStop=\n[X-Fleet]\nExecStop=/bin/c\n";
        assert_eq!(millis(text), "3333ms");
    }

    #[test]
    fn a_shorter_time_of_the_units_own_is_kept_and_a_longer_one_is_not() {
        assert_eq!(millis("[Service]\nTimeoutStopSec=2\n"), "2000ms");
        assert_eq!(millis("[Service]\nTimeoutSec=1s 500ms\n"), "1500ms");
        for longer in ["infinity", "0", "5min", "1h 3s", "nonsense", ""] {
            assert_eq!(millis(&format!("[Service]\nTimeoutStopSec={longer}\n")), "10000ms", "{longer}");
        }
    }

    #[test]
    fn a_unit_whose_children_would_stay_has_them_killed() {
        let dropin = bound("a.service", "[Service]\nKillMode=none\n");
        assert!(dropin.contains("KillMode=control-group"));
        let dropin = bound("a.service", "[Service]\nKillMode=mixed\n");
        assert!(!dropin.contains("KillMode"));
    }

    #[test]
    fn a_unit_without_processes_is_only_bound() {
        let dropin = bound("a.timer", "[Timer]\nOnBootSec=1\n");
        assert_eq!(dropin, "[Unit]\nBindsTo=fleet-guard.service\nAfter=fleet-guard.service\n");
    }
}
