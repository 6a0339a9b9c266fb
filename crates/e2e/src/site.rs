//! An update server of a scenario: a folder with payloads and a channel file, served on the host's loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use file_server::Server;
use payload::channel::Channel;
use payload::{ENVELOPE_MAX, Envelope, Kind, SecretKey, seal};

use crate::guest::Guest;
use crate::image::Image;
use crate::lab::Lab;

/// The committed pair that the image under test trusts.
const KEY: &str = include_str!("../../../image/keys/development.key");
/// The host, as QEMU's user network shows it to the guest.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const CHANNEL: &str = "stable";
const VALID_SECS: u64 = 3600;

/// A running server.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    server: Server,
}

impl Site {
    /// Serves an empty folder of the scenario.
    pub fn start(lab: &Lab) -> anyhow::Result<Self> {
        let dir = lab.folder("site")?;
        for name in ["channels", "payloads"] {
            fs::create_dir_all(dir.join(name)).with_context(|| format!("creating {}", dir.display()))?;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(&dir, address, |_| {}).context("starting the update server")?;
        Ok(Self { dir, server })
    }

    /// Returns its base URL, as the guest reaches it.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}", self.server.address().port())
    }

    /// Makes the machine ask this server, and often.
    pub fn tell(&self, guest: &Guest) -> anyhow::Result<()> {
        // No time server answers here, and the agent would wait five minutes for one.
        guest.root("mkdir -p /run/systemd/timesync; touch /run/systemd/timesync/synchronized")?;
        let settings = "printf 'SERVER=%s\\nPOLL_INTERVAL=10s\\n'";
        let file = "/etc/slipway/update.conf";
        guest.root(&format!("mkdir -p /etc/slipway; {settings} {} > {file}", self.url())).map(drop)
    }

    /// Offers `image` as the `sequence`-th file of the channel.
    pub fn offer(&self, image: &Image, sequence: u64) -> anyhow::Result<()> {
        let from = &image.payload;
        let name = format!("{}_{}.payload", image.product, image.version);
        let to = self.dir.join("payloads").join(&name);
        fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        let head = head(image)?;
        let envelope = Envelope::parse(Kind::Payload, &head)?;
        let issued = now()?;
        let channel = Channel {
            product: image.product.clone(),
            channel: CHANNEL.to_owned(),
            version: image.version.to_string(),
            sequence,
            issued,
            expires: issued + VALID_SECS,
            locations: vec![format!("../payloads/{name}")],
            manifest_sha256: envelope.digest(),
            payload_len: fs::metadata(from)?.len(),
            waves: vec![],
        };
        channel.check().context("making the channel file")?;
        let file = seal(Kind::Channel, &channel.to_json(), &[SecretKey::parse(KEY)?])?;
        let path = self.dir.join("channels").join(format!("{CHANNEL}.channel"));
        let temporary = path.with_extension("new");
        fs::write(&temporary, file).with_context(|| format!("writing {}", temporary.display()))?;
        fs::rename(&temporary, &path).with_context(|| format!("renaming to {}", path.display()))
    }
}

fn head(image: &Image) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let file =
        fs::File::open(&image.payload).with_context(|| format!("opening {}", image.payload.display()))?;
    let mut head = vec![];
    file.take(ENVELOPE_MAX).read_to_end(&mut head)?;
    Ok(head)
}

#[expect(clippy::disallowed_methods, reason = "the guest judges by its own clock whether the file is fresh")]
fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs())
}
