//! `cargo xtask cluster apply`: offers the machines a newer version in the cluster's own channel.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use slots::Version;

use super::config::CHANNEL;
use super::offer;
use super::place::Place;
use super::plan::Plan;
use super::state::State;
use crate::command::publish;
use crate::command::test::{Judged, next_version};
use crate::ctx::Ctx;
use crate::keys::Keys;
use crate::{flags, pipeline};

/// Where the version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// The newest build.
    Newest,
    /// It is built now.
    Build(Version),
}

/// Publishes a version that the machines do not have.
pub fn run(ctx: &Ctx, place: &Place, args: &flags::ClusterApply) -> anyhow::Result<()> {
    let state = State::of_running(place)?;
    let plan = Plan::read(&place.plan())?;
    let (newest, payload) = newest(&plan)?;
    let had = had(ctx, place, &plan, &state)?;
    let payload = match (choose(&newest, &had, args.version.as_ref())?, payload) {
        (Choice::Newest, Some(payload)) if args.overlay.is_empty() => payload,
        // A build without a payload is of keys that do not sign; with the cluster's keys it is another build, and so it
        // is with more in it.
        (Choice::Newest, _) => build(ctx, place, &plan, args, &newest)?,
        (Choice::Build(version), _) => build(ctx, place, &plan, args, &version)?,
    };
    publish::run(ctx, &offer(place, &plan, payload))?;
    ctx.log.line("machines ask every ten seconds; `cargo xtask cluster status` shows what they run");
    Ok(())
}

/// The newest build and its payload.
fn newest(plan: &Plan) -> anyhow::Result<(Version, Option<PathBuf>)> {
    let built = Judged::read(&plan.image_dir, None)?;
    let version = built.manifest.version.parse().context("reading the newest build's version")?;
    let has_payload = built.manifest.artifacts.contains_key("payload");
    Ok((version, has_payload.then(|| built.artifact("payload")).transpose()?))
}

/// The newest version that the machines were made from or were offered.
fn had(ctx: &Ctx, place: &Place, plan: &Plan, state: &State) -> anyhow::Result<Version> {
    let made: Version = state.version.parse().context("reading the cluster's version")?;
    let keys = Keys::read(ctx, plan.keys.as_deref())?;
    let path = place.updates().join("channels").join(format!("{CHANNEL}.channel"));
    let offered = publish::published(&path, CHANNEL, &keys.trust(), &ctx.log)?;
    let offered = offered.map(|channel| channel.version.parse()).transpose();
    Ok(offered
        .context("reading the offered version")?
        .map_or(made.clone(), |offered: Version| offered.max(made)))
}

/// Which version is offered when the machines had `had`.
fn choose(newest: &Version, had: &Version, wanted: Option<&Version>) -> anyhow::Result<Choice> {
    if let Some(wanted) = wanted {
        ensure!(
            had < wanted,
            "--version {wanted}: the machines have {had} or were offered it, and take newer ones only"
        );
        return Ok(if wanted == newest { Choice::Newest } else { Choice::Build(wanted.clone()) });
    }
    if had < newest {
        return Ok(Choice::Newest);
    }
    let next = next_version(&had.to_string());
    let next = next.with_context(|| format!("{had} has no next version: say which with --version"))?;
    Ok(Choice::Build(next.parse().context("reading the next version")?))
}

/// Builds a version and returns its payload. It goes with the cluster.
fn build(
    ctx: &Ctx,
    place: &Place,
    plan: &Plan,
    args: &flags::ClusterApply,
    version: &Version,
) -> anyhow::Result<PathBuf> {
    ctx.log.line(&format!("building {version}"));
    let build = flags::BuildImage {
        version: Some(version.clone()),
        out: Some(place.dir().join("next")),
        overlay: args.overlay.clone(),
        keys: plan.keys.clone(),
        inputs: args.inputs.clone(),
        ..flags::BuildImage::default()
    };
    let built = pipeline::build(ctx, &build)?;
    built.output.payload.context("the keys of the cluster have no secret one: start it with `--keys DIR`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(newest: &str, had: &str, wanted: Option<&str>) -> Result<String, String> {
        let version = |text: &str| text.parse::<Version>().unwrap();
        let wanted = wanted.map(version);
        match choose(&version(newest), &version(had), wanted.as_ref()) {
            Ok(Choice::Newest) => Ok("newest".to_owned()),
            Ok(Choice::Build(version)) => Ok(version.to_string()),
            Err(err) => Err(err.to_string()),
        }
    }

    #[test]
    fn a_newer_build_is_taken_and_else_the_next_version_built() {
        assert_eq!(check("0.1.1", "0.1.0", None).unwrap(), "newest");
        assert_eq!(check("0.1.0", "0.1.0", None).unwrap(), "0.1.1");
        assert_eq!(check("0.1.0", "0.1.4", None).unwrap(), "0.1.5");
        assert_eq!(check("0.1.0~rc.1", "0.1.0~rc.1", None).unwrap(), "0.1.1");
    }

    #[test]
    fn a_wanted_version_must_be_newer_than_what_the_machines_had() {
        assert_eq!(check("0.1.1", "0.1.0", Some("0.1.1")).unwrap(), "newest");
        assert_eq!(check("0.1.1", "0.1.0", Some("2.0.0")).unwrap(), "2.0.0");
        for wanted in ["0.1.0", "0.0.9"] {
            assert_eq!(
                check("0.1.1", "0.1.0", Some(wanted)).unwrap_err(),
                format!(
                    "--version {wanted}: the machines have 0.1.0 or were offered it, and take newer ones only"
                )
            );
        }
    }
}
