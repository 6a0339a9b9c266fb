//! Publishing made-up payloads into temporary folders.

use payload::channel::Wave;

use super::*;
use crate::payload_file::made::{Made, SEED};

const NOW: u64 = 1_800_000_000;

/// Keys, payloads and the served folder of one test.
struct Desk {
    dir: tempfile::TempDir,
    cancel: Cancel,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap(), cancel: Cancel::on_signals().unwrap() };
        desk.add_key(SEED);
        desk
    }

    fn add_key(&self, seed: u8) -> payload::KeyId {
        let key = payload::SecretKey::from_seed([seed; 32]);
        let dir = self.dir.path().join("keys");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{seed}.key")), key.to_file("test")).unwrap();
        fs::write(dir.join(format!("{seed}.pub")), key.public().to_file("test")).unwrap();
        key.public().id()
    }

    fn keys(&self) -> Keys {
        Keys::read_dir(&self.dir.path().join("keys")).unwrap()
    }

    fn args(&self) -> flags::Publish {
        flags::Publish {
            channel: "stable".to_owned(),
            to: self.dir.path().join("site"),
            payload: None,
            keys: None,
            sequence: None,
            expires_days: 30,
            wave: vec![],
            url: vec![],
            allow_older: false,
        }
    }

    fn publish_at(&self, args: &flags::Publish, payload: &Path, now: u64) -> Result<Channel, String> {
        publish(args, &self.keys(), payload, now, &Log::new(false), &self.cancel)
            .map_err(|err| format!("{err:#}"))
    }

    fn publish(&self, args: &flags::Publish, version: &str) -> Result<Channel, String> {
        self.publish_at(args, &Made::new(version).write(self.dir.path()), NOW)
    }

    fn channel_file(&self) -> PathBuf {
        self.dir.path().join("site/channels/stable.channel")
    }
}

#[test]
fn writes_a_tree_that_a_machine_believes() {
    let desk = Desk::new();
    let args = flags::Publish { wave: vec!["0,0,10".to_owned(), "1d,2d,90".to_owned()], ..desk.args() };
    let offer = desk.publish(&args, "0.2.0").unwrap();
    let bytes = fs::read(desk.channel_file()).unwrap();
    let envelope = Envelope::parse(Kind::Channel, &bytes).unwrap();
    assert_eq!(envelope.len, bytes.len());
    desk.keys().trust().verify(&envelope).unwrap();
    assert_eq!(Channel::parse(envelope.body).unwrap(), offer);
    assert_eq!((offer.sequence, offer.issued, offer.expires), (1, NOW, NOW + 30 * DAY_SECS));
    assert_eq!(offer.waves[1], Wave { start: 86_400, duration: 172_800, percent: 90 });
    assert_eq!(offer.locations, ["../payloads/slipway_0.2.0.payload"]);
    let served = desk.dir.path().join("site/payloads/slipway_0.2.0.payload");
    let made = Made::new("0.2.0");
    assert_eq!(fs::read(&served).unwrap(), made.bytes);
    assert_eq!(offer.payload_len, u64::try_from(made.bytes.len()).unwrap());
    assert_eq!(offer.manifest_sha256, payload_file::inspect(&served).unwrap().digest);
}

#[test]
fn sequences_count_up_and_never_down() {
    let desk = Desk::new();
    let args = desk.args();
    assert_eq!(desk.publish(&args, "0.2.0").unwrap().sequence, 1);
    assert_eq!(desk.publish(&args, "0.2.0").unwrap().sequence, 2);
    assert_eq!(desk.publish(&args, "0.3.0").unwrap().sequence, 3);
    let with = |sequence| flags::Publish { sequence: Some(sequence), ..desk.args() };
    let error = desk.publish(&with(3), "0.3.0").unwrap_err();
    assert!(error.contains("--sequence 3: the published file has 3"), "{error}");
    assert_eq!(desk.publish(&with(40), "0.3.0").unwrap().sequence, 40);
    assert_eq!(desk.publish(&args, "0.3.0").unwrap().sequence, 41);
    assert_eq!(desk.publish(&with(u64::MAX), "0.3.0").unwrap().sequence, u64::MAX);
    assert!(desk.publish(&args, "0.3.0").unwrap_err().contains("the last that there can be"));
    let beta = flags::Publish { channel: "beta".to_owned(), ..desk.args() };
    assert_eq!(desk.publish(&beta, "0.3.0").unwrap().sequence, 1);
}

#[test]
fn an_older_version_is_offered_only_when_it_is_meant() {
    let desk = Desk::new();
    desk.publish(&desk.args(), "0.3.0").unwrap();
    let before = fs::read(desk.channel_file()).unwrap();
    let error = desk.publish(&desk.args(), "0.2.0").unwrap_err();
    assert!(error.contains("machines that run 0.3.0 refuse it and stay"), "{error}");
    assert_eq!(fs::read(desk.channel_file()).unwrap(), before);
    assert!(!desk.dir.path().join("site/payloads/slipway_0.2.0.payload").exists());
    let args = flags::Publish { allow_older: true, ..desk.args() };
    let offer = desk.publish(&args, "0.2.0").unwrap();
    assert_eq!((offer.version.as_str(), offer.sequence), ("0.2.0", 2));
}

#[test]
fn a_version_is_published_once() {
    let desk = Desk::new();
    desk.publish(&desk.args(), "0.2.0").unwrap();
    // Another signature is another file, and the same manifest.
    desk.add_key(8);
    let other = Made::signed_by("0.2.0", 8).write(desk.dir.path());
    let error = desk.publish_at(&desk.args(), &other, NOW).unwrap_err();
    assert!(error.contains("is there already and differs"), "{error}");
}

#[test]
fn a_payload_that_nobody_trusted_signed_or_that_is_damaged_is_not_published() {
    let desk = Desk::new();
    let foreign = Made::signed_by("0.2.0", 9).write(desk.dir.path());
    let error = desk.publish_at(&desk.args(), &foreign, NOW).unwrap_err();
    assert!(error.contains("no trusted key signed it"), "{error}");
    let mut made = Made::new("0.2.0");
    let last = made.bytes.len() - 1;
    made.bytes[last] ^= 1;
    let error = desk.publish_at(&desk.args(), &made.write(desk.dir.path()), NOW).unwrap_err();
    assert!(error.contains("block 129 of /usr"), "{error}");
    assert!(!desk.dir.path().join("site").exists());
}

#[test]
fn all_keys_sign_but_the_retired_and_their_old_file_still_counts() {
    let desk = Desk::new();
    let second = desk.add_key(8);
    desk.publish(&desk.args(), "0.2.0").unwrap();
    let signers = || {
        let bytes = fs::read(desk.channel_file()).unwrap();
        let envelope = Envelope::parse(Kind::Channel, &bytes).unwrap();
        envelope.signatures.iter().map(|signature| signature.key).collect::<Vec<_>>()
    };
    assert_eq!(signers().len(), 2);
    let first = payload::SecretKey::from_seed([SEED; 32]).public().id();
    fs::write(desk.dir.path().join("keys/retired"), first.to_string()).unwrap();
    let payload = Made::signed_by("0.3.0", 8).write(desk.dir.path());
    assert_eq!(desk.publish_at(&desk.args(), &payload, NOW).unwrap().sequence, 2);
    assert_eq!(signers(), [second]);
    fs::remove_file(desk.dir.path().join("keys/8.key")).unwrap();
    assert!(desk.publish_at(&desk.args(), &payload, NOW).unwrap_err().contains("no secret key"));
}

#[test]
fn a_clock_that_went_back_is_noticed() {
    let desk = Desk::new();
    desk.publish(&desk.args(), "0.2.0").unwrap();
    let payload = Made::new("0.2.0").write(desk.dir.path());
    let error = desk.publish_at(&desk.args(), &payload, NOW - 5).unwrap_err();
    assert!(error.contains("5 seconds ahead"), "{error}");
}

#[test]
fn urls_of_folders_get_the_name_and_bad_names_are_refused() {
    let desk = Desk::new();
    let url = vec!["https://a.example/p/".to_owned(), "https://b.example/x.payload".to_owned()];
    let offer = desk.publish(&flags::Publish { url, ..desk.args() }, "0.2.0").unwrap();
    assert_eq!(offer.locations, ["https://a.example/p/slipway_0.2.0.payload", "https://b.example/x.payload"]);
    let args = flags::Publish { channel: "../up".to_owned(), ..desk.args() };
    assert!(desk.publish(&args, "0.2.0").unwrap_err().contains("field `channel`"));
    let args = flags::Publish { wave: vec!["0,1h,50".to_owned()], ..desk.args() };
    assert!(desk.publish(&args, "0.2.0").unwrap_err().contains("100 percent together"));
}

#[test]
fn a_published_tree_is_served_by_range() {
    let desk = Desk::new();
    desk.publish(&desk.args(), "0.2.0").unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = file_server::Server::start(&desk.dir.path().join("site"), address, |_| {}).unwrap();
    let url = format!("{}payloads/slipway_0.2.0.payload", server.url());
    let mut answer = ureq::get(&url).header("Range", "bytes=4096-8191").call().unwrap();
    assert_eq!(answer.status(), 206);
    assert_eq!(answer.body_mut().read_to_vec().unwrap(), Made::new("0.2.0").bytes[4096..8192]);
    let hidden = ureq::get(&format!("{}channels/.lock", server.url())).call().unwrap_err();
    assert!(matches!(hidden, ureq::Error::StatusCode(404)), "{hidden}");
}
