//! Fetching from a mirror that is wrong, slow, cut off, or not there.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::mirror::mock::{self, Fault, Server};

/// A cache, a mirror, and one package of 300 000 bytes.
struct World {
    dir: TempDir,
    ctx: Ctx,
    server: Server,
    row: Row,
}

const PATH: &str = "debian/pool/a.deb";

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let ctx = mock::ctx(dir.path());
    let server = Server::start();
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).take(300_000).collect();
    let row = row("aa", &bytes);
    server.put(PATH, bytes);
    World { dir, ctx, server, row }
}

fn row(name: &str, bytes: &[u8]) -> Row {
    Row {
        name: name.to_owned(),
        version: "1-2".to_owned(),
        architecture: "all".to_owned(),
        groups: ["image".to_owned()].into(),
        archive: "debian".to_owned(),
        path: "pool/a.deb".to_owned(),
        size: bytes.len().try_into().unwrap(),
        sha256: crate::hash::of_bytes(bytes),
    }
}

impl World {
    fn fetch(&self) -> anyhow::Result<Output> {
        let mirror = self.server.mirror();
        run(&self.ctx, &Input { rows: vec![&self.row], source: Source::Mirror(&mirror) })
    }

    fn offline(&self) -> anyhow::Result<Output> {
        run(&self.ctx, &Input { rows: vec![&self.row], source: Source::Offline })
    }

    fn cached(&self) -> PathBuf {
        self.dir.path().join(format!("cache/packages/{}.deb", self.row.sha256))
    }

    fn part(&self) -> PathBuf {
        self.cached().with_extension("part")
    }

    #[track_caller]
    fn assert_fetched(&self, output: &Output) {
        assert_eq!(output.paths, BTreeMap::from([(self.row.sha256.clone(), self.cached())]));
        assert_eq!(fs::read(self.cached()).unwrap(), self.server.bytes(PATH));
        assert!(output.gone.is_empty() && !self.part().exists());
    }

    #[track_caller]
    fn assert_fails(&self, res: anyhow::Result<Output>, says: &[&str]) {
        let text = format!("{:#}", res.unwrap_err());
        assert!(says.iter().all(|says| text.contains(says)), "{text}");
        assert!(!self.cached().exists());
    }
}

#[test]
fn asks_the_mirror_only_for_what_the_cache_lacks() {
    let world = world();
    world.assert_fetched(&world.fetch().unwrap());
    assert_eq!(world.server.requests(), [PATH]);
    world.assert_fetched(&world.fetch().unwrap());
    world.assert_fetched(&world.offline().unwrap());
    assert_eq!(world.server.requests(), [""; 0]);
}

#[test]
fn deletes_a_download_whose_hash_is_wrong() {
    let world = world();
    let mut bytes = world.server.bytes(PATH);
    bytes[1234] ^= 1;
    world.server.put(PATH, bytes.clone());
    let found = crate::hash::of_bytes(&bytes);
    world.assert_fails(
        world.fetch(),
        &["package aa 1-2", &found, &world.row.sha256, "--mirror", "cargo xtask lock"],
    );
    assert!(!world.part().exists());
}

#[test]
fn replaces_a_cached_file_whose_hash_is_wrong() {
    let world = world();
    world.fetch().unwrap();
    let mut bytes = world.server.bytes(PATH);
    bytes[7] ^= 1;
    fs::write(world.cached(), &bytes).unwrap();
    world.assert_fetched(&world.fetch().unwrap());

    fs::write(world.cached(), &bytes).unwrap();
    let found = crate::hash::of_bytes(&bytes);
    world.assert_fails(world.offline(), &["package aa 1-2", &found, &world.row.sha256, "without --offline"]);
}

#[test]
fn resumes_where_the_connection_was_cut() {
    let world = world();
    world.server.fail(PATH, Fault::Cut { after: 100_000, times: 2 });
    world.assert_fetched(&world.fetch().unwrap());
    let from = |n| format!("{PATH} from {n}");
    assert_eq!(world.server.requests(), [PATH.to_owned(), from(100_000), from(200_000)]);
}

#[test]
fn starts_again_where_the_mirror_knows_no_ranges() {
    let world = world();
    world.server.forget_ranges();
    world.server.fail(PATH, Fault::Cut { after: 100_000, times: 2 });
    world.assert_fetched(&world.fetch().unwrap());
}

#[test]
fn resumes_what_an_earlier_run_left() {
    let world = world();
    fs::create_dir_all(world.part().parent().unwrap()).unwrap();
    fs::write(world.part(), &world.server.bytes(PATH)[..5000]).unwrap();
    world.assert_fetched(&world.fetch().unwrap());
    assert_eq!(world.server.requests(), [format!("{PATH} from 5000")]);
}

#[test]
fn starts_again_when_what_was_left_is_wrong() {
    for left in [&b"garbage"[..], &[7; 300_000], &[7; 300_001]] {
        let world = world();
        fs::create_dir_all(world.part().parent().unwrap()).unwrap();
        fs::write(world.part(), left).unwrap();
        world.assert_fetched(&world.fetch().unwrap());
    }
}

#[test]
fn goes_on_when_the_mirror_falls_silent() {
    let world = world();
    world.server.fail(PATH, Fault::Stall { after: 50_000, times: 1 });
    world.assert_fetched(&world.fetch().unwrap());
    assert_eq!(world.server.requests(), [PATH.to_owned(), format!("{PATH} from 50000")]);
}

#[test]
fn waits_for_a_slow_mirror_that_keeps_sending() {
    let world = world();
    world.server.fail(PATH, Fault::Slow { step: 30_000, pause: Duration::from_millis(100) });
    world.assert_fetched(&world.fetch().unwrap());
    assert_eq!(world.server.requests(), [PATH]);
}

#[test]
fn gives_up_on_a_mirror_that_is_down() {
    let world = world();
    // A port that was free a moment ago and has no server.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mirror = Mirror::open(&format!("http://127.0.0.1:{port}"), mock::PATIENCE).unwrap();
    let res = run(&world.ctx, &Input { rows: vec![&world.row], source: Source::Mirror(&mirror) });
    world.assert_fails(
        res,
        &["package aa 1-2", &mirror.to_string(), "3 times", "check the network", "--mirror"],
    );
}

#[test]
fn tries_again_after_a_servers_failure_and_gives_up_in_the_end() {
    let world = world();
    world.server.fail(PATH, Fault::Status { code: 503, times: 2 });
    world.assert_fetched(&world.fetch().unwrap());
    fs::remove_file(world.cached()).unwrap();
    world.server.fail(PATH, Fault::Status { code: 503, times: 3 });
    world.assert_fails(world.fetch(), &["the mirror answered 503", "3 times"]);
}

#[test]
fn collects_what_the_mirror_lacks() {
    let world = world();
    let other = Row { path: "pool/gone.deb".to_owned(), ..row("bb", b"b") };
    let mirror = world.server.mirror();
    let input = Input { rows: vec![&other, &world.row], source: Source::Mirror(&mirror) };
    let output = run(&world.ctx, &input).unwrap();
    assert_eq!(output.gone, [other]);
    assert_eq!(output.paths.len(), 1);
    let left: Vec<_> =
        fs::read_dir(world.cached().parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|end| end != "part")), "{left:?}");
}

#[test]
fn offline_lists_what_is_missing() {
    let world = world();
    world.assert_fails(world.offline(), &["lacks 1 packages", "--offline", "aa 1-2"]);
    assert_eq!(world.server.requests(), [""; 0]);
}

#[test]
fn refuses_a_file_of_another_length() {
    for len in [200_000, 300_001] {
        let world = world();
        let mut bytes = world.server.bytes(PATH);
        bytes.resize(len, 0);
        world.server.put(PATH, bytes);
        world.assert_fails(world.fetch(), &["package aa 1-2", "expected 300000"]);
    }
}

#[test]
fn two_runs_at_once_share_one_download() {
    let world = world();
    world.server.fail(PATH, Fault::Slow { step: 60_000, pause: Duration::from_millis(100) });
    std::thread::scope(|scope| {
        let runs = [(); 2].map(|()| scope.spawn(|| world.fetch().unwrap()));
        for run in runs {
            world.assert_fetched(&run.join().unwrap());
        }
    });
    assert_eq!(world.server.requests(), [PATH]);
}
