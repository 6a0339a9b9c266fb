//! `cargo xtask publish`: the folder that any static web server serves: payloads, and the signed channel file
//! that offers one of them.

mod wave;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};
use payload::channel::Channel;
use payload::{ENVELOPE_MAX, Envelope, Kind, Trust, seal};

use crate::command::report;
use crate::ctx::Ctx;
use crate::keys::Keys;
use crate::log::{Cancel, Log};
use crate::manifest::Manifest;
use crate::payload_file::{self, Head};
use crate::{durable, flags, hash};

const DAY_SECS: u64 = 24 * 3600;

/// Publishes, and says what is on offer.
pub fn run(ctx: &Ctx, args: &flags::Publish) -> anyhow::Result<()> {
    let keys = Keys::read(ctx, args.keys.as_deref())?;
    let channel = put_on_offer(ctx, args, &keys)?;
    ctx.log.line(&format!(
        "channel {} offers {} {}, sequence {}, for {} days",
        channel.channel, channel.product, channel.version, channel.sequence, args.expires_days
    ));
    ctx.log.line(&format!("  payload  {}", channel.locations.join(", ")));
    if keys.insecure() {
        ctx.log.warn("INSECURE: signed with the committed development key; use `--keys DIR` for use");
    }
    Ok(())
}

/// Checks the payload, puts it in place, then the channel file that offers it, which is returned.
pub fn put_on_offer(ctx: &Ctx, args: &flags::Publish, keys: &Keys) -> anyhow::Result<Channel> {
    let payload = match &args.payload {
        Some(path) => path.clone(),
        None => newest(&ctx.target.join("image"))?,
    };
    publish(args, keys, &payload, now()?, &ctx.log, &ctx.cancel)
}

/// Publishes at the time `now`, in seconds since 1970, and returns what the channel offers.
fn publish(
    args: &flags::Publish,
    keys: &Keys,
    payload: &Path,
    now: u64,
    log: &Log,
    cancel: &Cancel,
) -> anyhow::Result<Channel> {
    ensure!(
        !keys.signing.is_empty(),
        "the keys' folder has no secret key (*.key) that is not retired: nothing could sign the channel file"
    );
    let (head, _) = payload_file::verify(payload, &keys.trust(), cancel)?;
    let name = format!("{}_{}.payload", head.manifest.product, head.version);
    let (payloads, channels) = (args.to.join("payloads"), args.to.join("channels"));
    for dir in [&payloads, &channels] {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    let path = channels.join(format!("{}.channel", args.channel));
    let mut offer = offer(args, &head, &name, now)?;
    // Two at once would take the same sequence; held until this one has ended.
    let lock = channels.join(".lock");
    let lock = File::create(&lock).with_context(|| format!("creating {}", lock.display()))?;
    lock.lock().context("waiting for another `publish` to end")?;
    let published = published(&path, &args.channel, &keys.trust(), log)?;
    if let Some(published) = &published {
        compare(args, &offer, published)?;
    }
    let next = published.map_or(Some(1), |published| published.sequence.checked_add(1));
    offer.sequence =
        args.sequence.or(next).context("the published sequence is the last that there can be")?;
    offer.check().context("making the channel file")?;
    let file = seal(Kind::Channel, &offer.to_json(), &keys.signing())?;
    put(payload, &payloads.join(&name))?;
    sync_dir(&payloads)?;
    // The channel file comes last: what it offers is there.
    durable::write(&path, &file)?;
    sync_dir(&channels)?;
    Ok(offer)
}

fn offer(args: &flags::Publish, head: &Head, name: &str, now: u64) -> anyhow::Result<Channel> {
    let place = |url: &String| if url.ends_with('/') { format!("{url}{name}") } else { url.clone() };
    let locations = match args.url.as_slice() {
        [] => vec![format!("../payloads/{name}")],
        urls => urls.iter().map(place).collect(),
    };
    let offer = Channel {
        product: head.manifest.product.clone(),
        channel: args.channel.clone(),
        version: head.version.to_string(),
        sequence: 1,
        issued: now,
        expires: now.saturating_add(args.expires_days.saturating_mul(DAY_SECS)),
        locations,
        manifest_sha256: head.digest,
        payload_len: head.manifest.layout.total(),
        waves: args.wave.iter().map(|text| wave::parse(text)).collect::<anyhow::Result<_>>()?,
    };
    // Before anything is written: the channel's name becomes that of a file.
    offer.check().context("making the channel file")?;
    Ok(offer)
}

/// Reads what the channel offers now; `None` when it offers nothing yet.
pub fn published(path: &Path, name: &str, trust: &Trust, log: &Log) -> anyhow::Result<Option<Channel>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err).with_context(|| format!("opening {}", path.display())),
    };
    let mut bytes = vec![];
    let read = file.take(ENVELOPE_MAX + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("reading {}", path.display()))?;
    let envelope =
        Envelope::parse(Kind::Channel, &bytes).with_context(|| format!("reading {}", path.display()))?;
    if let Err(err) = trust.verify(&envelope) {
        // So it is after its key was retired: sequence and version count all the same.
        log.warn(&format!("the published file is not believed: {err}"));
    }
    let channel = Channel::parse(envelope.body).with_context(|| format!("reading {}", path.display()))?;
    ensure!(channel.channel == name, "{} is a file of channel `{}`", path.display(), channel.channel);
    Ok(Some(channel))
}

/// Refuses what machines would refuse, or what would surprise them.
fn compare(args: &flags::Publish, offer: &Channel, published: &Channel) -> anyhow::Result<()> {
    ensure!(
        offer.product == published.product,
        "the channel is one of `{}`, the payload one of `{}`",
        published.product,
        offer.product
    );
    if let Some(sequence) = args.sequence.filter(|sequence| *sequence <= published.sequence) {
        bail!(
            "--sequence {sequence}: the published file has {}, and machines refuse a lower one",
            published.sequence
        );
    }
    ensure!(
        published.issued <= offer.issued,
        "the published file was issued {} seconds ahead of this machine's clock: set the clock",
        published.issued - offer.issued
    );
    let (new, old): (slots::Version, slots::Version) = (offer.version.parse()?, published.version.parse()?);
    ensure!(
        old <= new || args.allow_older,
        "{new} is older than {old}, which the channel offers: machines that run {old} refuse it and stay, the \
         others take it instead of {old}; say --allow-older if that is meant"
    );
    ensure!(
        old != new || offer.manifest_sha256 == published.manifest_sha256,
        "{new} is on offer already, with another content: a version is published once, build a newer one"
    );
    Ok(())
}

/// Puts the payload in place unless the same bytes are there.
fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !to.try_exists().with_context(|| format!("reading {}", to.display()))? {
        return durable::link_or_copy(from, to);
    }
    ensure!(
        hash::of_file(from)? == hash::of_file(to)?,
        "{} is there already and differs: a version is published once, build a newer one",
        to.display()
    );
    Ok(())
}

fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("syncing {}", dir.display()))
}

/// The payload of the newest build in a folder.
fn newest(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = report::newest(dir)?;
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
    let payload = manifest.artifacts.get("payload").with_context(|| {
        format!("{} names no payload: build with `--keys DIR` that holds a secret key", path.display())
    })?;
    Ok(path.with_file_name(&payload.file))
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a channel file is not part of an image: machines judge by its time of issue whether it is fresh"
)]
fn now() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(since.context("the clock is before 1970: set it")?.as_secs())
}
