//! `cargo xtask payload`: shows what a payload says of itself, and checks every byte of it.

use std::path::Path;

use anyhow::Context as _;
use payload::{Envelope, Kind};
use serde_json::json;

use crate::ctx::Ctx;
use crate::flags;
use crate::keyed::human;
use crate::keys::Keys;
use crate::payload_file::{self, Head};

/// Runs one of the commands.
pub fn run(ctx: &Ctx, args: &flags::Payload) -> anyhow::Result<()> {
    match &args.command {
        flags::PayloadCommand::Inspect { file, json } => {
            let head = payload_file::inspect(file)?;
            print!("{}", if *json { as_json(&head)? } else { as_text(&head) });
        }
        flags::PayloadCommand::Verify { file, keys } => {
            let keys = Keys::read(ctx, keys.as_deref())?;
            print!("{}", verify(ctx, file, &keys)?);
        }
    }
    Ok(())
}

/// Checks a file and says who vouches for it.
fn verify(ctx: &Ctx, file: &Path, keys: &Keys) -> anyhow::Result<String> {
    let (head, trusted) = payload_file::verify(file, &keys.trust(), &ctx.cancel)?;
    let len = human(head.manifest.layout.total());
    let Head { version, manifest, .. } = &head;
    let mut text = format!("good: {} {version}, {len}, every byte verified\n", manifest.product);
    for id in trusted {
        text.push_str(&format!("  signed by {id}, trusted\n"));
    }
    if keys.insecure() {
        text.push_str("  INSECURE: the development key is among the trusted ones, and everybody has it\n");
    }
    Ok(text)
}

fn as_text(head: &Head) -> String {
    let manifest = &head.manifest;
    let layout = &manifest.layout;
    let mut text = format!("{} {}, {}\n", manifest.product, head.version, manifest.architecture.name());
    text.push_str(&format!("  may be taken by   {} and later\n", head.min_from));
    text.push_str(&format!("  root hash         {}\n", manifest.root_hash));
    text.push_str(&format!("  manifest SHA-256  {}\n", head.digest));
    text.push_str(&format!("  build time        {} s since 1970\n", manifest.build_time));
    for id in &head.signers {
        text.push_str(&format!("  signed by         {id} (not checked)\n"));
    }
    text.push_str("  section            first byte        length\n");
    for (name, extent) in [
        ("uki_blocks", layout.uki_blocks),
        ("uki", layout.uki),
        ("loader", layout.loader),
        ("tree_blocks", layout.tree_blocks),
        ("tree", layout.tree),
        ("usr", layout.usr),
    ] {
        text.push_str(&format!("  {name:<12} {:>16} {:>13}\n", extent.offset, extent.len));
    }
    text.push_str(&format!("  {:<12} {:>16} {:>13}\n", "(end)", layout.total(), ""));
    text
}

fn as_json(head: &Head) -> anyhow::Result<String> {
    let envelope = Envelope::parse(Kind::Payload, &head.bytes)?;
    let manifest: serde_json::Value =
        serde_json::from_slice(envelope.body).context("reading the payload manifest")?;
    let signers: Vec<_> = head.signers.iter().map(ToString::to_string).collect();
    let value = json!({
        "manifest": manifest,
        "manifest_sha256": head.digest.to_string(),
        "envelope_length": head.bytes.len(),
        "signed_by": signers,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_file::made::Made;

    #[test]
    fn shows_the_head_as_text_and_json() {
        let dir = tempfile::tempdir().unwrap();
        let path = Made::new("0.2.0").write(dir.path());
        let head = payload_file::inspect(&path).unwrap();
        let text = as_text(&head);
        assert!(text.starts_with("slipway 0.2.0, x86-64\n"), "{text}");
        assert!(text.contains("0.1.0 and later"), "{text}");
        assert!(text.contains(&head.signers[0].to_string()), "{text}");
        let value: serde_json::Value = serde_json::from_str(&as_json(&head).unwrap()).unwrap();
        assert_eq!(value["manifest"]["version"], "0.2.0");
        assert_eq!(value["signed_by"][0], head.signers[0].to_string());
        assert_eq!(value["manifest_sha256"], head.digest.to_string());
    }
}
