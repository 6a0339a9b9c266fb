//! A place that a payload can be taken from: a URL or a file.

use std::fmt;
use std::path::PathBuf;

use agent_support::host::Host;

use crate::source::{Client, FileSource, HttpSource, Limits, Source, Traffic};
use http_get::Url;

/// A URL or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a web server.
    Web(Url),
    /// On this machine.
    File(PathBuf),
}

impl Place {
    /// Reads what an operator names: a URL, or else a path.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if text.contains("://") {
            Ok(Self::Web(Url::parse(text)?))
        } else {
            Ok(Self::File(PathBuf::from(text)))
        }
    }

    /// Opens the place; of a web server nothing is asked yet.
    pub fn open(&self, host: &Host, limits: &Limits, traffic: &Traffic) -> anyhow::Result<Box<dyn Source>> {
        Ok(match self {
            Self::Web(url) => {
                Box::new(HttpSource::new(url.clone(), Client::new(host, limits, traffic, url)?))
            }
            Self::File(path) => Box::new(FileSource::open(path)?),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => write!(f, "{url}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_from_a_path() {
        let shown = |text| Place::parse(text).map(|place| format!("{place:?}")).unwrap_or_default();
        assert!(shown("http://u.example/2.payload").starts_with("Web("));
        assert_eq!(shown("/tmp/2.payload"), "File(\"/tmp/2.payload\")");
        assert_eq!(shown("ftp://u.example/2.payload"), "");
    }
}
