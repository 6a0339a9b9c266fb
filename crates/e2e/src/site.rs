//! An update server of a scenario: a folder with payloads and a channel file, served on the host's loopback through
//! a connection that can be cut.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use file_server::Server;
use payload::channel::Channel;
use payload::{Envelope, Kind, seal};
use vm::machine::HOST;

use crate::guest::Guest;
use crate::image::Image;
use crate::lab::Lab;
use crate::tap::Tap;
use crate::variant::{self, Variant};

const CHANNEL: &str = "stable";
const VALID_SECS: u64 = 3600;
/// No time server answers here, and the agent would wait five minutes for one in each boot.
const TAKE_AT_ONCE: &str = "
mkdir -p /run/systemd/timesync; touch /run/systemd/timesync/synchronized
echo 'f /run/systemd/timesync/synchronized' > /etc/tmpfiles.d/e2e.conf";

/// A running server.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    /// The way to it.
    pub tap: Tap,
    answers: Arc<Mutex<Vec<String>>>,
    _server: Server,
}

impl Site {
    /// Serves an empty folder of the scenario.
    pub fn start(lab: &Lab) -> anyhow::Result<Self> {
        let dir = lab.folder("site")?;
        for name in ["channels", "payloads"] {
            fs::create_dir_all(dir.join(name)).with_context(|| format!("creating {}", dir.display()))?;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let answers = Arc::new(Mutex::new(vec![]));
        let log = Arc::clone(&answers);
        let note = move |line: &str| log.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        let server = Server::start(&dir, address, note).context("starting the update server")?;
        let tap = Tap::open(server.address())?;
        Ok(Self { dir, tap, answers, _server: server })
    }

    /// Returns how often a range was asked for that begins at byte `start` of the `sequence`-th file's payload.
    pub fn times_asked(&self, sequence: u64, start: u64) -> usize {
        let request = format!("/payloads/{sequence}.payload bytes={start}-");
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter(|line| line.contains(&request)).count()
    }

    /// Returns its base URL, as the guest reaches it.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}", self.tap.address().port())
    }

    /// Returns the file that is served at `payloads/<name>`.
    pub fn payload(&self, name: &str) -> PathBuf {
        self.dir.join("payloads").join(name)
    }

    /// Makes the machine ask this server, often and without waiting for its clock, in this boot and later ones.
    /// `strategy` says who reboots.
    pub fn tell(&self, guest: &Guest, strategy: &str) -> anyhow::Result<()> {
        guest.root(TAKE_AT_ONCE)?;
        let url = self.url();
        let settings = format!("SERVER={url}\nPOLL_INTERVAL=10s\nREBOOT_STRATEGY={strategy}\n");
        guest
            .root(&format!("mkdir -p /etc/slipway; printf '{settings}' > /etc/slipway/update.conf"))
            .map(drop)
    }

    /// Offers `image` as the `sequence`-th file of the channel.
    pub fn offer(&self, image: &Image, sequence: u64) -> anyhow::Result<()> {
        let path = self.payload(&format!("{sequence}.payload"));
        fs::copy(&image.payload, &path).with_context(|| format!("copying {}", image.payload.display()))?;
        self.announce(&path, sequence)
    }

    /// Offers a version that was never built.
    pub fn offer_variant(&self, variant: &Variant<'_>, sequence: u64) -> anyhow::Result<()> {
        let path = self.payload(&format!("{sequence}.payload"));
        variant.write(&path)?;
        self.announce(&path, sequence)
    }

    fn announce(&self, payload: &Path, sequence: u64) -> anyhow::Result<()> {
        let (manifest, head) = variant::head(payload)?;
        let issued = now()?;
        let channel = Channel {
            product: manifest.product,
            channel: CHANNEL.to_owned(),
            version: manifest.version,
            sequence,
            issued,
            expires: issued + VALID_SECS,
            locations: vec![format!("../payloads/{sequence}.payload")],
            manifest_sha256: Envelope::parse(Kind::Payload, &head)?.digest(),
            payload_len: fs::metadata(payload)?.len(),
            waves: vec![],
        };
        channel.check().context("making the channel file")?;
        let file = seal(Kind::Channel, &channel.to_json(), &[variant::key()?])?;
        let path = self.dir.join("channels").join(format!("{CHANNEL}.channel"));
        let temporary = path.with_extension("new");
        fs::write(&temporary, file).with_context(|| format!("writing {}", temporary.display()))?;
        fs::rename(&temporary, &path).with_context(|| format!("renaming to {}", path.display()))?;
        // The one before is not asked for any more, and folders of payloads fill a disk.
        let before = self.payload(&format!("{}.payload", sequence - 1));
        match fs::remove_file(&before) {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                Err(err).with_context(|| format!("removing {}", before.display()))
            }
            _ => Ok(()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the guest judges by its own clock whether the file is fresh")]
fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}
