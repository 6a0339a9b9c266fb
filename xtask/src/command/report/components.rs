//! Which component each package belongs to: the group of the image definition that brought it in.

use std::collections::BTreeMap;

use crate::definition::Definition;
use crate::manifest::Manifest;

/// What no group names and nothing tells apart: shared libraries and the like.
pub const REST: &str = "libraries";

/// Returns the component of every package that has bytes in the image or a row in the list.
pub fn of(definition: &Definition, manifest: &Manifest) -> BTreeMap<String, String> {
    let named: Vec<(&str, &str)> = definition
        .packages
        .iter()
        .flat_map(|(group, packages)| {
            packages.packages.iter().map(move |name| (name.value.as_str(), group.as_str()))
        })
        .collect();
    let packages = manifest.packages.iter().map(|package| &package.name).chain(manifest.contents.keys());
    packages
        .map(|name| {
            let component = if *name == manifest.product { name } else { component(&named, name) };
            (name.clone(), component.to_owned())
        })
        .collect()
}

/// A package that a group names belongs to it; so does one whose name goes on from such a name, as
/// `linux-image-6.12.57-amd64` does from `linux-image-amd64` and `libsystemd0` from `systemd`.
fn component<'a>(named: &[(&str, &'a str)], name: &str) -> &'a str {
    if let Some((_, group)) = named.iter().find(|(exact, _)| *exact == name) {
        return group;
    }
    let plain = name.strip_prefix("lib").unwrap_or(name);
    let goes_on = |stem: &str| {
        plain
            .strip_prefix(stem)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphabetic()))
    };
    named
        .iter()
        .map(|(exact, group)| (exact.strip_suffix("-amd64").unwrap_or(exact), *group))
        .filter(|(stem, _)| goes_on(stem))
        .max_by_key(|(stem, _)| stem.len())
        .map_or(REST, |(_, group)| group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_follow_the_name_that_brought_them_in() {
        let named =
            [("linux-image-amd64", "kernel"), ("systemd", "systemd"), ("udev", "systemd"), ("curl", "base")];
        let cases = [
            ("curl", "base"),
            ("libcurl4t64", "base"),
            ("linux-image-6.12.57+deb13-amd64", "kernel"),
            ("libsystemd-shared", "systemd"),
            ("libudev1", "systemd"),
            ("udevil", REST),
            ("libc6", REST),
        ];
        for (name, expected) in cases {
            assert_eq!(component(&named, name), expected, "{name}");
        }
    }
}
