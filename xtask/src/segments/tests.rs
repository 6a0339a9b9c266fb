//! Segments of a made-up tree, and figures of the newest image's.

use std::collections::BTreeSet;
use std::fs;

use super::unpack::Entry;
use super::*;

const LEVEL: i32 = 15;
/// What the measurement changes: our program and a library.
const CHANGED: [&str; 2] = ["usr/bin/slipway", "usr/lib/x86_64-linux-gnu/libcrypto.so.3"];

/// Bytes that do not compress, different for each seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = crate::seeded::Random::new(seed);
    (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
}

/// Three packages, modules, our files and an agent on a disk of their own.
struct Made {
    dir: tempfile::TempDir,
    agents: BTreeMap<String, PathBuf>,
}

impl Made {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (seed, path) in
            ["root/usr/lib/liba.so", "root/usr/lib/libb.so", "root/usr/lib/unowned", "root/usr/bin/c"]
                .into_iter()
                .chain(["modules/usr/lib/modules/1/x.ko", "overlay/etc/c.conf", "agents/agent"])
                .enumerate()
        {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, noise(u64::try_from(seed).unwrap(), 30_000)).unwrap();
        }
        let agents = [("agent".to_owned(), dir.path().join("agents/agent"))].into();
        Self { dir, agents }
    }

    fn change(&self, path: &str) {
        fs::write(self.dir.path().join(path), noise(99, 29_000)).unwrap();
    }

    fn tree(&self) -> Tree {
        let at = |name: &str| self.dir.path().join(name);
        let mut tree = Tree::load(&at("root"), "").unwrap();
        tree.overlay(Tree::load(&at("modules"), "").unwrap());
        tree.overlay(Tree::load(&at("overlay"), "").unwrap());
        tree.insert("usr/bin/agent", Node::program(&self.agents["agent"]));
        tree.insert("usr/lib/os-release", Node::file("ID=test\n"));
        tree.insert("bin", Node::symlink("usr/bin"));
        tree.insert("usr/lib/liba.so.1", Node::symlink("liba.so"));
        tree
    }

    fn parts(&self) -> BTreeMap<Origin, Tree> {
        let (rootfs, modules) = (self.dir.path().join("root"), self.dir.path().join("modules"));
        let owners = [("usr/lib/liba.so", "a"), ("usr/lib/libb.so", "b"), ("usr/bin/c", "c")];
        let owners = owners.map(|(path, package)| (path.to_owned(), package.to_owned())).into();
        let origins = Origins { rootfs: &rootfs, owners, modules: &modules, agents: &self.agents };
        split(&self.tree(), |node| origins.of(node)).unwrap()
    }

    fn packed(&self) -> Vec<u8> {
        packed(&self.parts(), LEVEL)
    }
}

fn packed(parts: &BTreeMap<Origin, Tree>, level: i32) -> Vec<u8> {
    let mut out = Vec::new();
    write(parts, level, &Cancel::on_signals().unwrap(), &mut out).unwrap();
    out
}

/// Blocks of `new` that are nowhere in `old`.
fn n_fetched(old: &[u8], new: &[u8]) -> usize {
    let have: BTreeSet<&[u8]> = old.chunks(ALIGNMENT).collect();
    new.chunks(ALIGNMENT).filter(|block| !have.contains(block)).count()
}

#[test]
fn every_origin_has_its_segment_and_the_agent_is_last() {
    let origins = Vec::from_iter(Made::new().parts().into_keys());
    let package = |name: &str| Origin::Package(name.to_owned());
    let agent = Origin::Agent("agent".to_owned());
    let expected =
        [Origin::Frame, package("a"), package("b"), package("c"), Origin::Modules, Origin::Ours, agent];
    assert_eq!(origins, expected);
}

#[test]
fn unpacks_to_the_tree_that_went_in() {
    let made = Made::new();
    let bytes = made.packed();
    let segments = unpack::segments(&bytes).unwrap();
    assert_eq!(segments.len(), 7);
    assert!(segments.iter().all(|segment| segment.offset % ALIGNMENT == 0));
    assert_eq!(bytes.len() % ALIGNMENT, 0);
    let found = unpack::unpack(&segments).unwrap();
    let tree = made.tree();
    assert_eq!(Vec::from_iter(found.keys().copied()), Vec::from_iter(tree.0.keys()));
    for (path, node) in &tree.0 {
        let (kind, data) = match &node.kind {
            Kind::Dir => (0o040_000, Vec::new()),
            Kind::File(_) => (0o100_000, node.read().unwrap()),
            Kind::Symlink(target) => (0o120_000, target.clone().into_bytes()),
        };
        let expected = Entry { path: path.clone(), mode: kind | node.mode, mtime: MTIME, data };
        assert_eq!(*found[path.as_str()], expected);
    }
}

#[test]
fn a_change_is_fetched_with_its_segment_and_no_other() {
    let old = Made::new().packed();
    for path in ["agents/agent", "root/usr/lib/liba.so", "modules/usr/lib/modules/1/x.ko"] {
        let made = Made::new();
        made.change(path);
        // 29,000 bytes of noise and a header, in blocks.
        assert_eq!(n_fetched(&old, &made.packed()), 8, "{path}");
    }
    assert_eq!(n_fetched(&old, &Made::new().packed()), 0, "nothing");
}

#[test]
fn rejects_a_file_below_a_link() {
    let mut tree = Made::new().tree();
    tree.0.insert("bin/x".to_owned(), Node::file("x"));
    let err = split(&tree, |_| Origin::Ours).unwrap_err();
    assert_eq!(err.to_string(), "packing bin/x: bin is no folder of the initrd");
}

#[test]
fn the_reader_rejects_what_the_kernel_would_trip_over() {
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let mut archive = Vec::new();
    tree::cpio::write_cpio(&Made::new().parts()[&Origin::Ours], 1, &mut archive).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        let found = unpack::segments(bytes).and_then(|segments| unpack::unpack(&segments).map(drop));
        let text = format!("{:#}", found.unwrap_err());
        assert!(text.contains(expected), "{text}");
    };
    check(b"\0\0\0\0junk", "reading the segment at 4: no zstd frame");
    check(&packed(&archive[..archive.len() - 124]), "the archive ends without a trailer");
    check(&packed(&[&archive[..], b"1234"].concat()), "4 bytes follow the trailer");
    check(&packed(&archive), "comes before its folder");
    let whole = Made::new().packed();
    check(&[&whole[..], &whole[..]].concat(), "is in the initrd twice");
    check(&whole[..whole.len() - ALIGNMENT - 100], "no zstd frame");
}

/// Prints what the decision record quotes; read with `--nocapture`.
#[test]
#[ignore = "prints sizes, times and blocks of the newest image's initrd; needs an image"]
fn measure_the_newest_initrd() {
    let ctx = crate::ctx::Ctx::new(false).unwrap();
    let judged = crate::command::test::Judged::read(&ctx.target.join("image"), None).unwrap();
    let image = fs::read(judged.artifact("uki").unwrap()).unwrap();
    let image = uki::Pe::parse(&image).unwrap();
    let initrd = image.read_section(uki::Section::Initrd).unwrap();
    let segments = unpack::segments(initrd).unwrap();
    let mut parts = BTreeMap::new();
    for (idx, segment) in segments.iter().enumerate() {
        let tree = Tree(segment.entries.iter().map(|entry| (entry.path.clone(), node(entry))).collect());
        parts.insert(Origin::Package(format!("{idx:03}")), tree);
    }
    let mut all = Tree::default();
    parts.values().for_each(|part| all.0.extend(part.0.clone()));
    let whole = |tree: &Tree| BTreeMap::from([(Origin::Ours, tree.clone())]);
    println!("level, whole bytes, whole ms, segments bytes, segments ms, unpacking whole ms, segments ms");
    for level in [12, 15, 17, 19] {
        let ((one, t_one), (many, t_many)) =
            (timed(|| packed(&whole(&all), level)), timed(|| packed(&parts, level)));
        let (u_one, u_many) = (timed(|| unzstd(&one)).1, timed(|| unzstd(&many)).1);
        println!("{level}, {}, {t_one}, {}, {t_many}, {u_one}, {u_many}", one.len(), many.len());
    }
    let one = packed(&whole(&all), LEVEL);
    println!("segment of, bytes unpacked, packed, blocks");
    for segment in &segments {
        let files = segment.entries.iter().filter(|entry| entry.mode & 0o170_000 == 0o100_000);
        let largest = files.max_by_key(|entry| entry.data.len()).map_or("links", |entry| &entry.path);
        let n_blocks = segment.packed.div_ceil(ALIGNMENT);
        let unpacked: usize = segment.entries.iter().map(|entry| entry.data.len()).sum();
        println!("{largest}, {unpacked}, {}, {n_blocks}", segment.packed);
    }
    for path in CHANGED {
        let mut bytes = all.0[path].read().unwrap();
        // A rebuild touches most pages of a program.
        bytes.iter_mut().step_by(ALIGNMENT).for_each(|byte| *byte ^= 0x55);
        let mut changed = all.clone();
        changed.insert(path, Node::file(bytes.clone()));
        let mut changed_parts = parts.clone();
        let part = changed_parts.values_mut().find(|part| part.0.contains_key(path)).unwrap();
        part.0.insert(path.to_owned(), Node::file(bytes));
        let fetched = n_fetched(initrd, &packed(&changed_parts, LEVEL));
        let fetched_whole = n_fetched(&one, &packed(&whole(&changed), LEVEL));
        println!("{path} changed: {fetched} blocks of the segments, {fetched_whole} of one stream");
    }
}

fn node(entry: &Entry) -> Node {
    let kind = match entry.mode & 0o170_000 {
        0o040_000 => Kind::Dir,
        0o100_000 => Kind::File(Content::Bytes(entry.data.clone())),
        _ => Kind::Symlink(String::from_utf8(entry.data.clone()).unwrap()),
    };
    Node { kind, mode: entry.mode & 0o7777, uid: 0, gid: 0 }
}

/// Runs and gives the thread's processor time in milliseconds, which other load on the host does not change.
fn timed<T>(run: impl FnOnce() -> T) -> (T, u64) {
    let spent = || -> u64 {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let start = spent();
    let made = run();
    (made, (spent() - start) / 1_000_000)
}

/// Unpacks the frames alone.
fn unzstd(mut bytes: &[u8]) -> usize {
    let mut len = 0;
    while let Some(start) = bytes.iter().position(|byte| *byte != 0) {
        bytes = &bytes[start..];
        let frame = zstd::zstd_safe::find_frame_compressed_size(bytes).unwrap();
        len += std::io::copy(
            &mut zstd::Decoder::new(&bytes[..frame]).unwrap().single_frame(),
            &mut std::io::sink(),
        )
        .unwrap();
        bytes = &bytes[frame..];
    }
    usize::try_from(len).unwrap()
}
