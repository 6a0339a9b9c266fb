//! How this program itself is set: `cloudinit.conf` and its drop-ins, as `agent_support::dropins` reads them.

use std::time::Duration;

use agent_support::dropins;
use agent_support::host::Host;
use http_get::Url;

/// Where GitHub answers.
pub const GITHUB: &str = "https://api.github.com";
/// Longest time that may be set.
const SECONDS_MAX: u64 = 600;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `GITHUB_API`: what stands in the place of GitHub for imports of keys, without a slash at its end.
    pub github: String,
    /// `IMPORT_SECONDS`: for all imports of a run.
    pub imports: Duration,
    /// `SOURCE_SECONDS`: for a source on the network.
    pub source: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let (imports, source) = (Duration::from_secs(60), Duration::from_secs(120));
        Self { github: GITHUB.to_owned(), imports, source }
    }
}

/// Reads the settings of a machine, and what is wrong with them: a typing error there must not keep a machine
/// from its configuration.
pub fn read(host: &Host) -> (Settings, Vec<String>) {
    let mut settings = Settings::default();
    let found = match dropins::read(host, "cloudinit") {
        Ok(found) => found,
        Err(err) => return (settings, vec![format!("{err:#}")]),
    };
    let mut wrong = Vec::new();
    for (key, dropins::Setting { value, at }) in found.iter() {
        let seconds = value.parse().ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
        match (key.as_str(), seconds.map(Duration::from_secs)) {
            ("GITHUB_API", _) => match Url::parse(value) {
                Ok(_) => settings.github = value.trim_end_matches('/').to_owned(),
                Err(err) => wrong.push(format!("{at}: {key}: {err}")),
            },
            ("IMPORT_SECONDS", Some(time)) => settings.imports = time,
            ("SOURCE_SECONDS", Some(time)) => settings.source = time,
            ("IMPORT_SECONDS" | "SOURCE_SECONDS", None) => {
                wrong.push(format!("{at}: {key}: `{value}` is no number from 1 to {SECONDS_MAX}"));
            }
            _ => wrong.push(format!("{at}: there is no setting {key}")),
        }
    }
    (settings, wrong)
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;

    use super::*;

    #[test]
    fn what_is_right_counts_and_what_is_wrong_is_told() {
        let tree = Tree::new();
        assert_eq!(read(&tree.host), (Settings::default(), Vec::new()));
        tree.file(
            "/etc/slipway/cloudinit.conf",
            "GITHUB_API=http://mirror.example/github/\nIMPORT_SECONDS=5\n",
        );
        tree.file("/etc/slipway/cloudinit.conf.d/a.conf", "SOURCE_SECONDS=0\nGITHUB=x\n");
        let (settings, wrong) = read(&tree.host);
        assert_eq!(
            (settings.github.as_str(), settings.imports.as_secs()),
            ("http://mirror.example/github", 5)
        );
        assert_eq!(settings.source, Settings::default().source);
        let place = "/etc/slipway/cloudinit.conf.d/a.conf";
        let expected = [
            format!("{place}:2: there is no setting GITHUB"),
            format!("{place}:1: SOURCE_SECONDS: `0` is no number from 1 to 600"),
        ];
        assert_eq!(wrong, expected);
    }
}
