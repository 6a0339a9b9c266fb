//! The command on files: images of a build and of a release, from a folder and from a web server, and what is refused.

use std::fs::{self, File};
use std::io::{self, Cursor, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ::flash::LEN_MIN;
use disk_image::fat::{self, FatSpec};
use disk_image::{
    DiskPlan, Extent, LogicalBlockSize, PartitionPlan, PartitionType, Source, Table, Uuid, write_table,
};
use payload::SecretKey;
use payload::sums::{self, SIGNATURE_FILE, SUMS_FILE};

use super::*;
use crate::hash;
use crate::keys::Keys;
use crate::mirror::mock::{self, Fault, PATIENCE, Server};

const MIB: u64 = 1 << 20;
/// Where `oem` lies on the image: behind the others.
const OEM: Extent = Extent { offset: 12 * MIB, len: 5 * MIB };

/// A small image of ours.
fn made() -> Vec<u8> {
    use PartitionType::*;
    let part = |label: &str, kind, uuid, mib| PartitionPlan {
        label: label.to_owned(),
        kind,
        uuid: Uuid::from_u128(uuid),
        size_bytes: mib * MIB,
    };
    let plan = DiskPlan {
        disk_guid: Uuid::from_u128(0xd15c),
        size_bytes: 20 * MIB,
        block_size: LogicalBlockSize::Lb512,
        partitions: vec![
            part("esp", Esp, 1, 8),
            part("usr_1.2.3", UsrX86_64, 2, 2),
            part("usr_1.2.3_verity", UsrVerityX86_64, 3, 1),
            part("oem", BasicData, 4, 5),
        ],
    };
    let mut dev = Cursor::new(vec![0; 20 << 20]);
    let extents = write_table(&mut dev, &plan).unwrap();
    assert_eq!(extents[3], OEM);
    for (extent, label) in [(extents[0], "ESP"), (OEM, "OEM")] {
        let label = label.to_owned();
        let spec = FatSpec { label, serial: 1, mtime_secs: 0, block_size: LogicalBlockSize::Lb512 };
        fat::format(&mut dev, extent, &spec, Vec::<(&str, &[u8])>::new()).unwrap();
    }
    dev.seek(SeekFrom::Start(extents[1].offset)).unwrap();
    dev.write_all(&[7; 5000]).unwrap();
    dev.into_inner()
}

struct Case {
    dir: tempfile::TempDir,
    ctx: Ctx,
    args: flags::Flash,
}

impl Case {
    /// Has a device of the least length, keys of its own, and no image.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ctx, keys, device) = (mock::ctx(dir.path()), dir.path().join("keys"), dir.path().join("device"));
        File::create(&device).unwrap().set_len(LEN_MIN).unwrap();
        fs::create_dir(&keys).unwrap();
        fs::write(keys.join("a.pub"), key(1).public().to_file("test")).unwrap();
        let args = flags::Flash {
            device: Some(device),
            image: None,
            cloud_config: None,
            keys: Some(keys),
            yes: true,
        };
        Self { dir, ctx, args }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self) -> Result<(), String> {
        run(&self.ctx, &self.args).map(drop).map_err(|err| format!("{err:#}"))
    }

    /// Puts a build's image in place.
    fn build(&self) -> PathBuf {
        let (dir, bytes) = (self.ctx.target.join("image"), made());
        fs::create_dir_all(&dir).unwrap();
        let raw = dir.join("slipway_1.2.3.raw");
        fs::write(&raw, &bytes).unwrap();
        let manifest = serde_json::json!({
            "product": "slipway", "version": "1.2.3", "root_hash": "", "salt": "", "usr_blocks": 1,
            "artifacts": { "raw": {
                "file": "slipway_1.2.3.raw", "size": bytes.len(), "sha256": hash::of_bytes(&bytes),
            } },
            "packages": [], "special_files": [], "lock_sha256": "", "commit": "", "toolchain": {},
            "build_time": 0, "insecure_keys": true, "partitions": [], "contents": {},
        });
        fs::write(dir.join("slipway_1.2.3.manifest.json"), manifest.to_string()).unwrap();
        std::os::unix::fs::symlink("slipway_1.2.3.manifest.json", dir.join("latest")).unwrap();
        raw
    }

    /// Puts a release's image into a folder, signed by the key with that seed.
    fn release(&mut self, seed: u8) -> PathBuf {
        let (dir, packed) = (self.path("release"), zstd::encode_all(&made()[..], 1).unwrap());
        fs::create_dir_all(&dir).unwrap();
        let text = format!("{}  slipway_1.2.3.raw.zst\n", hash::of_bytes(&packed));
        fs::write(dir.join("slipway_1.2.3.raw.zst"), packed).unwrap();
        fs::write(dir.join(SIGNATURE_FILE), sums::sign(text.as_bytes(), &[key(seed)]).unwrap()).unwrap();
        fs::write(dir.join(SUMS_FILE), text).unwrap();
        self.args.image = Some(dir.join("slipway_1.2.3.raw.zst").display().to_string());
        dir
    }

    fn device(&self) -> File {
        File::options().read(true).write(true).open(self.args.device.as_ref().unwrap()).unwrap()
    }

    #[track_caller]
    fn check_flashed(&self) {
        self.run().unwrap();
        let mut device = self.device();
        let table = Table::read(&mut device, LogicalBlockSize::Lb512).unwrap();
        assert_eq!((table.source(), device.metadata().unwrap().len()), (Source::Primary, LEN_MIN));
        assert_ne!(table.disk_guid(), Uuid::from_u128(0xd15c));
        let mut found = [0; 5000];
        device.read_exact_at(&mut found, 9 * MIB).unwrap();
        assert_eq!(found, [7; 5000]);
    }

    /// Fails unless it is refused with these words and the device is as it was.
    #[track_caller]
    fn check_refused(&self, expected: &str) {
        let refused = self.run().unwrap_err();
        assert!(refused.contains(expected), "{refused}");
        let mut start = [1; 4096];
        self.device().read_exact_at(&mut start, 0).unwrap();
        assert_eq!(start, [0; 4096], "something was written");
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

#[test]
fn the_newest_build_is_flashed_with_a_cloud_config() {
    let mut case = Case::new();
    case.build();
    let config = case.path("c.yml");
    fs::write(&config, "#cloud-config\nhostname: flashed\n").unwrap();
    case.args.cloud_config = Some(config.clone());
    case.check_flashed();
    let found = fat::read_file(&mut case.device(), OEM, "cloud-config.yml").unwrap();
    assert_eq!(found, fs::read(&config).unwrap());
    // Once more, over what is there.
    case.args.cloud_config = None;
    case.check_flashed();
    assert!(fat::read_file(&mut case.device(), OEM, "cloud-config.yml").is_err());
}

#[test]
fn a_wrong_cloud_config_is_refused_before_anything_is_written() {
    let mut case = Case::new();
    case.build();
    let config = case.path("c.yml");
    fs::write(&config, "#cloud-config\nhostname: [a]\n").unwrap();
    case.args.cloud_config = Some(config);
    case.check_refused("has errors and would change nothing: correct them first");
    case.args.cloud_config = Some(case.path("no-such"));
    case.check_refused("reading ");
}

#[test]
fn an_image_of_a_build_counts_by_its_manifest_and_below_target_alone() {
    let mut case = Case::new();
    let raw = case.build();
    case.args.image = Some(raw.display().to_string());
    case.check_flashed();
    let case = Case { args: flags::Flash { device: Some(case.path("other")), ..case.args.clone() }, ..case };
    File::create(case.path("other")).unwrap().set_len(LEN_MIN).unwrap();
    File::options().write(true).open(&raw).unwrap().write_all_at(b"x", 9 * MIB).unwrap();
    case.check_refused("its SHA-256 is ");
    let elsewhere = case.path("slipway_1.2.3.raw");
    fs::copy(&raw, &elsewhere).unwrap();
    let with = |image: &Path| Case {
        dir: tempfile::tempdir().unwrap(),
        ctx: mock::ctx(case.dir.path()),
        args: flags::Flash { image: Some(image.display().to_string()), ..case.args.clone() },
    };
    with(&elsewhere).check_refused("nobody vouches for ");
    with(&case.path("no-such.raw")).check_refused("looking for ");
    let unnamed = case.ctx.target.join("image/other.raw");
    fs::copy(&raw, &unnamed).unwrap();
    with(&unnamed).check_refused("no manifest beside ");
    with(case.args.device.as_ref().unwrap()).check_refused("is no image: expected a name that ends in");
}

#[test]
fn an_image_of_a_release_is_taken_with_a_trusted_signature_alone() {
    let mut case = Case::new();
    case.release(2);
    case.check_refused("no trusted key signed it");
    let dir = case.release(1);
    fs::remove_file(dir.join(SIGNATURE_FILE)).unwrap();
    case.check_refused("is not signed: get SHA256SUMS.sig too");
    case.release(1);
    let text = fs::read_to_string(dir.join(SUMS_FILE)).unwrap();
    fs::write(dir.join(SUMS_FILE), text.replace("1.2.3", "1.2.4")).unwrap();
    case.check_refused("the signature is for sums with SHA-256");
    case.release(1);
    let mut packed = fs::read(dir.join("slipway_1.2.3.raw.zst")).unwrap();
    *packed.last_mut().unwrap() ^= 1;
    fs::write(dir.join("slipway_1.2.3.raw.zst"), packed).unwrap();
    case.check_refused("its SHA-256 is ");
    fs::rename(dir.join("slipway_1.2.3.raw.zst"), dir.join("other.raw.zst")).unwrap();
    case.args.image = Some(dir.join("other.raw.zst").display().to_string());
    case.check_refused("does not name it");
    case.release(1);
    case.check_flashed();
}

#[test]
fn what_is_signed_and_no_image_is_refused() {
    let mut case = Case::new();
    let dir = case.release(1);
    let packed = zstd::encode_all(&vec![0; 4 << 20][..], 1).unwrap();
    let text = format!("{}  slipway_1.2.3.raw.zst\n", hash::of_bytes(&packed));
    fs::write(dir.join("slipway_1.2.3.raw.zst"), packed).unwrap();
    fs::write(dir.join(SIGNATURE_FILE), sums::sign(text.as_bytes(), &[key(1)]).unwrap()).unwrap();
    fs::write(dir.join(SUMS_FILE), text).unwrap();
    case.check_refused("this is no image of ours");
}

#[test]
fn devices_are_refused_by_name_with_the_reason() {
    let mut case = Case::new();
    let raw = case.build();
    let small = case.path("small");
    File::create(&small).unwrap().set_len(1 << 30).unwrap();
    for (device, expected) in [
        (
            small.as_path(),
            "is not written: it has 1073741824 bytes, and at least 8000000000 (8 GB) are needed",
        ),
        (Path::new("/dev/null"), "/dev/null is not written: it is neither a block device nor a regular file"),
        (Path::new("/no-such"), "looking at /no-such: `cargo xtask flash` lists what there is"),
    ] {
        case.args.device = Some(device.to_owned());
        let refused = case.run().unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
    File::options().write(true).open(&raw).unwrap().set_len(LEN_MIN).unwrap();
    case.args.device = Some(raw);
    let refused = case.run().unwrap_err();
    assert!(refused.ends_with("it is the image itself: name another file"), "{refused}");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_written() {
    use std::io::IsTerminal as _;
    let mut case = Case::new();
    case.build();
    case.args.yes = false;
    if std::io::stdin().is_terminal() {
        println!("skipped: somebody could answer here");
        return;
    }
    case.check_refused("say --yes; nothing was written");
}

/// A web server with a release, and what is asked of it.
fn served(case: &mut Case) -> (Server, String, Keys) {
    let dir = case.release(1);
    let server = Server::start();
    for (name, path) in hash::sorted_dir(&dir).unwrap() {
        server.put(&format!("r/{name}"), fs::read(path).unwrap());
    }
    let url = format!("{}/r/slipway_1.2.3.raw.zst", server.url);
    let keys = Keys::read(&case.ctx, case.args.keys.as_deref()).unwrap();
    (server, url, keys)
}

#[test]
fn an_image_is_fetched_once_resumed_and_flashed() {
    let mut case = Case::new();
    let (server, url, keys) = served(&mut case);
    server.fail("r/slipway_1.2.3.raw.zst", Fault::Cut { after: 100, times: 2 });
    let fetched = fetch::get_patiently(&case.ctx, &url, &keys, PATIENCE).unwrap();
    assert_eq!(hash::of_file(&fetched.path).unwrap().0, fetched.sha256.to_string());
    let asked = server.requests();
    assert!(asked.contains(&"r/slipway_1.2.3.raw.zst from 100".to_owned()), "{asked:?}");
    case.args.image = Some(url);
    case.check_flashed();
    assert_eq!(server.requests(), ["r/SHA256SUMS", "r/SHA256SUMS.sig"]);
    // What was damaged in the cache is fetched anew.
    fs::write(&fetched.path, "damaged").unwrap();
    case.check_flashed();
    assert_eq!(server.requests().last().unwrap(), "r/slipway_1.2.3.raw.zst");
}

#[test]
fn what_a_server_has_wrong_is_refused() {
    let mut case = Case::new();
    let (server, url, keys) = served(&mut case);
    let get = |url: &str| format!("{:#}", fetch::get_patiently(&case.ctx, url, &keys, PATIENCE).unwrap_err());
    let good = server.bytes("r/slipway_1.2.3.raw.zst");
    server.put("r/slipway_1.2.3.raw.zst", "another file");
    assert!(get(&url).ends_with("The server has another file than was signed"), "{}", get(&url));
    server.remove("r/slipway_1.2.3.raw.zst");
    assert!(get(&url).contains("which its sums name"), "{}", get(&url));
    server.put("r/slipway_1.2.3.raw.zst", good);
    assert!(get(&format!("{url}?x")).contains("without `?`"));
    assert!(get(&url.replace("1.2.3", "1.2.4")).contains("does not name it"));
    server.remove("r/SHA256SUMS.sig");
    assert!(get(&url).contains("has no SHA256SUMS.sig: an image is taken from the folder of a release"));
}

/// A device that is pulled out.
struct Gone(Cursor<Vec<u8>>);

impl Gone {
    fn err<T>() -> io::Result<T> {
        Err(rustix::io::Errno::NODEV.into())
    }
}

impl io::Read for Gone {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Self::err()
    }
}

impl io::Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Self::err()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Seek for Gone {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.0.seek(pos)
    }
}

impl disk_image::Device for Gone {
    fn sync(&mut self) -> io::Result<()> {
        Self::err()
    }
}

impl Target for Gone {
    fn punch(&mut self, _: Extent) -> io::Result<bool> {
        Self::err()
    }

    fn read_back(&mut self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Self::err()
    }
}

#[test]
fn a_device_that_is_pulled_out_is_said_to_be_incomplete() {
    let case = Case::new();
    case.build();
    let image = image::find(&case.ctx, &case.args).unwrap();
    let plan = Plan::new(&image.check(&case.ctx).unwrap(), LEN_MIN, &[], |_| Ok(())).unwrap();
    let mut gone = Gone(Cursor::new(vec![]));
    let err = write(&case.ctx, &mut gone, Path::new("/dev/sdb"), &image, &plan).unwrap_err();
    assert_eq!(
        format!("{err:#}"),
        "/dev/sdb is incomplete and does not start, run the same command again: writing at byte 0: No such device \
         (os error 19)"
    );
}
