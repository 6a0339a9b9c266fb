//! Settings of the agent: what the drop-ins say, and what it means.

use std::time::Duration;

use agent_support::dropins::{self, Setting};
use agent_support::host::Host;
use anyhow::Context;

/// The keys, in the order of the documentation.
const KEYS: [&str; 4] = ["SERVER", "GROUP", "REBOOT_STRATEGY", "POLL_INTERVAL"];

const STRATEGIES: &str = "reboot, etcd-lock, best-effort or off";

const DEFAULT_CHANNEL: &str = "stable";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(45 * 60);
const INTERVAL_MIN: Duration = Duration::from_secs(10);
const INTERVAL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What becomes of a version that waits for a reboot. locksmithd does it; this agent only shows the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The machine reboots by itself.
    Reboot,
    /// It asks the machines of its group first.
    EtcdLock,
    /// It asks them where there is an etcd to ask by, and reboots by itself elsewhere.
    BestEffort,
    /// Somebody else decides.
    Off,
}

/// The settings of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the channel files are, without a slash at the end; `None`: the agent never checks by itself.
    pub server: Option<String>,
    /// Name of the channel.
    pub channel: String,
    /// What becomes of a version that waits for a reboot.
    pub strategy: Strategy,
    /// Time between two checks.
    pub interval: Duration,
}

impl Settings {
    /// Returns the URL of the channel file, if there is a server.
    pub fn channel_url(&self) -> Option<String> {
        self.server.as_ref().map(|server| format!("{server}/channels/{}.channel", self.channel))
    }
}

impl Strategy {
    /// Returns the word of the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::EtcdLock => "etcd-lock",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }
}

/// Reads the settings. The second value has a line for each key that nobody knows.
pub fn load(host: &Host) -> anyhow::Result<(Settings, Vec<String>)> {
    let merged = dropins::read(host, "update").context("reading the settings")?;
    let unknown = merged.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()));
    let warning = |(key, setting): (&String, &Setting)| {
        format!("{}: unknown key `{key}`; known are {}", setting.at, KEYS.join(", "))
    };
    let warnings = unknown.map(warning).collect();
    let interval = "10s to 7d, as in 45min or 4h";
    let settings = Settings {
        server: value(&merged, "SERVER", "an http:// or https:// URL without `?`", server)?,
        channel: value(&merged, "GROUP", "the name of a channel: 1 to 32 of a-z, 0-9 and `-`", channel)?
            .unwrap_or_else(|| DEFAULT_CHANNEL.to_owned()),
        strategy: value(&merged, "REBOOT_STRATEGY", STRATEGIES, strategy)?.unwrap_or(Strategy::Reboot),
        interval: value(&merged, "POLL_INTERVAL", interval, self::interval)?.unwrap_or(DEFAULT_INTERVAL),
    };
    Ok((settings, warnings))
}

/// Returns what a key is set to; an error says where, and what the key takes.
fn value<T>(
    merged: &dropins::Settings,
    key: &str,
    remedy: &str,
    read: fn(&str) -> Option<T>,
) -> anyhow::Result<Option<T>> {
    let Some(Setting { value, at }) = merged.get(key) else { return Ok(None) };
    read(value).map(Some).with_context(|| format!("{at}: {key} is `{value}`: use {remedy}"))
}

fn server(value: &str) -> Option<String> {
    let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"))?;
    let is_plain = value.bytes().all(|byte| byte.is_ascii_graphic()) && !value.contains(['#', '?']);
    let has_host = !rest.is_empty() && !rest.starts_with('/');
    (is_plain && has_host).then(|| value.trim_end_matches('/').to_owned())
}

fn channel(value: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    ((1..=32).contains(&value.len()) && value.bytes().all(is_allowed)).then(|| value.to_owned())
}

fn strategy(value: &str) -> Option<Strategy> {
    // What YAML makes of a bare `off`.
    let value = if value == "false" { "off" } else { value };
    [Strategy::Reboot, Strategy::EtcdLock, Strategy::BestEffort, Strategy::Off]
        .into_iter()
        .find(|strategy| strategy.name() == value)
}

/// Reads seconds, or a number with one of the units of systemd.time(7) that make sense here.
fn interval(value: &str) -> Option<Duration> {
    let n_digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(n_digits);
    let factor = match unit.trim() {
        "" | "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" | "hr" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let secs = number.parse::<u64>().ok()?.checked_mul(factor)?;
    let interval = Duration::from_secs(secs);
    (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval).then_some(interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;

    #[test]
    fn without_files_the_agent_never_checks_by_itself() {
        let (settings, warnings) = load(&Tree::new().host).unwrap();
        assert_eq!((settings.channel_url(), warnings), (None, Vec::<String>::new()));
        assert_eq!((settings.channel.as_str(), settings.strategy), ("stable", Strategy::Reboot));
        assert_eq!(settings.interval, Duration::from_secs(2700));
    }

    #[test]
    fn the_administrator_overrides_key_by_key_and_takes_back() {
        let tree = Tree::new();
        tree.file("/usr/lib/slipway/update.conf.d/50-a.conf", "SERVER=http://a/x/\nGROUP=beta\n")
            .file("/etc/slipway/update.conf", "GROUP=alpha\nPOLL_INTERVAL=4h\n")
            .file("/etc/slipway/update.conf.d/9.conf", "# off\nREBOOT_STRATEGY=off\nTYPO=1\n");
        let (settings, warnings) = load(&tree.host).unwrap();
        assert_eq!(settings.channel_url().as_deref(), Some("http://a/x/channels/alpha.channel"));
        assert_eq!((settings.strategy, settings.interval), (Strategy::Off, Duration::from_secs(14400)));
        let expected = "/etc/slipway/update.conf.d/9.conf:3: unknown key `TYPO`; known are SERVER, GROUP, \
                        REBOOT_STRATEGY, POLL_INTERVAL";
        assert_eq!(warnings, [expected]);
        tree.file("/etc/slipway/update.conf", "SERVER=\n");
        assert_eq!(load(&tree.host).unwrap().0.server, None);
    }

    #[track_caller]
    fn check_wrong(line: &str, remedy: &str) {
        let tree = Tree::new();
        tree.file("/etc/slipway/update.conf", format!("# a\n{line}\n"));
        let err = format!("{:#}", load(&tree.host).unwrap_err());
        let (key, value) = line.split_once('=').unwrap();
        assert_eq!(err, format!("/etc/slipway/update.conf:2: {key} is `{value}`: use {remedy}"));
    }

    #[test]
    fn a_wrong_value_names_file_line_key_and_remedy() {
        let url = "an http:// or https:// URL without `?`";
        for wrong in ["u.example", "ftp://u", "http://", "https:///x", "http://a b", "http://a?x", "HTTP://a"]
        {
            check_wrong(&format!("SERVER={wrong}"), url);
        }
        check_wrong("GROUP=Stable", "the name of a channel: 1 to 32 of a-z, 0-9 and `-`");
        for wrong in ["lock", "Off", "true"] {
            check_wrong(&format!("REBOOT_STRATEGY={wrong}"), "reboot, etcd-lock, best-effort or off");
        }
        for wrong in ["9", "8d", "5 weeks", "-1", "1.5h", "min", "99999999999999999999h", "10ss"] {
            check_wrong(&format!("POLL_INTERVAL={wrong}"), "10s to 7d, as in 45min or 4h");
        }
    }

    #[test]
    fn every_strategy_is_read_and_shown_by_its_word() {
        for word in ["reboot", "etcd-lock", "best-effort", "off"] {
            assert_eq!(strategy(word).map(Strategy::name), Some(word));
        }
        assert_eq!(strategy("false"), Some(Strategy::Off));
    }

    #[test]
    fn intervals_have_units() {
        let secs = |value| interval(value).map(|interval| interval.as_secs());
        assert_eq!(
            [secs("10"), secs("45min"), secs("4h"), secs("7d")],
            [10, 2700, 14_400, 604_800].map(Some)
        );
    }
}
