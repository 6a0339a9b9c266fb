//! `slipway packages`: the list sealed in `/usr`.

use agent_support::host::Host;
use agent_support::sealed;
use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::report::{self, Format};

/// A package that the image was built from; the JSON output is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Debian package name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Debian architecture.
    pub architecture: String,
    /// Licences as the package's copyright file names them.
    pub licence: String,
}

/// Prints the packages.
pub fn run(host: &Host, format: Format) -> anyhow::Result<()> {
    report::print(&load(host)?, format, |packages| text(packages))
}

fn load(host: &Host) -> anyhow::Result<Vec<Package>> {
    let path = format!("{}/packages.json", sealed::DIR);
    let text = host.read(&path)?.with_context(|| format!("reading {path}: no such file"))?;
    serde_json::from_str(&text).with_context(|| format!("parsing {path}"))
}

fn text(packages: &[Package]) -> String {
    let width = |field: fn(&Package) -> &str| packages.iter().map(|p| field(p).len()).max().unwrap_or(0);
    let (names, versions) = (width(|p| &p.name), width(|p| &p.version));
    let line = |p: &Package| format!("{:names$}  {:versions$}  {}\n", p.name, p.version, p.licence);
    packages.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_support::testing::Tree;
    use expect_test::expect;

    #[test]
    fn prints_columns() {
        let tree = Tree::new();
        tree.file(
            "/usr/lib/slipway/packages.json",
            r#"[{"name":"bash","version":"5.2.37-2","architecture":"amd64","licence":"GPL-3+"},
                {"name":"docker.io","version":"26.1","architecture":"amd64","licence":"Apache-2.0, MIT"}]"#,
        );
        expect![[r#"
            bash       5.2.37-2  GPL-3+
            docker.io  26.1      Apache-2.0, MIT
        "#]]
        .assert_eq(&text(&load(&tree.host).unwrap()));
    }

    #[test]
    fn a_missing_list_is_an_error_that_names_it() {
        let err = load(&Tree::new().host).unwrap_err();
        assert_eq!(err.to_string(), "reading /usr/lib/slipway/packages.json: no such file");
    }
}
