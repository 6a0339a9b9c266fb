//! A small release, made up here: every changed byte is found, and so is what a signer himself says wrongly.

use std::io::Write as _;

use payload::SecretKey;

use super::*;
use crate::command::publish;
use crate::command::report::page::tests::manifest;
use crate::payload_file;
use crate::payload_file::made::{Made, SEED};
use crate::release::provenance::{Facts, Statement};
use crate::sbom::{self, Bom};

const VERSION: &str = "0.1.0";
const CHANNEL: &str = "stable";

struct Desk {
    dir: tempfile::TempDir,
    ctx: Ctx,
}

impl Desk {
    fn new() -> Self {
        let made = Self { dir: tempfile::tempdir().unwrap(), ctx: Ctx::new(false).unwrap() };
        let keys = made.dir.path().join("secret");
        fs::create_dir(&keys).unwrap();
        fs::write(keys.join("a.key"), key().to_file("test")).unwrap();
        fs::write(keys.join("a.pub"), key().public().to_file("test")).unwrap();
        fs::create_dir_all(made.path("keys")).unwrap();
        fs::copy(keys.join("a.pub"), made.path("keys/a.pub")).unwrap();
        made.offer(VERSION);
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image");
        for name in release::LOCKS {
            fs::copy(image.join(name), made.path(name)).unwrap();
        }
        let raw: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let names = made.names();
        made.put(&names.raw(), &zstd::encode_all(raw.as_slice(), 1).unwrap());
        for format in DiskFormat::ALL {
            made.put(&names.disk(format), format!("made up {format:?}").as_bytes());
        }
        let head = payload_file::inspect(&made.path(&names.payload())).unwrap();
        let mut manifest = manifest();
        manifest.root_hash = head.manifest.root_hash.to_string();
        let lock = fs::read(made.path(release::LOCKS[0])).unwrap();
        manifest.lock_sha256 = crate::hash::of_bytes(&lock);
        let raw_row = manifest.artifacts.get_mut("raw").unwrap();
        (raw_row.size, raw_row.sha256) = (u64::try_from(raw.len()).unwrap(), crate::hash::of_bytes(&raw));
        manifest.artifacts.get_mut("uki").unwrap().sha256 = head.manifest.uki_sha256.to_string();
        made.put(&names.manifest(), &serde_json::to_vec(&manifest).unwrap());
        let facts = sbom::Facts {
            product: "slipway",
            version: VERSION,
            root_hash: &manifest.root_hash,
            time: 1,
            packages: vec![],
            crates: &[],
            programs: &[],
        };
        made.put(&names.sbom(), Bom::of(&facts).text().unwrap().as_bytes());
        made.put(&names.report(), b"<html>");
        made.put(release::NOTES, b"# Slipway 0.1.0\n");
        made.put("packages/00.deb", b"a package");
        made.put(release::SOURCES_LOCK, b"format 1\n");
        for name in names.netboot() {
            made.put(&name, name.as_bytes());
        }
        made.state();
        made.sign();
        made
    }

    fn names(&self) -> Names {
        Names::new("slipway", VERSION)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("release").join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Puts a payload of a version on offer.
    fn offer(&self, version: &str) {
        let update = self.path(release::UPDATE_DIR);
        durable::remove_if_there(&update).unwrap();
        let args = flags::Publish {
            channel: CHANNEL.to_owned(),
            to: update.clone(),
            payload: Some(Made::new(version).write(self.dir.path())),
            keys: None,
            sequence: None,
            expires_days: 30,
            wave: vec![],
            url: vec![],
            allow_older: false,
        };
        let keys = Keys::read_dir(&self.dir.path().join("secret")).unwrap();
        publish::put_on_offer(&self.ctx, &args, &keys).unwrap();
        fs::remove_file(update.join("channels/.lock")).unwrap();
    }

    /// Writes the provenance of what is there.
    fn state(&self) {
        let name = self.names().provenance();
        durable::remove_if_there(&self.path(&name)).unwrap();
        let [packages, tools] = release::LOCKS.map(|name| crate::lock::Lock::read(&self.path(name)).unwrap());
        let statement = Statement::of(&Facts {
            files: &self.sums(),
            manifest: &release::manifest(&self.path("")).unwrap(),
            channel: CHANNEL,
            trusted_keys: vec![key().public().id().to_string()],
            builder: "urn:test",
            locks: &[(release::LOCKS[0], &packages), (release::LOCKS[1], &tools)],
            tools: &TOOLS,
            bom: &Bom::parse(&fs::read(self.path(&self.names().sbom())).unwrap()).unwrap(),
        });
        self.put(&name, statement.text().unwrap().as_bytes());
    }

    fn sums(&self) -> BTreeMap<String, String> {
        let mut files = release::sums::files(&self.path("")).unwrap();
        files.retain(|name, _| ![SUMS_FILE, SIGNATURE_FILE].contains(&name.as_str()));
        release::sums::of_files(&files, &self.ctx.cancel, |_| ()).unwrap()
    }

    fn sign(&self) {
        release::sums::write(&self.path(""), &self.sums(), &[key()]).unwrap();
    }

    fn open(&self) -> anyhow::Result<Release> {
        let args = flags::VerifyRelease { dir: self.path(""), keys: None, rebuild: false, mirror: None };
        open(&self.ctx, &args)
    }

    #[track_caller]
    fn refused(&self, says: &[&str]) {
        let text = format!("{:#}", self.open().unwrap_err());
        assert!(says.iter().all(|part| text.contains(part)), "{text}");
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed([SEED; 32])
}

#[track_caller]
fn says(res: anyhow::Result<()>, part: &str) {
    let text = format!("{:#}", res.unwrap_err());
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_whole_release_passes() {
    let made = Desk::new();
    let release = made.open().unwrap();
    raw::unpack(&made.ctx, &release, &made.dir.path().join("raw")).unwrap();
    offer::channel(&made.ctx, &release).unwrap();
    provenance::check(&release).unwrap();
    let read = |path: &Path| fs::read(path).unwrap();
    assert_eq!(read(&made.dir.path().join("raw")).len(), 3_000_000);
}

#[test]
fn a_changed_byte_is_found_and_named_in_every_file() {
    let made = Desk::new();
    let files = release::sums::files(&made.path("")).unwrap();
    assert!(files.len() > 14, "{files:?}");
    for (name, path) in &files {
        let bytes = fs::read(path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(path, changed).unwrap();
            match name.as_str() {
                SUMS_FILE | SIGNATURE_FILE => drop(made.open().unwrap_err()),
                // Read before the sums are believed, because nobody else names a key here.
                "keys/a.pub" => drop(made.open().unwrap_err()),
                name => made.refused(&[&format!("{name} has other bytes than the signed ones")]),
            }
        }
        fs::write(path, bytes).unwrap();
    }
    made.open().unwrap();
}

#[test]
fn missing_and_further_files_are_named() {
    let made = Desk::new();
    fs::remove_file(made.path(release::NOTES)).unwrap();
    made.put("packages/11.deb", b"");
    made.refused(&["RELEASE-NOTES.md is missing", "packages/11.deb is not signed"]);
}

#[test]
fn a_stranger_with_another_key_believes_nothing() {
    let made = Desk::new();
    let keys = made.dir.path().join("other");
    fs::create_dir(&keys).unwrap();
    fs::write(keys.join("b.pub"), SecretKey::from_seed([9; 32]).public().to_file("x")).unwrap();
    let args = flags::VerifyRelease { dir: made.path(""), keys: Some(keys), rebuild: false, mirror: None };
    let text = format!("{:#}", open(&made.ctx, &args).unwrap_err());
    assert!(text.contains("nobody who is trusted vouches for SHA256SUMS by SHA256SUMS.sig"), "{text}");
}

#[test]
fn another_image_under_a_right_signature_is_found() {
    let made = Desk::new();
    let mut packed = zstd::Encoder::new(vec![], 1).unwrap();
    packed.write_all(&[5; 3_000_000]).unwrap();
    made.put(&made.names().raw(), &packed.finish().unwrap());
    made.sign();
    let release = made.open().unwrap();
    says(raw::unpack(&made.ctx, &release, &made.dir.path().join("raw")), "the manifest says 3000000");
}

#[test]
fn a_payload_of_another_version_under_a_right_signature_is_found() {
    let made = Desk::new();
    made.offer("0.2.0");
    fs::rename(made.path("update/payloads/slipway_0.2.0.payload"), made.path(&made.names().payload()))
        .unwrap();
    made.sign();
    let release = made.open().unwrap();
    says(offer::payload(&made.ctx, &release).map(drop), "version is 0.2.0, the manifest says 0.1.0");
}

#[test]
fn a_provenance_that_says_otherwise_is_found_with_what() {
    let made = Desk::new();
    made.put(release::NOTES, b"# Other notes\n");
    made.sign();
    says(provenance::check(&made.open().unwrap()), "otherwise of the file RELEASE-NOTES.md");
    made.state();
    made.sign();
    provenance::check(&made.open().unwrap()).unwrap();
    let name = made.names().provenance();
    let text = fs::read_to_string(made.path(&name)).unwrap();
    let commit = manifest().commit;
    assert!(text.contains(&commit));
    made.put(&name, text.replace(&commit, &"0".repeat(40)).as_bytes());
    made.sign();
    says(provenance::check(&made.open().unwrap()), "otherwise of the input source");
}

#[test]
fn another_lock_under_a_right_signature_is_found() {
    let made = Desk::new();
    let text = fs::read_to_string(made.path(release::LOCKS[0])).unwrap();
    let time = text.lines().find(|line| line.starts_with("time ")).unwrap();
    made.put(release::LOCKS[0], text.replace(time, "time 5").as_bytes());
    made.state();
    made.sign();
    says(provenance::check(&made.open().unwrap()), "packages.lock has SHA-256");
}

#[test]
fn every_package_of_a_release_is_taken_so_that_no_mirror_is_asked() {
    let mut desk = Desk::new();
    desk.ctx.cache = desk.dir.path().join("cache");
    let locks = Locks::read(&desk.ctx.image_dir()).unwrap();
    let packages = desk.path(release::PACKAGES_DIR);
    fs::create_dir_all(&packages).unwrap();
    for row in locks.packages.rows.iter().chain(&locks.tools.rows) {
        fs::write(packages.join(format!("{}.deb", row.sha256)), "").unwrap();
    }
    take_packages(&desk.ctx, &desk.path("")).unwrap();
    let cache = Packages::open(&desk.ctx.cache).unwrap();
    for row in locks.packages.rows.iter().chain(locks.tools.rows_of(&TOOLS)) {
        assert!(cache.path(row).exists(), "{} was not taken", row.path);
    }
}
