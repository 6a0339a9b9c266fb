//! Amazon EC2's metadata service, version 2: questions carry a token of a session.

use agent_support::host::Host;
use http_get::{Ask, Error, Url};

use super::{Asker, Given, Reach, Source, below, known, smbios};
use crate::metadata::{Addresses, Metadata};

/// Where the service is.
pub const SERVICE: &str = "http://169.254.169.254";
/// For as long as the questions of one run may take.
const TOKEN_SECONDS: &str = "600";
const VERSION: &str = "2009-04-04";

/// The source.
pub static SOURCE: Source = Source { name: "ec2", reach: Reach::Network, find, read };

fn find(host: &Host) -> anyhow::Result<Option<String>> {
    let is_nitro = smbios::field(host, "sys_vendor")? == "Amazon EC2";
    let is_xen = smbios::field(host, "bios_version")?.ends_with("amazon");
    Ok((is_nitro || is_xen).then(|| SERVICE.to_owned()))
}

fn read(asker: &Asker, at: &str) -> anyhow::Result<Given> {
    let token = token(asker, at)?;
    let headers: Vec<_> = token.iter().map(|token| ("X-aws-ec2-metadata-token", token.as_str())).collect();
    let text = |name: &str| asker.get_text(&below(at, &format!("{VERSION}/meta-data/{name}")), &headers);
    let mut metadata = Metadata {
        hostname: text("hostname")?.and_then(|names| names.split_whitespace().next().map(str::to_owned)),
        addresses: Addresses {
            private_ipv4: known(text("local-ipv4")?),
            public_ipv4: known(text("public-ipv4")?),
            ..Addresses::default()
        },
        ..Metadata::default()
    };
    // A list of lines `0=name`.
    let list = text("public-keys")?.unwrap_or_default();
    for (number, name) in list.lines().filter_map(|line| line.split_once('=')) {
        if let Some(key) = text(&format!("public-keys/{number}/openssh-key"))? {
            metadata.public_keys.insert(name.to_owned(), key);
        }
    }
    let user_data = asker.get_any(&below(at, &format!("{VERSION}/user-data")), &headers)?;
    Ok(Given { user_data: user_data.unwrap_or_default(), metadata })
}

/// Opens a session; services that are only like this one know of none.
fn token(asker: &Asker, at: &str) -> anyhow::Result<Option<String>> {
    let url = Url::parse(&below(at, "latest/api/token"))?;
    let headers = [("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)];
    let ask = Ask { method: "PUT".parse()?, private: &headers, ..Ask::get(&url) };
    match asker.ask(&ask)? {
        Ok(bytes) => Ok(Some(String::from_utf8(bytes)?.trim().to_owned())),
        Err(Error::Missing { .. } | Error::Answer { field: "status", .. }) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

#[cfg(test)]
mod tests {
    use agent_support::testing::Tree;
    use http_get::testing::{Answer, Question, Server};

    use super::*;
    use crate::source::testing::{asker, key};

    fn answer(question: &Question) -> Answer {
        match question.line.as_str() {
            "GET /2009-04-04/user-data" => Answer::ok("#cloud-config\n"),
            "GET /2009-04-04/meta-data/hostname" => Answer::ok("b b.example.org"),
            "GET /2009-04-04/meta-data/local-ipv4" => Answer::ok("10.0.0.5"),
            "GET /2009-04-04/meta-data/public-ipv4" => Answer::ok("198.51.100.5"),
            "GET /2009-04-04/meta-data/public-keys" => Answer::ok("0=mine\n1=hers"),
            "GET /2009-04-04/meta-data/public-keys/0/openssh-key" => Answer::ok(key('A')),
            "GET /2009-04-04/meta-data/public-keys/1/openssh-key" => Answer::ok(key('B')),
            _ => Answer::status(404),
        }
    }

    #[test]
    fn questions_carry_the_token_of_a_session() {
        let server = Server::start(|question, _| {
            if question.line == "PUT /latest/api/token" {
                let asks = question.headers.contains("x-aws-ec2-metadata-token-ttl-seconds: 600\n");
                return if asks { Answer::ok("secret") } else { Answer::status(400) };
            }
            match question.headers.contains("x-aws-ec2-metadata-token: secret\n") {
                true => answer(question),
                false => Answer::status(401),
            }
        });
        let given = read(&asker(), &server.url("/")).unwrap();
        assert_eq!(given.user_data, b"#cloud-config\n");
        assert_eq!(given.metadata.hostname.as_deref(), Some("b"));
        assert_eq!(
            given.metadata.public_keys.into_iter().collect::<Vec<_>>(),
            [("hers".to_owned(), key('B')), ("mine".to_owned(), key('A'))]
        );
        assert_eq!(given.metadata.addresses.public_ipv4.map(|ip| ip.octets()), Some([198, 51, 100, 5]));
    }

    #[test]
    fn a_service_without_sessions_is_asked_without() {
        let server = Server::start(|question, _| answer(question));
        assert_eq!(read(&asker(), &server.url("")).unwrap().user_data, b"#cloud-config\n");
    }

    #[test]
    fn the_firmware_names_amazon() {
        let tree = Tree::new();
        assert_eq!(find(&tree.host).unwrap(), None);
        tree.file("/sys/class/dmi/id/bios_version", "4.11.amazon\n");
        assert_eq!(find(&tree.host).unwrap().as_deref(), Some(SERVICE));
        tree.file("/sys/class/dmi/id/bios_version", "1.0\n");
        tree.file("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        assert_eq!(find(&tree.host).unwrap().as_deref(), Some(SERVICE));
    }
}
