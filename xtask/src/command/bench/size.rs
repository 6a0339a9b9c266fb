//! Lengths of `/usr` and the UKI, with everything and without the optional groups, against their budgets.

use anyhow::Context as _;

use super::{Figure, dir, mebibytes};
use crate::command::report;
use crate::command::test::Judged;
use crate::ctx::Ctx;
use crate::definition::Definition;
use crate::flags;
use crate::pipeline;

/// Builds both variants (kept stages are used) and measures them.
pub fn measure(ctx: &Ctx, args: &flags::Bench) -> anyhow::Result<Vec<Figure>> {
    let definition = Definition::read(&ctx.image_dir().join("image.yaml"))?;
    let optional: Vec<String> = definition.optional_groups().into_iter().map(str::to_owned).collect();
    let mut figures = Vec::new();
    for (name, without, folder) in [("full", Vec::new(), "full"), ("bare", optional, "bare")] {
        let out = dir(ctx).join(folder);
        let build = flags::BuildImage {
            out: Some(out.clone()),
            without,
            inputs: args.inputs.clone(),
            ..flags::BuildImage::default()
        };
        pipeline::build(ctx, &build).with_context(|| format!("building the {name} image"))?;
        let manifest = Judged::read(&out, None)?.manifest;
        for (role, limit) in report::budgets(&definition, &manifest) {
            let artifact = manifest.artifacts.get(&role).with_context(|| format!("no artifact `{role}`"))?;
            let name = format!("{} ({name})", if role == "usr" { "usr.erofs" } else { "UKI" });
            figures.push(Figure::new(&name, mebibytes(artifact.size), "MiB").at_most(mebibytes(limit)));
        }
    }
    Ok(figures)
}
