//! `cargo xtask build-image`: runs the pipeline and says what it made.

use anyhow::Context as _;

use crate::ctx::Ctx;
use crate::flags;
use crate::keyed::human;
use crate::pipeline;

/// Builds the image.
pub fn run(ctx: &Ctx, args: &flags::BuildImage) -> anyhow::Result<()> {
    let built = pipeline::build(ctx, args)?;
    let raw = &built.output.raw;
    let len = std::fs::metadata(raw).with_context(|| format!("reading {}", raw.display()))?.len();
    ctx.log.line(&format!("made {} {} in {}", "Slipway", built.version, built.out.display()));
    ctx.log.line(&format!("  disk image  {} ({})", raw.display(), human(len)));
    if let Some(payload) = &built.output.payload {
        ctx.log.line(&format!("  payload     {}", payload.display()));
    }
    ctx.log.line(&format!("  manifest    {}", built.output.manifest.display()));
    if built.insecure_keys {
        ctx.log.warn(
            "INSECURE: the image trusts the committed development key; build with `--keys DIR` for use",
        );
    }
    ctx.log.line("next: `cargo xtask run` boots it");
    Ok(())
}
