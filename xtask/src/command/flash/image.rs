//! Where the image comes from, who vouches for it, and its bytes.
//!
//! An image of a release is vouched for by the signed sums beside it, one of a build by the manifest beside it. The
//! latter counts below `target/` alone: what was fetched from elsewhere could bring its own manifest.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ::flash::{Survey, SurveyError, survey};
use anyhow::{Context as _, ensure};
use disk_image::LogicalBlockSize;
use payload::sums::{self, SIGNATURE_FILE, SUMS_FILE, SUMS_MAX};
use payload::{Digest, ENVELOPE_MAX, KeyId};

use super::fetch;
use crate::command::report;
use crate::ctx::Ctx;
use crate::keys::Keys;
use crate::manifest::Manifest;
use crate::{flags, hash};

/// Bytes that are read at once.
const BUFFER_LEN: usize = 1 << 20;

/// An image that is open, so that a name that leads elsewhere later does not matter.
#[derive(Debug)]
pub struct Image {
    /// What to call it.
    pub name: String,
    /// The file.
    pub file: File,
    /// Who vouches for it, in words.
    pub vouched: String,
    form: Form,
    sha256: String,
}

/// How it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Not at all.
    Raw,
    /// With zstd.
    Zstd,
}

impl Form {
    /// Tells it from a name.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        if name.ends_with(".raw") {
            Ok(Self::Raw)
        } else if name.ends_with(".raw.zst") {
            Ok(Self::Zstd)
        } else {
            anyhow::bail!("`{name}` is no image: expected a name that ends in .raw or .raw.zst")
        }
    }
}

/// Finds the image that was asked for, and who vouches for it. Its bytes are not checked yet.
pub fn find(ctx: &Ctx, args: &flags::Flash) -> anyhow::Result<Image> {
    match &args.image {
        None => of_build(&report::newest(&ctx.target.join("image"))?, None),
        Some(place) if place.contains("://") => {
            let keys = Keys::read(ctx, args.keys.as_deref())?;
            let fetched = fetch::get(ctx, place, &keys)?;
            let file = open(&fetched.path)?;
            Ok(Image {
                name: place.clone(),
                file,
                vouched: signed_by(ctx, &keys, &fetched.by),
                form: fetched.form,
                sha256: fetched.sha256.to_string(),
            })
        }
        Some(place) => of_file(ctx, args, Path::new(place)),
    }
}

fn of_file(ctx: &Ctx, args: &flags::Flash, path: &Path) -> anyhow::Result<Image> {
    let real = fs::canonicalize(path).with_context(|| format!("looking for {}", path.display()))?;
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let form = Form::of(&name)?;
    let beside = |name: &str| real.with_file_name(name);
    if beside(SUMS_FILE).exists() {
        let keys = Keys::read(ctx, args.keys.as_deref())?;
        let text = read_short(&beside(SUMS_FILE), SUMS_MAX)?;
        let signature = read_short(&beside(SIGNATURE_FILE), ENVELOPE_MAX).with_context(|| {
            format!("{SUMS_FILE} beside the image is not signed: get {SIGNATURE_FILE} too")
        })?;
        let (sha256, by) = vouched(&name, &text, &signature, &keys)?;
        let vouched = signed_by(ctx, &keys, &by);
        return Ok(Image {
            name: name.clone(),
            file: open(&real)?,
            vouched,
            form,
            sha256: sha256.to_string(),
        });
    }
    let target = fs::canonicalize(&ctx.target).unwrap_or_else(|_| ctx.target.clone());
    ensure!(
        real.starts_with(&target),
        "nobody vouches for {}: {SUMS_FILE} and {SIGNATURE_FILE} of its release have to lie beside it (an image that \
         was built here is taken from {})",
        path.display(),
        ctx.target.join("image").display()
    );
    let manifests = hash::sorted_dir(real.parent().context("the image has no folder")?)?;
    let names =
        |path: &PathBuf| read_manifest(path).is_ok_and(|it| artifact(&it).is_ok_and(|raw| raw.0 == name));
    let manifests = manifests.into_iter().filter(|(name, _)| name.ends_with(".manifest.json"));
    let manifest = manifests.map(|(_, path)| path).find(names);
    let manifest = manifest.with_context(|| {
        format!(
            "no manifest beside {} names it: build it anew with `cargo xtask build-image`",
            path.display()
        )
    })?;
    of_build(&manifest, Some(&name))
}

/// The raw image that a manifest names.
fn of_build(manifest: &Path, name: Option<&str>) -> anyhow::Result<Image> {
    let parsed = read_manifest(manifest)?;
    let (file, sha256) = artifact(&parsed)?;
    let name = name.unwrap_or(&file).to_owned();
    let insecure = if parsed.insecure_keys { " (INSECURE: trusts the development key)" } else { "" };
    Ok(Image {
        file: open(&manifest.with_file_name(&file))?,
        name,
        vouched: format!("built here{insecure}"),
        form: Form::Raw,
        sha256,
    })
}

fn read_manifest(path: &Path) -> anyhow::Result<Manifest> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// Name and sum of the raw image.
fn artifact(manifest: &Manifest) -> anyhow::Result<(String, String)> {
    let raw = manifest.artifacts.get("raw").context("the manifest names no raw image: build it anew")?;
    Ok((raw.file.clone(), raw.sha256.clone()))
}

/// Returns the sum of the file `name` in signed sums, and who signed them.
pub fn vouched(
    name: &str,
    text: &[u8],
    signature: &[u8],
    keys: &Keys,
) -> anyhow::Result<(Digest, Vec<KeyId>)> {
    let (sums, by) = sums::open(text, signature, &keys.trust())
        .context("the image is not taken (`--keys DIR` says whom to trust)")?;
    let sha256 = sums.0.get(name).with_context(|| format!("{SUMS_FILE} beside `{name}` does not name it"))?;
    Ok((*sha256, by))
}

fn signed_by(ctx: &Ctx, keys: &Keys, by: &[KeyId]) -> String {
    if keys.trusted().any(|key| key.insecure && by.contains(&key.key.id())) {
        ctx.log.warn("INSECURE: signed with the committed development key, which everybody has");
    }
    let ids: Vec<_> = by.iter().map(ToString::to_string).collect();
    format!("signed by {}", ids.join(", "))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("opening {}", path.display()))
}

fn read_short(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = open(path)?.take(limit + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("reading {}", path.display()))?;
    ensure!(u64::try_from(bytes.len())? <= limit, "{} has more than {limit} bytes", path.display());
    Ok(bytes)
}

impl Image {
    /// Checks the sum of the whole file and only then looks at what it holds.
    pub fn check(&self, ctx: &Ctx) -> anyhow::Result<Survey> {
        let spinner = ctx.log.spinner("checking");
        let res = self.sum_and_survey(ctx);
        spinner.finish_and_clear();
        res
    }

    fn sum_and_survey(&self, ctx: &Ctx) -> anyhow::Result<Survey> {
        let interrupted = || anyhow::anyhow!("interrupted; nothing was written");
        let (found, _) = hash::of_sparse_file(&self.file, &ctx.cancel)
            .map_err(|err| if ctx.cancel.is_set() { interrupted() } else { err })?;
        ensure!(
            found == self.sha256,
            "its SHA-256 is {found}, expected {}: get or build it again",
            self.sha256
        );
        let mut go_on =
            |_| if ctx.cancel.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        survey(&mut self.reader()?, LogicalBlockSize::Lb512, &mut go_on).map_err(|err| match err {
            SurveyError::Interrupted => interrupted(),
            err => err.into(),
        })
    }

    /// Returns the image's bytes from its start.
    pub fn reader(&self) -> anyhow::Result<Box<dyn Read + '_>> {
        (&self.file).seek(SeekFrom::Start(0)).with_context(|| format!("reading {}", self.name))?;
        Ok(match self.form {
            Form::Raw => Box::new(BufReader::with_capacity(BUFFER_LEN, &self.file)),
            Form::Zstd => Box::new(
                zstd::stream::read::Decoder::new(&self.file)
                    .with_context(|| format!("unpacking {}", self.name))?,
            ),
        })
    }
}
