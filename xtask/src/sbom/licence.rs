//! Licences of Debian's copyright files, by the names that the rest of the world has for them.

use super::{Licence, LicenceChoice};

/// Short names of the machine-readable format
/// (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-short-name>) and SPDX identifiers that
/// mean the same text. A name that is not here stays a name: a guess would be a claim.
const SAME: [(&str, &str); 29] = [
    ("Apache-2.0", "Apache-2.0"),
    ("Artistic-2.0", "Artistic-2.0"),
    ("BSD-2-clause", "BSD-2-Clause"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("BSL-1.0", "BSL-1.0"),
    ("CC0-1.0", "CC0-1.0"),
    ("Expat", "MIT"),
    ("GFDL-1.3+", "GFDL-1.3-or-later"),
    ("GPL-1", "GPL-1.0-only"),
    ("GPL-1+", "GPL-1.0-or-later"),
    ("GPL-2", "GPL-2.0-only"),
    ("GPL-2+", "GPL-2.0-or-later"),
    ("GPL-2.0", "GPL-2.0-only"),
    ("GPL-2.0+", "GPL-2.0-or-later"),
    ("GPL-3", "GPL-3.0-only"),
    ("GPL-3+", "GPL-3.0-or-later"),
    ("GPL-3.0+", "GPL-3.0-or-later"),
    ("ISC", "ISC"),
    ("LGPL-2", "LGPL-2.0-only"),
    ("LGPL-2+", "LGPL-2.0-or-later"),
    ("LGPL-2.0+", "LGPL-2.0-or-later"),
    ("LGPL-2.1", "LGPL-2.1-only"),
    ("LGPL-2.1+", "LGPL-2.1-or-later"),
    ("LGPL-3", "LGPL-3.0-only"),
    ("LGPL-3+", "LGPL-3.0-or-later"),
    ("MPL-2.0", "MPL-2.0"),
    ("OpenSSL", "OpenSSL"),
    ("Unlicense", "Unlicense"),
    ("Zlib", "Zlib"),
];

/// The licence of this short name.
pub fn of_debian(name: &str) -> LicenceChoice {
    let found = SAME.iter().find(|(debian, _)| *debian == name);
    let license = match found {
        Some((_, spdx)) => Licence::Id((*spdx).to_owned()),
        None => Licence::Name(name.to_owned()),
    };
    LicenceChoice::One { license }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_short_name_has_its_identifier_and_another_stays_a_name() {
        let id = |id: &str| LicenceChoice::One { license: Licence::Id(id.to_owned()) };
        assert_eq!(of_debian("Expat"), id("MIT"));
        assert_eq!(of_debian("LGPL-2.1+"), id("LGPL-2.1-or-later"));
        let name = LicenceChoice::One { license: Licence::Name("see copyright".to_owned()) };
        assert_eq!(of_debian("see copyright"), name);
    }

    #[test]
    fn every_identifier_is_one_of_the_format() {
        let known: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/cyclonedx/spdx.SNAPSHOT.schema.json"))
                .unwrap();
        let known = known["enum"].as_array().unwrap();
        for (_, spdx) in SAME {
            assert!(known.iter().any(|it| it == spdx), "{spdx}");
        }
    }
}
