//! A URL on the kernel's command line: `cloud-config-url=URL`.

use agent_support::host::Host;

use super::{Asker, Given, Reach, Source};
use crate::metadata::Metadata;

/// The source.
pub static SOURCE: Source = Source { name: "cmdline", reach: Reach::Network, find, read };

/// The same for a URL that is known.
pub static URL: Source = Source { name: "url", reach: Reach::Network, find: |_| Ok(None), read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    let arguments = host.kernel_args()?;
    let url = |argument: &String| {
        let (name, url) = argument.split_once('=')?;
        let is_it = ["cloud-config-url", "cloud_config_url"].contains(&name) && !url.is_empty();
        is_it.then(|| url.to_owned())
    };
    // The last one counts.
    Ok(arguments.iter().rev().find_map(url))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    Ok(Given { user_data: asker.get(at, &[])?, metadata: Metadata::default() })
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;
    use http_get::testing::{Answer, Server};

    use super::*;
    use crate::source::testing::asker;

    #[test]
    fn the_last_argument_with_a_value_counts() {
        let tree = Tree::new();
        let line =
            "cloud-config-url=http://a/ cloud_config_url=http://b/?c=d cloud-config-url= cloud-config-url\n";
        tree.file("/proc/cmdline", line);
        assert_eq!(find(&tree.host).unwrap().as_deref(), Some("http://b/?c=d"));
        tree.file("/proc/cmdline", "quiet cloud-config-url\n");
        assert_eq!(find(&tree.host).unwrap(), None);
    }

    #[test]
    fn a_server_gives_user_data_alone() {
        let server = Server::start(|_, _| Answer::ok("#cloud-config\n"));
        let given = read(&asker(), &server.url("/a")).unwrap();
        assert_eq!(given, Given { user_data: b"#cloud-config\n".to_vec(), ..Given::default() });
        assert!(read(&asker(), "ftp://a/").is_err());
    }
}
