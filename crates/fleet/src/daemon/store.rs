//! The client of the store, by the settings.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use etcd_rpc::{Client, Config, Identity, Tls};

use crate::config::Etcd;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("reading {}, which {option} names: {err}; make it readable for fleetd, or name another", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// By which option.
        option: &'static str,
        /// Why.
        err: io::Error,
    },
    /// Something that the client cannot use.
    #[error(transparent)]
    Refused(#[from] etcd_rpc::Error),
}

/// Makes a client. It connects when it is used.
///
/// # Errors
/// When a file cannot be read, or endpoints and certificates do not fit.
pub fn client(settings: &Etcd) -> Result<Client, Error> {
    let tls = match &settings.ca {
        Some(ca) => Some(Tls {
            ca: read(ca, "etcd_cafile")?,
            identity: match &settings.identity {
                Some(files) => Some(Identity {
                    certificate: read(&files.certificate, "etcd_certfile")?,
                    key: read(&files.key, "etcd_keyfile")?,
                }),
                None => None,
            },
        }),
        None => None,
    };
    let (endpoints, user, timeout) = (settings.servers.clone(), settings.user.clone(), settings.timeout);
    Ok(Client::new(Config { endpoints, tls, user, timeout })?)
}

fn read(path: &Path, option: &'static str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|err| Error::Unreadable { path: path.to_owned(), option, err })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Source, load};

    fn settings(text: &str) -> Etcd {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fleet.conf");
        fs::write(&path, text).unwrap();
        let Loaded { config, .. } = load(Source::Named(&path), []).unwrap();
        config.etcd
    }

    #[tokio::test]
    async fn the_defaults_make_a_client() {
        client(&settings("")).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_missing_is_named_with_its_option() {
        let err = client(&settings("etcd_servers=https://127.0.0.1:1\netcd_cafile=/nonexistent/ca\n"));
        let text = err.unwrap_err().to_string();
        assert!(text.starts_with("reading /nonexistent/ca, which etcd_cafile names: "), "{text}");
    }
}
