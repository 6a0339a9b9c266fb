//! Members as `etcdctl` lists them, and which of them are healthy.

use anyhow::Context;
use serde::Deserialize;

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its number, written in hexadecimal.
    #[serde(rename = "ID")]
    pub id: u64,
    /// Its name; empty until it has started for the first time.
    #[serde(default)]
    pub name: String,
    /// Where members ask it.
    #[serde(rename = "peerURLs", default)]
    pub peer_urls: Vec<String>,
    /// Where clients ask it; none until it has started.
    #[serde(rename = "clientURLs", default)]
    pub client_urls: Vec<String>,
    /// Whether it has no vote.
    #[serde(rename = "isLearner", default)]
    pub is_learner: bool,
}

impl Member {
    /// The number as etcd shows it.
    pub fn hex(&self) -> String {
        format!("{:x}", self.id)
    }

    /// What to call it: its name, or its number.
    pub fn shown(&self) -> String {
        if self.name.is_empty() { self.hex() } else { self.name.clone() }
    }
}

#[derive(Deserialize)]
struct List {
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Endpoint {
    endpoint: String,
    health: bool,
}

/// Parses `etcdctl member list -w json`.
pub fn parse_list(json: &str) -> anyhow::Result<Vec<Member>> {
    let list: List = serde_json::from_str(json).context("parsing the list of members")?;
    Ok(list.members)
}

/// Parses `etcdctl endpoint health -w json` and returns the URLs at which a healthy member answers.
pub fn parse_health(json: &str) -> anyhow::Result<Vec<String>> {
    let endpoints: Vec<Endpoint> = serde_json::from_str(json).context("parsing the health of members")?;
    Ok(endpoints.into_iter().filter(|endpoint| endpoint.health).map(|endpoint| endpoint.endpoint).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_etcdctl_prints() {
        let json = r#"{"header":{"cluster_id":1},"members":[
            {"ID":13668033151171901709,"name":"a","peerURLs":["http://a:2380"],"clientURLs":["http://a:2379"]},
            {"ID":7,"peerURLs":["http://b:2380"],"isLearner":true}]}"#;
        let members = parse_list(json).unwrap();
        assert_eq!((members[0].hex().as_str(), members[0].shown().as_str()), ("bdae9bbc11dd390d", "a"));
        assert_eq!((members[1].shown().as_str(), members[1].is_learner), ("7", true));
        assert!(members[1].client_urls.is_empty());
        assert!(parse_list("{}").is_err());
    }

    #[test]
    fn only_healthy_endpoints_count() {
        let json = r#"[{"endpoint":"http://a:2379","health":true,"took":"2ms"},
            {"endpoint":"http://b:2379","health":false,"took":"5s","error":"context deadline exceeded"}]"#;
        assert_eq!(parse_health(json).unwrap(), ["http://a:2379"]);
        assert!(parse_health("").is_err());
    }
}
