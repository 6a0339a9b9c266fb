//! The mirror: where it comes from, and getting a file of it, whole or from a position on.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

#[cfg(test)]
pub mod mock;
pub mod sources;

/// Variable that names the mirror.
pub const VARIABLE: &str = "SLIPWAY_MIRROR";

/// How long and how often a slow or broken mirror is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection or the head of an answer has to be there.
    pub answer: Duration,
    /// Longest silence in the middle of a file.
    pub silence: Duration,
    /// Tries in a row that bring no byte.
    pub tries: u32,
    /// Wait after the first of them; doubled after each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { answer: secs(30), silence: secs(30), tries: 4, pause: Duration::from_millis(500) }
    }
}

/// A base URL or folder below which the archive folders lie.
#[derive(Clone, Debug)]
pub struct Mirror {
    base: Base,
    /// What the callers have to keep to.
    pub patience: Patience,
}

#[derive(Clone, Debug)]
enum Base {
    Web { url: String, agent: ureq::Agent },
    Folder(PathBuf),
}

/// A mirror's answer.
pub enum Answer {
    /// The file's bytes, starting at `from`.
    Body {
        /// Zero when the mirror knows no ranges, otherwise the position asked for.
        from: u64,
        /// The bytes.
        reader: Box<dyn Read + Send>,
    },
    /// The mirror is there, the file is not.
    Gone,
    /// The position asked for is behind the file's end.
    PastEnd,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { from, .. } => write!(f, "Body {{ from: {from} }}"),
            Self::Gone => f.write_str("Gone"),
            Self::PastEnd => f.write_str("PastEnd"),
        }
    }
}

/// Finds the mirror: the flag, SLIPWAY_MIRROR, the definition, and the apt sources of a Debian host, in this
/// order.
pub fn find(flag: Option<&str>, definition: Option<&str>) -> anyhow::Result<Mirror> {
    let variable = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
    let base = choose(flag, variable.as_deref(), definition, Path::new("/etc/apt"))?;
    Mirror::open(&base, Patience::default())
}

/// The same for given places.
fn choose(
    flag: Option<&str>,
    variable: Option<&str>,
    definition: Option<&str>,
    apt: &Path,
) -> anyhow::Result<String> {
    if let Some(base) = flag.or(variable).or(definition) {
        return Ok(base.to_owned());
    }
    sources::base(apt)?.with_context(|| {
        format!(
            "no mirror is known, because this host has no Debian sources in {}: give a base URL below which \
             debian/ and debian-security/ lie with --mirror URL, with {VARIABLE}, or with `mirror:` in \
             image/image.yaml",
            apt.display()
        )
    })
}

impl Mirror {
    /// Takes an http or https URL, a `file:` URL or an absolute path.
    pub fn open(base: &str, patience: Patience) -> anyhow::Result<Self> {
        let folder = base.strip_prefix("file://").or_else(|| base.strip_prefix("file:")).unwrap_or(base);
        let base = base.trim_end_matches('/');
        let base = if folder.starts_with('/') {
            Base::Folder(PathBuf::from(folder))
        } else if base.starts_with("http://") || base.starts_with("https://") {
            let mut config = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_connect(Some(patience.answer))
                .timeout_recv_response(Some(patience.answer))
                .timeout_per_read(Some(patience.silence))
                .user_agent("slipway-build");
            // The proxy of the environment is the default, but it cannot reach this machine's own servers.
            if is_loopback(base) {
                config = config.proxy(None);
            }
            let agent = config.build().into();
            Base::Web { url: base.to_owned(), agent }
        } else {
            bail!("the mirror `{base}` is neither an http(s) URL nor an absolute path");
        };
        Ok(Self { base, patience })
    }

    /// Asks for a file from a position on. Errors are those worth another try: no connection, no answer, a
    /// server's failure.
    pub fn get(&self, path: &str, from: u64) -> anyhow::Result<Answer> {
        match &self.base {
            Base::Folder(dir) => get_from_folder(&dir.join(path), from),
            Base::Web { url, agent } => get_from_web(agent, &format!("{url}/{path}"), from),
        }
        .with_context(|| format!("getting {path} from the mirror {self}"))
    }

    /// Returns a whole small file, of `limit` bytes at most, or none when the mirror lacks it.
    pub fn bytes(&self, path: &str, limit: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let (mut pause, mut tries) = (self.patience.pause, 1);
        loop {
            let before = bytes.len();
            match self.append(path, limit, &mut bytes) {
                // What has come already is kept, and a try that brought something starts the count anew.
                Err(_) if before < bytes.len() => (pause, tries) = (self.patience.pause, 1),
                Err(err) if self.patience.tries <= tries => {
                    return Err(err).with_context(|| format!("trying {tries} times"));
                }
                Err(_) => {
                    std::thread::sleep(pause);
                    (pause, tries) = (pause * 2, tries + 1);
                }
                Ok(false) => return Ok(None),
                Ok(true) if limit < u64::try_from(bytes.len())? => {
                    bail!("getting {path} from the mirror {self}: it has more than {limit} bytes")
                }
                Ok(true) => return Ok(Some(bytes)),
            }
        }
    }

    /// Gets the rest of a file, one byte more than `limit` at most. Returns whether the mirror has it.
    fn append(&self, path: &str, limit: u64, bytes: &mut Vec<u8>) -> anyhow::Result<bool> {
        let reader = match self.get(path, u64::try_from(bytes.len())?)? {
            Answer::Gone => return Ok(false),
            Answer::PastEnd => return Ok(true),
            Answer::Body { from, reader } => {
                bytes.truncate(usize::try_from(from)?);
                reader
            }
        };
        let rest = limit.saturating_add(1).saturating_sub(u64::try_from(bytes.len())?);
        let res = reader.take(rest).read_to_end(bytes);
        res.with_context(|| format!("getting {path} from the mirror {self}"))?;
        Ok(true)
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.base {
            Base::Web { url, .. } => f.write_str(url),
            Base::Folder(dir) => write!(f, "{}", dir.display()),
        }
    }
}

/// Tells whether a URL names this machine.
fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start))
}

fn get_from_folder(path: &Path, from: u64) -> anyhow::Result<Answer> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Answer::Gone),
        Err(err) => return Err(err.into()),
    };
    if fs::metadata(path)?.len() < from {
        return Ok(Answer::PastEnd);
    }
    file.seek(SeekFrom::Start(from))?;
    Ok(Answer::Body { from, reader: Box::new(file) })
}

fn get_from_web(agent: &ureq::Agent, url: &str, from: u64) -> anyhow::Result<Answer> {
    let mut request = agent.get(url);
    if from != 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    let answer = request.call()?;
    let start = match answer.status().as_u16() {
        200 => 0,
        206 => {
            let range = answer.headers().get("Content-Range").and_then(|value| value.to_str().ok());
            let start =
                range.and_then(|value| value.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
            match start {
                Some(start) if start == from => from,
                _ => bail!("asked for bytes from {from} on, answered with `{}`", range.unwrap_or_default()),
            }
        }
        404 | 410 => return Ok(Answer::Gone),
        416 => return Ok(Answer::PastEnd),
        status => bail!("the mirror answered {status}"),
    };
    Ok(Answer::Body { from: start, reader: Box::new(answer.into_body().into_reader()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_names_a_mirror_wins() {
        let none = Path::new("/nonexistent");
        let chosen = |flag, variable, definition| choose(flag, variable, definition, none).unwrap();
        assert_eq!(chosen(Some("a"), Some("b"), Some("c")), "a");
        assert_eq!(chosen(None, Some("b"), Some("c")), "b");
        assert_eq!(chosen(None, None, Some("c")), "c");
        let err = choose(None, None, None, none).unwrap_err().to_string();
        for says in ["--mirror URL", VARIABLE, "`mirror:` in image/image.yaml"] {
            assert!(err.contains(says), "{err}");
        }
    }

    #[test]
    fn takes_urls_and_absolute_paths_only() {
        let open = |base| Mirror::open(base, Patience::default()).map(|mirror| mirror.to_string());
        assert_eq!(open("http://example.org/x/").unwrap(), "http://example.org/x");
        assert_eq!(open("file:///srv/mirror").unwrap(), "/srv/mirror");
        assert_eq!(open("file:/srv/mirror").unwrap(), "/srv/mirror");
        for base in ["", "srv", "ftp://example.org"] {
            assert!(open(base).is_err(), "{base}");
        }
    }

    #[test]
    fn knows_this_machines_own_names() {
        let own = ["http://localhost", "http://127.0.0.1:80/x", "https://[::1]/"];
        assert!(own.iter().all(|url| is_loopback(url)));
        assert!(!is_loopback("http://mirror.example/127.0.0.1"));
    }

    #[test]
    fn reads_a_folder_from_a_position_on() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "0123").unwrap();
        let mirror = Mirror::open(dir.path().to_str().unwrap(), Patience::default()).unwrap();
        let Answer::Body { from: 2, mut reader } = mirror.get("a", 2).unwrap() else { panic!() };
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "23");
        assert!(matches!(mirror.get("b", 0).unwrap(), Answer::Gone));
        assert!(matches!(mirror.get("a", 5).unwrap(), Answer::PastEnd));
        assert_eq!(mirror.bytes("a", 4).unwrap().unwrap(), b"0123");
        assert!(mirror.bytes("b", 4).unwrap().is_none());
    }
}
