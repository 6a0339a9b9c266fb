//! What the values of options look like.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A value that cannot be meant. The text ends in the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither yes nor no.
    #[error("`{0}` is neither true nor false: write one of them")]
    Flag(String),
    /// No number.
    #[error("`{0}` is no number of at most {1}: write it in digits")]
    Number(String, u32),
    /// No span of time.
    #[error("`{0}` is no time: write seconds, such as 30, or 30s, 1m30s, 500ms")]
    Time(String),
    /// A span of time outside of what makes sense.
    #[error("{} is not from {} to {}: choose a time between them", shown(*.0), shown(*.1), shown(*.2))]
    Range(Duration, Duration, Duration),
    /// A list that is not written as one.
    #[error("`{0}` is no list: write it as a,b or [\"a\",\"b\"]")]
    List(String),
    /// A list of nothing.
    #[error("the list is empty: name at least one, or remove the option")]
    Empty,
    /// No URL of etcd.
    #[error("`{0}` is no URL of etcd: write it as http://HOST:PORT or https://HOST:PORT")]
    Server(String),
    /// No pair.
    #[error("`{0}` is no metadata: write it as KEY=VALUE, several with commas between them")]
    Metadata(String),
    /// No address.
    #[error("`{0}` is no address: write it as 192.0.2.1 or 2001:db8::1")]
    Address(String),
    /// No address with a port.
    #[error("`{0}` is no address with a port: write it as 192.0.2.1:49153 or [2001:db8::1]:49153")]
    Socket(String),
    /// A path that depends on where the program is started.
    #[error("`{0}` is not absolute: write the whole path, from /")]
    Path(String),
    /// A prefix that is none.
    #[error("`{0}` is no prefix of keys: write it as /fleet/v1/")]
    Prefix(String),
    /// The user's service manager.
    #[error("fleet starts units of the system's service manager alone: remove the option")]
    UserManager,
}

/// Reads a yes or no, in all ways that the original and cloud-config write it.
///
/// # Errors
/// When it is neither.
pub fn flag(text: &str) -> Result<bool, Error> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" | "on" => Ok(true),
        "0" | "f" | "false" | "no" | "off" => Ok(false),
        _ => Err(Error::Flag(text.to_owned())),
    }
}

/// Reads a number up to `most`.
///
/// # Errors
/// When it is none, or more.
pub fn number(text: &str, most: u32) -> Result<u32, Error> {
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| Error::Number(text.to_owned(), most))
}

/// Reads a span of time between two others: seconds with a fraction, or numbers with units as Go writes them.
///
/// # Errors
/// When it is none, or shorter or longer than makes sense.
pub fn time(text: &str, least: Duration, most: Duration) -> Result<Duration, Error> {
    let wrong = || Error::Time(text.to_owned());
    let span = match seconds(text, 1.0) {
        Some(span) => span,
        None => with_units(text).ok_or_else(wrong)?,
    };
    if span < least || span > most { Err(Error::Range(span, least, most)) } else { Ok(span) }
}

fn with_units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|char: char| char.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum = sum.checked_add(seconds(number, factor)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

/// A number of digits with a point, times a factor.
fn seconds(text: &str, factor: f64) -> Option<Duration> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = text.parse().ok().filter(|_| is_plain)?;
    Duration::try_from_secs_f64(number * factor).ok()
}

/// Reads a list: with commas, or in brackets with each member in quotes.
///
/// # Errors
/// When brackets or quotes do not fit, or there is nothing in it.
pub fn list(text: &str) -> Result<Vec<String>, Error> {
    let members: Vec<String> = if text.starts_with('[') && text.contains(['"', '\'']) {
        let json = text.replace('\'', "\"");
        serde_json::from_str(&json).map_err(|_| Error::List(text.to_owned()))?
    } else {
        text.split(',').map(|member| member.trim().to_owned()).collect()
    };
    let members: Vec<String> = members.into_iter().filter(|member| !member.is_empty()).collect();
    if members.is_empty() { Err(Error::Empty) } else { Ok(members) }
}

/// Reads URLs of etcd.
///
/// # Errors
/// When one is none.
pub fn servers(text: &str) -> Result<Vec<String>, Error> {
    let servers = list(text)?;
    for server in &servers {
        let host = server.strip_prefix("http://").or_else(|| server.strip_prefix("https://"));
        let port = host.and_then(|host| host.trim_end_matches('/').rsplit_once(':'));
        let is_url = port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !is_url {
            return Err(Error::Server(server.clone()));
        }
    }
    Ok(servers.into_iter().map(|server| server.trim_end_matches('/').to_owned()).collect())
}

/// Reads metadata; of several values of a key the last one counts.
///
/// # Errors
/// When a part is no pair.
pub fn metadata(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let split = pair.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            let (key, value) =
                split.filter(|(key, _)| !key.is_empty()).ok_or_else(|| Error::Metadata(pair.to_owned()))?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Reads an address.
///
/// # Errors
/// When it is none.
pub fn address(text: &str) -> Result<IpAddr, Error> {
    text.parse().map_err(|_| Error::Address(text.to_owned()))
}

/// Reads addresses with ports.
///
/// # Errors
/// When one is none.
pub fn sockets(text: &str) -> Result<Vec<SocketAddr>, Error> {
    list(text)?.into_iter().map(|member| member.parse().map_err(|_| Error::Socket(member))).collect()
}

/// Reads a path.
///
/// # Errors
/// When it is not absolute.
pub fn path(text: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(Error::Path(text.to_owned())) }
}

/// Reads the prefix of keys, which ends with `/` whether that was written or not.
///
/// # Errors
/// When it does not begin with `/`, or is nothing else.
pub fn prefix(text: &str) -> Result<String, Error> {
    let inner = text.trim_matches('/');
    if !text.starts_with('/') || inner.is_empty() {
        return Err(Error::Prefix(text.to_owned()));
    }
    Ok(format!("/{inner}/"))
}

fn shown(span: Duration) -> String {
    if span.subsec_nanos() == 0 {
        format!("{} s", span.as_secs())
    } else {
        format!("{} ms", span.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(86_400);

    fn millis(text: &str) -> u128 {
        time(text, Duration::ZERO, MOST).unwrap().as_millis()
    }

    #[test]
    fn times_are_seconds_or_have_units() {
        assert_eq!(millis("30"), 30_000);
        assert_eq!(millis("1.5"), 1500);
        assert_eq!(millis("30s"), 30_000);
        assert_eq!(millis("1m30s"), 90_000);
        assert_eq!(millis("2h"), 7_200_000);
        assert_eq!(millis("250ms"), 250);
        assert_eq!(millis("1.5m"), 90_000);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "s", "-1", "1x", "1e3", "inf", "NaN", "3 s", "1s2", ".", "99999999999999999999s"] {
            let refused = time(text, Duration::ZERO, MOST);
            assert!(refused.is_err(), "{text:?}: {refused:?}");
        }
        let err = time("2s", Duration::from_secs(5), MOST).unwrap_err();
        assert_eq!(err.to_string(), "2 s is not from 5 s to 86400 s: choose a time between them");
    }

    #[test]
    fn lists_have_two_forms() {
        for text in ["a,b", " a , b ", r#"["a","b"]"#, r#"["a", "b"]"#, "['a','b']", "a,,b"] {
            assert_eq!(list(text).unwrap(), ["a", "b"], "{text:?}");
        }
        assert_eq!(list("[::1]:80").unwrap(), ["[::1]:80"], "a bracket alone is no list");
        assert_eq!(list(r#"["a","b""#).unwrap_err(), Error::List(r#"["a","b""#.to_owned()));
        assert_eq!(list(" , ").unwrap_err(), Error::Empty);
    }

    #[test]
    fn servers_are_urls_with_a_port() {
        assert_eq!(servers("http://a:1/,https://[::1]:2").unwrap(), ["http://a:1", "https://[::1]:2"]);
        for text in ["a:1", "http://a", "ftp://a:1", "http://:1", "http://a:x", "http://a:1,b"] {
            assert!(matches!(servers(text), Err(Error::Server(_))), "{text:?}");
        }
    }

    #[test]
    fn of_several_values_of_a_key_the_last_counts() {
        let read = metadata(" region = us , disk=ssd,region=eu,").unwrap();
        let expected = [("disk", "ssd"), ("region", "eu")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(metadata("").unwrap(), BTreeMap::new());
        assert_eq!(metadata("a=b=c").unwrap()["a"], "b=c");
        for text in ["ssd", "=x", "a=b,c"] {
            assert!(matches!(metadata(text), Err(Error::Metadata(_))), "{text:?}");
        }
    }

    #[test]
    fn flags_are_read_as_everybody_writes_them() {
        for (text, expected) in [("true", true), ("T", true), ("yes", true), ("0", false), ("False", false)] {
            assert_eq!(flag(text).unwrap(), expected);
        }
        assert!(flag("maybe").is_err());
    }

    #[test]
    fn addresses_prefixes_and_paths_are_checked() {
        assert_eq!(prefix("/_coreos.com/fleet").unwrap(), "/_coreos.com/fleet/");
        assert!(prefix("fleet").is_err() && prefix("//").is_err());
        assert_eq!(sockets("[::1]:1, 127.0.0.1:2").unwrap().len(), 2);
        assert!(sockets("127.0.0.1").is_err());
        assert!(address("::1").is_ok() && address("localhost").is_err());
        assert!(path("/a").is_ok() && path("a").is_err());
        assert_eq!(number("100", 1000).unwrap(), 100);
        assert!(number("1001", 1000).is_err() && number("-1", 1000).is_err());
    }
}
