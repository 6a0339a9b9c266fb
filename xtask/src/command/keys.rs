//! `cargo xtask keys`: makes, lists, shows and retires the keys that sign updates.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use payload::{KeyId, SecretKey};

use crate::ctx::Ctx;
use crate::keys::{self, Keys, RETIRED};
use crate::{durable, flags};

/// Runs one of the commands.
pub fn run(ctx: &Ctx, args: &flags::Keys) -> anyhow::Result<()> {
    match &args.command {
        flags::KeysCommand::New { out, name } => {
            let (files, id) = new(out, name)?;
            ctx.log.line(&format!("key {id}"));
            ctx.log.line(&format!("  secret  {} (keep it off the network and backed up)", files.0.display()));
            ctx.log.line(&format!("  public  {} (for `build-image --keys`)", files.1.display()));
        }
        flags::KeysCommand::List { keys } => print!("{}", list(&keys::folder(ctx, keys.as_deref())?)?),
        flags::KeysCommand::Public { file } => print!("{}", public(file)?),
        flags::KeysCommand::Retire { key, keys } => {
            let dir = keys::folder(ctx, keys.as_deref())?;
            let id = retire(&dir, key)?;
            ctx.log.line(&format!("retired {id}: images built from now on do not trust it"));
        }
    }
    Ok(())
}

/// Writes a new pair and returns its files and id.
fn new(out: &Path, name: &str) -> anyhow::Result<((PathBuf, PathBuf), KeyId)> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    anyhow::ensure!(
        !name.is_empty() && name.bytes().all(is_plain),
        "--name {name}: letters, digits, `-` and `_` make a name"
    );
    let (secret_path, public_path) = (out.join(format!("{name}.key")), out.join(format!("{name}.pub")));
    for path in [&secret_path, &public_path] {
        anyhow::ensure!(
            path.symlink_metadata().is_err(),
            "{} is there already: choose another --name, a key is never overwritten",
            path.display()
        );
    }
    let mut seed = [0; 32];
    // The kernel's generator; early in a machine's start it could be unseeded, where nobody runs this.
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    random.context("reading random bytes from /dev/urandom")?;
    let secret = SecretKey::from_seed(seed);
    let id = secret.public().id();
    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let comment = format!("Update key `{name}`, id {id}.");
    create(&secret_path, 0o600, &secret.to_file(&comment))?;
    create(&public_path, 0o644, &secret.public().to_file(&comment))?;
    Ok(((secret_path, public_path), id))
}

/// Makes a file that is not there, with its mode from the first moment on.
fn create(path: &Path, mode: u32, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.with_context(|| format!("creating {}", path.display()))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| format!("writing {}", path.display()))
}

/// One line for each file: id, name, marks.
fn list(dir: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    // Not `Keys`, which refuses folders that one may want to look at.
    let path = dir.join(RETIRED);
    let retired = match fs::read_to_string(&path) {
        Ok(text) => payload::parse_retired(&text).with_context(|| path.display().to_string())?,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => [].into(),
        Err(err) => return Err(err).with_context(|| format!("reading {}", path.display())),
    };
    let mut seen = std::collections::BTreeSet::new();
    for (name, path) in crate::hash::sorted_dir(dir)? {
        let kind = match path.extension().and_then(|end| end.to_str()) {
            Some("pub") => "trusted",
            Some("key") => "signs",
            _ => continue,
        };
        let key = keys::public_of(&path)?;
        let id = key.key.id();
        seen.insert(id);
        let state = if retired.contains(&id) { "retired" } else { kind };
        let mark = if key.insecure { "  INSECURE: everybody has its secret half" } else { "" };
        text.push_str(&format!("{id}  {state:<7}  {name}{mark}\n"));
    }
    for id in retired.difference(&seen) {
        text.push_str(&format!("{id}  retired  (no file)\n"));
    }
    anyhow::ensure!(!text.is_empty(), "{} holds no keys: `cargo xtask keys new` makes a pair", dir.display());
    Ok(text)
}

/// Text of the public file that belongs to a secret key.
fn public(file: &Path) -> anyhow::Result<String> {
    anyhow::ensure!(
        file.extension().is_some_and(|end| end == "key"),
        "{}: a secret key ends in .key",
        file.display()
    );
    let key = keys::public_of(file)?;
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mark = if key.insecure { "INSECURE: everybody has its secret half. " } else { "" };
    Ok(key.key.to_file(&format!("{mark}Update key `{name}`, id {}.", key.key.id())))
}

/// Adds a key to the folder's list of retired ones.
fn retire(dir: &Path, wanted: &str) -> anyhow::Result<KeyId> {
    let keys = Keys::read_dir(dir)?;
    let (id, name) = match wanted.parse::<KeyId>() {
        Ok(id) => {
            let of = |(_, key): &(&String, &keys::Key)| key.key.id() == id;
            (id, keys.public.iter().find(of).map(|(name, _)| name.clone()))
        }
        Err(_) => {
            let inside = dir.join(wanted);
            let path = if inside.is_file() { inside } else { PathBuf::from(wanted) };
            anyhow::ensure!(path.is_file(), "`{wanted}` is neither a key id nor a file of a key");
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            (keys::public_of(&path)?.key.id(), name)
        }
    };
    anyhow::ensure!(!keys.retired.contains(&id), "{id} is retired already");
    anyhow::ensure!(
        keys.trusted().any(|key| key.key.id() != id),
        "{id} is the only trusted key in {}: add another first, no update could be trusted without it",
        dir.display()
    );
    let mut text = match keys.files.get(RETIRED) {
        Some(text) => text.clone(),
        None => "# Keys that are no longer trusted: one id a line.\n".to_owned(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&name.map(|name| format!("# {name}\n")).unwrap_or_default());
    text.push_str(&format!("{id}\n"));
    durable::write(&dir.join(RETIRED), text.as_bytes())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_pair_is_private_random_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let ((secret, public), id) = new(dir.path(), "one").unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keys::public_of(&secret).unwrap().key.id(), id);
        assert_eq!(keys::public_of(&public).unwrap().key.id(), id);
        assert_eq!(super::public(&secret).unwrap(), fs::read_to_string(&public).unwrap());
        let before = fs::read(&secret).unwrap();
        let error = new(dir.path(), "one").unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
        fs::remove_file(&public).unwrap();
        assert!(new(dir.path(), "one").is_err());
        assert_eq!(fs::read(&secret).unwrap(), before);
        assert_ne!(new(dir.path(), "two").unwrap().1, id);
        assert!(new(dir.path(), "../three").is_err());
    }

    #[test]
    fn a_key_is_retired_by_file_or_id_unless_it_is_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let (_, first) = new(dir.path(), "first").unwrap();
        let refused = retire(dir.path(), "first.pub").unwrap_err().to_string();
        assert!(refused.contains("the only trusted key"), "{refused}");
        let (_, second) = new(dir.path(), "second").unwrap();
        let (_, third) = new(dir.path(), "third").unwrap();
        assert_eq!(retire(dir.path(), "first.pub").unwrap(), first);
        assert!(retire(dir.path(), &first.to_string()).unwrap_err().to_string().contains("already"));
        assert_eq!(retire(dir.path(), &second.to_string()).unwrap(), second);
        assert!(retire(dir.path(), &third.to_string()).is_err());
        assert!(retire(dir.path(), "nothing").unwrap_err().to_string().contains("neither"));
        let keys = Keys::read_dir(dir.path()).unwrap();
        assert_eq!(keys.retired, [first, second].into());
        let text = list(dir.path()).unwrap();
        assert!(text.contains(&format!("{first}  retired  first.key\n")), "{text}");
        assert!(text.contains(&format!("{third}  signs    third.key\n")), "{text}");
        assert!(text.contains(&format!("{third}  trusted  third.pub\n")), "{text}");
    }

    #[test]
    fn the_committed_pair_is_listed_as_insecure() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image/keys");
        let text = list(&dir).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.contains("INSECURE")), "{text}");
    }
}
