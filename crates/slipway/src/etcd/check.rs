//! `slipway etcd check`: fails while etcd has an alarm, or is about to have one.
//!
//! etcd that has used up its quota refuses every write until somebody acts, and says so only to who asks.

use anyhow::{Context, bail};
use serde::Deserialize;

use super::settings::Settings;
use super::{PAGE, ctl};

/// Share of the quota from which on it is told, in percent.
const FULL_PERCENT: u64 = 80;
const NOSPACE: u32 = 1;
const CORRUPT: u32 = 2;

#[derive(Deserialize)]
struct Alarms {
    #[serde(default)]
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Alarm {
    #[serde(rename = "memberID", default)]
    member: u64,
    #[serde(default)]
    alarm: u32,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Status")]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    db_size: u64,
}

/// Asks the running member.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let (alarms, status) = (ctl::alarms(settings)?, ctl::status(settings)?);
    let troubles = troubles(&alarms, &status, settings.quota)?;
    if !troubles.is_empty() {
        bail!("{}: {PAGE}, `Alarms`", troubles.join("; "));
    }
    Ok(())
}

/// What is wrong, from the JSON of `etcdctl`.
fn troubles(alarms: &str, status: &str, quota: u64) -> anyhow::Result<Vec<String>> {
    let alarms: Alarms = serde_json::from_str(alarms).context("parsing the list of alarms")?;
    let endpoints: Vec<Endpoint> = serde_json::from_str(status).context("parsing the status of etcd")?;
    let mut found: Vec<String> = alarms
        .alarms
        .iter()
        .map(|Alarm { member, alarm }| match *alarm {
            NOSPACE => format!("member {member:x} has used up its quota (NOSPACE), etcd refuses writes"),
            CORRUPT => format!("the data of member {member:x} differs from the others' (CORRUPT)"),
            other => format!("member {member:x} has alarm {other}"),
        })
        .collect();
    let used = endpoints.iter().map(|endpoint| endpoint.status.db_size).max().unwrap_or_default();
    if found.is_empty() && quota.saturating_mul(FULL_PERCENT) <= used.saturating_mul(100) {
        found.push(format!("the database has {used} of {quota} bytes, and at the limit etcd refuses writes"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = r#"{"header":{"revision":1}}"#;

    fn status(used: u64) -> String {
        format!(r#"[{{"Endpoint":"http://127.0.0.1:2379","Status":{{"version":"3.5.16","dbSize":{used}}}}}]"#)
    }

    #[test]
    fn a_database_far_from_its_limit_is_fine() {
        assert_eq!(troubles(NONE, &status(79), 100).unwrap(), [""; 0]);
    }

    #[test]
    fn a_database_near_its_limit_is_told() {
        let found = troubles(NONE, &status(80), 100).unwrap();
        assert_eq!(found, ["the database has 80 of 100 bytes, and at the limit etcd refuses writes"]);
    }

    #[test]
    fn alarms_are_told_with_their_members() {
        let alarms = r#"{"header":{},"alarms":[{"memberID":13668033151171901709,"alarm":1},{"memberID":7,"alarm":2}]}"#;
        let found = troubles(alarms, &status(100), 100).unwrap();
        assert_eq!(
            found,
            [
                "member bdae9bbc11dd390d has used up its quota (NOSPACE), etcd refuses writes",
                "the data of member 7 differs from the others' (CORRUPT)",
            ]
        );
    }

    #[test]
    fn what_is_no_answer_is_no_good_news() {
        assert!(troubles("", &status(1), 100).is_err());
        assert!(troubles(NONE, "{}", 100).is_err());
    }
}
