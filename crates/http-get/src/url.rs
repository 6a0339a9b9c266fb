//! The little of URLs that a client needs (RFC 3986): telling http from https, and resolving a reference.

/// An http or https URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    authority: String,
    /// From its first slash, with the query.
    path: String,
}

/// The schemes that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`.
    Http,
    /// `https`.
    Https,
}

/// Why a text is no URL that is followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or no host.
    #[error("`{found}` is no http:// or https:// URL")]
    Form {
        /// The text.
        found: String,
    },
}

impl Url {
    /// Reads an absolute URL; a fragment is dropped.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let fails =
            || UrlError::Form { found: text.chars().take(200).flat_map(char::escape_debug).collect() };
        let plain = text.split('#').next().unwrap_or_default();
        if !plain.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fails());
        }
        let (scheme, rest) = plain.split_once("://").ok_or_else(fails)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(fails()),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // Credentials in a location would be sent to whoever a redirect names.
        if authority.is_empty() || authority.contains('@') {
            return Err(fails());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, authority: authority.to_owned(), path })
    }

    /// Resolves a reference against this URL: absolute, `//host/path`, `/path` or a path beside it.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let is_absolute = reference.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':'));
        if is_absolute {
            return Self::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.name()));
        }
        let path = if reference.starts_with('/') {
            reference.to_owned()
        } else {
            let own = self.path.split('?').next().unwrap_or_default();
            let dir = own.rfind('/').map_or("/", |end| &own[..=end]);
            format!("{dir}{reference}")
        };
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        Self::parse(&format!("{}://{}{}{query}", self.scheme.name(), self.authority, without_dots(path)))
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns whether it names the same server.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        (self.scheme, &self.authority) == (other.scheme, &other.authority)
    }

    /// Returns whether it names this machine, which no proxy can reach.
    pub fn is_loopback(&self) -> bool {
        ["localhost", "127.", "[::1]"].iter().any(|start| self.authority.starts_with(start))
    }

    /// Returns whether it names this machine or one on the same link, such as a metadata service: a proxy would
    /// ask for another machine.
    pub fn is_near(&self) -> bool {
        let starts = ["169.254.", "[fe80:", "[fd00:ec2::", "metadata.google.internal"];
        self.is_loopback() || starts.iter().any(|start| self.authority.starts_with(start))
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority, self.path)
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Removes `.` and `..` (RFC 3986, section 5.2.4); none leads above the root.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    for (idx, segment) in segments.iter().enumerate() {
        let is_last = idx + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, reference: &str, expected: &str) {
        let url = Url::parse(base).unwrap().join(reference);
        assert_eq!(url.map_or_else(|err| err.to_string(), |url| url.to_string()), expected);
    }

    #[test]
    fn references_resolve_beside_the_channel_file() {
        let base = "https://u.example:8443/a/stable.channel?x=/1";
        check(base, "slipway_2.0.0.payload", "https://u.example:8443/a/slipway_2.0.0.payload");
        check(base, "../p/./2.payload?k=v#f", "https://u.example:8443/p/2.payload?k=v");
        check(base, "/2.payload", "https://u.example:8443/2.payload");
        check(base, "//v.example/2", "https://v.example/2");
        check(base, "http://v.example", "http://v.example/");
        check(base, "../../../2", "https://u.example:8443/2");
        check(base, "a/..", "https://u.example:8443/a/");
        check("http://u", "x?y=a:b", "http://u/x?y=a:b");
    }

    #[test]
    fn other_schemes_credentials_and_blanks_are_refused() {
        let base = "https://u.example/";
        for reference in
            ["file:///etc/passwd", "ftp://x/y", "javascript:1", "https://", "https://a@b/", "a b", "ä"]
        {
            assert!(Url::parse(base).unwrap().join(reference).is_err(), "{reference}");
        }
        assert!(Url::parse("u.example/x").is_err());
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for (url, expected) in
            [("http://127.0.0.1:80/", true), ("http://localhost/", true), ("http://u/", false)]
        {
            assert_eq!(Url::parse(url).unwrap().is_loopback(), expected);
        }
    }

    #[test]
    fn a_metadata_service_is_near_and_the_rest_of_the_world_is_not() {
        for (url, expected) in
            [("http://169.254.169.254/a", true), ("http://127.0.0.1/", true), ("http://u/", false)]
        {
            assert_eq!(Url::parse(url).unwrap().is_near(), expected);
        }
    }
}
