//! What machines take: the payload, and the channel file that offers it.

use anyhow::Context as _;
use payload::channel::Channel;
use payload::{Envelope, Kind};

use super::Release;
use crate::ctx::Ctx;
use crate::payload_file::{self, Head};
use crate::release;
use crate::release::provenance::Statement;

/// Checks every byte of the payload, and that it is one of this image.
pub fn payload(ctx: &Ctx, release: &Release) -> anyhow::Result<Head> {
    let path = release.file(&release.names.payload())?;
    let (head, _) = payload_file::verify(&path, &release.trust, &ctx.cancel)?;
    let (manifest, inner) = (&release.manifest, &head.manifest);
    let rows = [
        ("product", inner.product.clone(), manifest.product.clone()),
        ("version", inner.version.clone(), manifest.version.clone()),
        ("root hash", inner.root_hash.to_string(), manifest.root_hash.clone()),
        ("kernel image", inner.uki_sha256.to_string(), release.artifact("uki")?.sha256.clone()),
    ];
    for (what, found, expected) in rows {
        anyhow::ensure!(
            found == expected,
            "{}: {what} is {found}, the manifest says {expected}",
            path.display()
        );
    }
    Ok(head)
}

/// Checks that the channel file offers that payload, at a place in the release.
pub fn channel(ctx: &Ctx, release: &Release) -> anyhow::Result<()> {
    let head = payload(ctx, release)?;
    let statement = Statement::parse(&release.read(&release.names.provenance())?)?;
    let name = release::channel_file(statement.channel());
    let bytes = release.read(&name)?;
    let envelope = Envelope::parse(Kind::Channel, &bytes).with_context(|| name.clone())?;
    anyhow::ensure!(envelope.len == bytes.len(), "{name}: something follows the signatures");
    release.trust.verify(&envelope).with_context(|| name.clone())?;
    let channel = Channel::parse(envelope.body).with_context(|| name.clone())?;
    let payload = release.names.payload();
    let beside = payload.strip_prefix(&format!("{}/", release::UPDATE_DIR)).unwrap_or(&payload);
    let rows = [
        ("channel", channel.channel.clone(), statement.channel().to_owned()),
        ("product", channel.product.clone(), release.manifest.product.clone()),
        ("version", channel.version.clone(), release.manifest.version.clone()),
        ("payload", channel.manifest_sha256.to_string(), head.digest.to_string()),
        ("length", channel.payload_len.to_string(), head.manifest.layout.total().to_string()),
        ("place", channel.locations.join(", "), format!("../{beside}")),
    ];
    for (what, found, expected) in rows {
        anyhow::ensure!(found == expected, "{name}: {what} is {found}, expected {expected}");
    }
    Ok(())
}
