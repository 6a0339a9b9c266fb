//! The status for people.

use super::{BootComplete, EntryStatus, Status, Verdict, Verity};

/// Returns the lines.
pub fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut line = |label: &str, value: &str| out += &format!("{label:>13}: {value}\n");
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
    line("Version", &status.version);
    line("Root hash", &or_unknown(&status.root_hash));
    let slot = status.slot.as_ref().map(|slot| format!("{} ({}, {})", slot.name, slot.device, slot.label));
    line("Slot", &or_unknown(&slot));
    let entry = status.boot.as_ref().map(|boot| {
        let state = match (boot.counted, boot.blessed) {
            (true, Some(false)) => format!("try {}, not yet found good", boot.number),
            (true, None) => format!("try {}", boot.number),
            (true, Some(true)) => "found good in this boot".to_owned(),
            (false, Some(false)) => "put last after failures".to_owned(),
            (false, _) => "blessed".to_owned(),
        };
        format!("{} ({state})", boot.entry)
    });
    line("Boot entry", &or_unknown(&entry));
    line("Up", &uptime(status.uptime_seconds));
    line("Health", &health(status));
    line(
        "/usr",
        match status.verity {
            Verity::Verified => "verified",
            Verity::Corrupted => "CORRUPTED",
            Verity::Unknown => "not known",
        },
    );
    let failed = status.failed_units.as_ref().map(|units| match units.len() {
        0 => "none".to_owned(),
        _ => units.iter().map(|unit| unit.unit.as_str()).collect::<Vec<_>>().join(", "),
    });
    line("Failed units", &or_unknown(&failed));
    for entry in status.entries.iter().flatten() {
        out += &entry_text(entry);
    }
    for warning in &status.warnings {
        out += &format!("Warning: {warning}\n");
    }
    out
}

fn health(status: &Status) -> String {
    match (status.boot_complete, &status.health_failure) {
        (BootComplete::Passed, _) => "all checks passed".to_owned(),
        (BootComplete::Waiting, _) => "still starting".to_owned(),
        (BootComplete::Failed, Some(reason)) => format!("DEGRADED: {reason}"),
        (BootComplete::Failed, None) => "DEGRADED".to_owned(),
    }
}

fn entry_text(entry: &EntryStatus) -> String {
    let state = match entry.verdict {
        Verdict::Blessed => "blessed",
        Verdict::OnTrial => "on trial",
        Verdict::Withdrawn => "put last by an operator",
        Verdict::Failed => "FAILED, not taken again by itself",
        Verdict::CutOff => "its last try was cut off, no check failed",
    };
    let here = if entry.current { ", this boot" } else { "" };
    let mut out = format!("Entry {}: {state}{here}\n", entry.file);
    for record in &entry.tries {
        let reason = if record.reason.is_empty() { "cut off" } else { &record.reason };
        out += &format!("  try {}: reached {}: {reason}\n", record.number, record.stage.name());
    }
    for failure in &entry.failures.reasons {
        out += &format!("  failure in a row: {}\n", failure.reason);
    }
    out
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min {} s", seconds % 60),
        (0, _) => format!("{hours} h {minutes} min"),
        (_, _) => format!("{days} d {hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::collect;
    use super::*;
    use crate::status::Unit;
    use expect_test::expect;

    fn fallen_back() -> Status {
        let mut status = collect::collect(&collect::tests::fallen_back().host).unwrap();
        // What other programs say differs between the machines that run this test.
        status.verity = Verity::Verified;
        status.failed_units = Some(Vec::new());
        status.warnings.truncate(1);
        status
    }

    #[test]
    fn a_machine_that_fell_back_says_why() {
        expect![[r#"
                  Version: 1.0.0
                Root hash: abcd
                     Slot: B (/dev/vdb4, usr_2.0.0)
               Boot entry: slipway_1.0.0.efi (blessed)
                       Up: 1 min 33 s
                   Health: all checks passed
                     /usr: verified
             Failed units: none
            Entry slipway_1.0.0.efi: blessed, this boot
            Entry slipway_2.0.0+0-2.efi: FAILED, not taken again by itself
              try 1: reached root: cut off
              try 2: reached health-failed: docker: no answer
            Warning: INSECURE development keys are trusted for updates: dev.pub
        "#]]
        .assert_eq(&text(&fallen_back()));
    }

    #[test]
    fn the_json_document_has_the_documented_shape() {
        let mut status = fallen_back();
        status.failed_units = Some(vec![Unit { unit: "a.service".to_owned(), description: "A".to_owned() }]);
        expect![[r#"
            {
              "format": 1,
              "version": "1.0.0",
              "root_hash": "abcd",
              "slot": {
                "name": "B",
                "device": "/dev/vdb4",
                "label": "usr_2.0.0"
              },
              "boot": {
                "entry": "slipway_1.0.0.efi",
                "counted": false,
                "number": 0,
                "tries_left": null,
                "blessed": true
              },
              "uptime_seconds": 93,
              "boot_complete": "passed",
              "health_failure": null,
              "verity": "verified",
              "failed_units": [
                {
                  "unit": "a.service",
                  "description": "A"
                }
              ],
              "entries": [
                {
                  "file": "slipway_1.0.0.efi",
                  "version": "1.0.0",
                  "current": true,
                  "verdict": "blessed",
                  "tries_left": null,
                  "tries_done": null,
                  "tries": [],
                  "failures": {
                    "count": 0,
                    "reasons": []
                  }
                },
                {
                  "file": "slipway_2.0.0+0-2.efi",
                  "version": "2.0.0",
                  "current": false,
                  "verdict": "failed",
                  "tries_left": 0,
                  "tries_done": 2,
                  "tries": [
                    {
                      "try": 1,
                      "stage": "root",
                      "reason": "",
                      "time": 1000
                    },
                    {
                      "try": 2,
                      "stage": "health-failed",
                      "reason": "docker: no answer",
                      "time": 1000
                    }
                  ],
                  "failures": {
                    "count": 0,
                    "reasons": []
                  }
                }
              ],
              "warnings": [
                "INSECURE development keys are trusted for updates: dev.pub"
              ]
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&status).unwrap());
    }

    #[test]
    fn uptimes_are_short() {
        assert_eq!(uptime(59), "0 min 59 s");
        assert_eq!(uptime(3_700), "1 h 1 min");
        assert_eq!(uptime(200_000), "2 d 7 h 33 min");
    }
}
