//! `slipway-update status`: what is going on, what is known, what failed.

use agent_support::host::Host;
use agent_support::sealed;
use serde::Serialize;

use super::Exit;
use super::print::{self, Format};
use crate::state::{self, State};
use crate::status::{self, Op, percent_of};
use crate::{failed, lock, reboot, settings};

const FORMAT: u32 = 1;

/// The document of `--json`; `docs/operating/updates.md` describes it.
#[derive(Debug, Serialize)]
pub struct Document {
    format: u32,
    current_op: String,
    new_version: Option<String>,
    new_size: u64,
    progress: f64,
    reused: u64,
    fetched: u64,
    requests: u64,
    running_version: Option<String>,
    good_version: Option<String>,
    waiting_version: Option<String>,
    server: Option<String>,
    channel: Option<String>,
    reboot_strategy: Option<&'static str>,
    last_check: u64,
    last_error: Option<String>,
    last_update: Option<Update>,
    failed_versions: Vec<FailedVersion>,
    hold: Held,
    retired_keys: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Update {
    version: String,
    payload: u64,
    reused: u64,
    fetched: u64,
    requests: u64,
}

#[derive(Debug, Serialize)]
struct FailedVersion {
    version: String,
    stage: String,
    reason: String,
    time: u64,
    forgiven: bool,
}

#[derive(Debug, Serialize)]
struct Held {
    everything: bool,
    versions: Vec<String>,
}

/// Shows it. What cannot be learned is a warning, never a failure.
pub fn status(host: &Host, format: Format) -> anyhow::Result<Exit> {
    print::value(&collect(host), format, text)?;
    Ok(Exit::Done)
}

/// Collects what can be learned.
pub fn collect(host: &Host) -> Document {
    let mut warnings = Vec::new();
    let settings = match settings::load(host) {
        Ok((settings, unknown)) => {
            warnings.extend(unknown);
            Some(settings)
        }
        Err(err) => {
            warnings.push(format!("{err:#}"));
            None
        }
    };
    let mut state = noted(state::load(host), &mut warnings).unwrap_or_default();
    if let Some(on_esp) = noted(failed::on_esp(host), &mut warnings) {
        for (version, failure) in on_esp {
            state.failed.entry(version).or_insert(failure);
        }
    }
    let waiting = noted(reboot::waiting(host), &mut warnings).flatten();
    let mut status = noted(status::load(host), &mut warnings).unwrap_or_default();
    if !lock::is_working(host) {
        // Whoever wrote that is gone; what is left of it is whether a version waits.
        let op = match &waiting {
            Some(_) => Op::NeedReboot,
            None if status.current_op == Op::Available.name() => Op::Available,
            None => Op::Idle,
        };
        op.name().clone_into(&mut status.current_op);
    }
    let running = noted(sealed::version(host), &mut warnings);
    document(status, state, settings, running, waiting.map(|version| version.to_string()), warnings)
}

fn document(
    status: status::Status,
    state: State,
    settings: Option<settings::Settings>,
    running: Option<String>,
    waiting: Option<String>,
    warnings: Vec<String>,
) -> Document {
    let update = |figures: &state::Figures| Update {
        version: figures.version.to_string(),
        payload: figures.payload,
        reused: figures.reused,
        fetched: figures.fetched,
        requests: figures.requests,
    };
    let failed = state.failed.iter().map(|(version, failure)| FailedVersion {
        version: version.to_string(),
        stage: failure.stage.clone(),
        reason: failure.reason.clone(),
        time: failure.time,
        forgiven: failure.is_forgiven,
    });
    Document {
        format: FORMAT,
        current_op: status.current_op,
        new_version: waiting.clone().or(Some(status.new_version).filter(|version| !version.is_empty())),
        new_size: status.new_size,
        progress: status.progress,
        reused: status.reused,
        fetched: status.fetched,
        requests: status.requests,
        running_version: running,
        good_version: state.good.as_ref().map(ToString::to_string),
        waiting_version: waiting,
        server: settings.as_ref().and_then(|settings| settings.server.clone()),
        reboot_strategy: settings.as_ref().map(|settings| settings.strategy.name()),
        channel: settings.map(|settings| settings.channel),
        last_check: state.last_check,
        last_error: Some(state.last_error).filter(|why| !why.is_empty()),
        last_update: state.figures.as_ref().map(update),
        failed_versions: failed.collect(),
        hold: Held {
            everything: state.hold.everything,
            versions: state.hold.versions.iter().map(ToString::to_string).collect(),
        },
        retired_keys: state.retired.iter().map(ToString::to_string).collect(),
        warnings,
    }
}

/// Shows it to people; the five lines of the original's client come first.
fn text(document: &Document) -> String {
    let none = "-".to_owned();
    let mut out = format!(
        "LAST_CHECKED_TIME={}\nPROGRESS={:.6}\nCURRENT_OP={}\nNEW_VERSION={}\nNEW_SIZE={}\n\n",
        document.last_check,
        document.progress,
        document.current_op,
        document.new_version.as_deref().unwrap_or("0.0.0"),
        document.new_size
    );
    let mut row = |name: &str, value: String| out += &format!("{name:<14}{value}\n");
    row("running", document.running_version.clone().unwrap_or(none.clone()));
    row("waiting", document.waiting_version.clone().unwrap_or(none.clone()));
    let server = document.server.as_deref().unwrap_or("no server: never checks by itself");
    row("channel", format!("{} ({server})", document.channel.as_deref().unwrap_or("unknown")));
    row("reboot", document.reboot_strategy.unwrap_or("unknown").to_owned());
    let checked =
        if document.last_check == 0 { "never".to_owned() } else { print::time(document.last_check) };
    row("last check", checked);
    if let Some(why) = &document.last_error {
        row("last error", why.clone());
    }
    if let Some(update) = &document.last_update {
        row("last update", figures(update));
    }
    if document.current_op == Op::Downloading.name() {
        row("had", print::size(document.reused));
        row("fetched", format!("{} in {} requests", print::size(document.fetched), document.requests));
    }
    match (document.hold.everything, &document.hold.versions[..]) {
        (false, []) => {}
        (true, _) => row("held", "every version".to_owned()),
        (false, versions) => row("held", versions.join(", ")),
    }
    for failed in &document.failed_versions {
        let forgiven = if failed.forgiven { " (allowed again)" } else { "" };
        row("failed", format!("{}{forgiven}: stage {}: {}", failed.version, failed.stage, failed.reason));
    }
    for warning in &document.warnings {
        row("warning", warning.clone());
    }
    out
}

fn figures(update: &Update) -> String {
    let share = |part| format!("{} ({:.1} %)", print::size(part), 100.0 * percent_of(part, update.payload));
    format!(
        "{}: {} had, {} fetched in {} requests, of {}",
        update.version,
        share(update.reused),
        share(update.fetched),
        update.requests,
        print::size(update.payload)
    )
}

/// Returns the value, or makes a warning of the error.
fn noted<T>(res: anyhow::Result<T>, warnings: &mut Vec<String>) -> Option<T> {
    res.map_err(|err| warnings.push(format!("{err:#}"))).ok()
}

#[cfg(test)]
mod tests;
