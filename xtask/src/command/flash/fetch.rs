//! An image from a web server: its sums first, then the image itself, resumed where it was cut and checked before it
//! has a name in the cache.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use payload::sums::{SIGNATURE_FILE, SUMS_FILE, SUMS_MAX};
use payload::{Digest, ENVELOPE_MAX, KeyId};

use super::image::{Form, vouched};
use crate::cache::Part;
use crate::ctx::Ctx;
use crate::keys::Keys;
use crate::mirror::{Answer, Mirror, Patience};
use crate::{durable, hash};

/// Longest image that is fetched, in bytes.
const LEN_MAX: u64 = 64 << 30;
const BUFFER_LEN: usize = 1 << 18;

/// An image in the cache.
#[derive(Debug)]
pub struct Fetched {
    /// The file.
    pub path: PathBuf,
    /// How it is packed.
    pub form: Form,
    /// The sum that it has to have.
    pub sha256: Digest,
    /// Who vouches for that.
    pub by: Vec<KeyId>,
}

/// Fetches the image at `url` unless the cache has it.
pub fn get(ctx: &Ctx, url: &str, keys: &Keys) -> anyhow::Result<Fetched> {
    get_patiently(ctx, url, keys, Patience::default())
}

/// The same with another patience.
pub fn get_patiently(ctx: &Ctx, url: &str, keys: &Keys, patience: Patience) -> anyhow::Result<Fetched> {
    ensure!(!url.contains(['?', '#']), "{url}: an image is taken from a plain folder, without `?` and `#`");
    let (base, name) = url.rsplit_once('/').context("the URL has no file name")?;
    let form = Form::of(name)?;
    let server = Mirror::open(base, patience)?;
    let beside = |name: &str, limit| {
        server.bytes(name, limit)?.with_context(|| {
            format!("{base} has no {name}: an image is taken from the folder of a release, which has one")
        })
    };
    let text = beside(SUMS_FILE, SUMS_MAX)?;
    let signature = beside(SIGNATURE_FILE, ENVELOPE_MAX)?;
    let (sha256, by) = vouched(name, &text, &signature, keys)?;
    let dir = ctx.cache.join("images");
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let path = dir.join(sha256.to_string());
    if !is_good(&path, sha256)? {
        forget_others(&dir)?;
        fetch(ctx, &server, name, sha256, &path).with_context(|| format!("fetching {url}"))?;
    }
    Ok(Fetched { path, form, sha256, by })
}

/// Whether the cache has the file, whole.
fn is_good(path: &Path, sha256: Digest) -> anyhow::Result<bool> {
    Ok(path.exists() && hash::of_file(path)?.0 == sha256.to_string())
}

/// One image stays: they are large, and the next is of another version.
fn forget_others(dir: &Path) -> anyhow::Result<()> {
    let others = hash::sorted_dir(dir)?.into_iter().filter(|(name, _)| !name.ends_with(".part"));
    others.into_iter().try_for_each(|(_, path)| durable::remove_if_there(&path))
}

fn fetch(ctx: &Ctx, server: &Mirror, name: &str, sha256: Digest, path: &Path) -> anyhow::Result<()> {
    let part = Part::open(path.with_extension("part"))?;
    let mut part = part.context("another process fetches the same image: let it end first")?;
    let mut len = part.file().seek(SeekFrom::End(0)).context("reading the part in the cache")?;
    let mut was_resumed = 0 < len;
    let spinner = ctx.log.spinner("fetching");
    ctx.log.line(&format!("fetching {name} from {server}"));
    loop {
        complete(ctx, server, name, &mut part, &mut len, &spinner)?;
        part.file().seek(SeekFrom::Start(0)).context("reading the part in the cache")?;
        let (found, _) = hash::of_reader(part.file()).context("reading the part in the cache")?;
        if found == sha256.to_string() {
            spinner.finish_and_clear();
            return part.finish(path);
        }
        if !was_resumed {
            part.discard()?;
            bail!(
                "its SHA-256 is {found}, expected {sha256}; it is deleted. The server has another file than was signed"
            );
        }
        // What lay there may have been of an earlier try, of another file.
        (was_resumed, len) = (false, 0);
        part.restart()?;
    }
}

/// Fetches until the server says that this is all.
fn complete(
    ctx: &Ctx,
    server: &Mirror,
    name: &str,
    part: &mut Part,
    len: &mut u64,
    spinner: &indicatif::ProgressBar,
) -> anyhow::Result<()> {
    let (mut tries, mut pause) = (1, server.patience.pause);
    loop {
        let before = *len;
        match request(ctx, server, name, part, len, spinner) {
            Ok(()) => return Ok(()),
            Err(err) if ctx.cancel.is_set() => return Err(err),
            Err(_) if before < *len => (tries, pause) = (1, server.patience.pause),
            Err(err) if server.patience.tries <= tries => {
                return Err(err).with_context(|| format!("trying {tries} times (check the network)"));
            }
            Err(_) => {
                std::thread::sleep(pause.min(Duration::from_secs(5)));
                (tries, pause) = (tries + 1, pause * 2);
            }
        }
    }
}

/// Asks once, from the first missing byte on.
fn request(
    ctx: &Ctx,
    server: &Mirror,
    name: &str,
    part: &mut Part,
    len: &mut u64,
    spinner: &indicatif::ProgressBar,
) -> anyhow::Result<()> {
    let (from, mut reader) = match server.get(name, *len)? {
        Answer::Gone => bail!("{server} has no {name}, which its sums name"),
        Answer::PastEnd => return Ok(()),
        Answer::Body { from, reader } => (from, reader),
    };
    if from != *len {
        part.restart()?;
        *len = from;
    }
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        ctx.cancel.check()?;
        let n = reader.read(&mut buffer).with_context(|| format!("getting {name} from {server}"))?;
        if n == 0 {
            return Ok(());
        }
        part.append(&buffer[..n])?;
        *len += u64::try_from(n)?;
        ensure!(*len <= LEN_MAX, "{name} has more than {LEN_MAX} bytes");
        spinner.set_message(indicatif::HumanBytes(*len).to_string());
    }
}
