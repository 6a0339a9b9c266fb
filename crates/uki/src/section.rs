//! The sections that have a meaning in a unified kernel image.

use std::fmt;

/// A section of a unified kernel image, in the order in which the stub measures them. Do not reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// `.linux`: the kernel.
    Linux,
    /// `.osrel`: os-release of the system.
    OsRel,
    /// `.cmdline`: kernel command line.
    Cmdline,
    /// `.initrd`: initrd.
    Initrd,
    /// `.ucode`: CPU microcode, handed over before the initrd.
    Ucode,
    /// `.splash`: picture shown while booting.
    Splash,
    /// `.dtb`: device tree.
    Dtb,
    /// `.uname`: kernel version.
    Uname,
    /// `.sbat`: revocation data.
    Sbat,
    /// `.pcrsig`: signed PCR values; not measured itself.
    PcrSig,
    /// `.pcrpkey`: public key for them.
    PcrPkey,
    /// `.profile`: start of a profile.
    Profile,
    /// `.dtbauto`: device tree chosen by hardware.
    DtbAuto,
    /// `.hwids`: hardware ids for that choice.
    Hwids,
    /// `.efifw`: firmware image.
    EfiFw,
}

impl Section {
    /// All sections in measurement order.
    pub const ALL: [Self; 15] = [
        Self::Linux,
        Self::OsRel,
        Self::Cmdline,
        Self::Initrd,
        Self::Ucode,
        Self::Splash,
        Self::Dtb,
        Self::Uname,
        Self::Sbat,
        Self::PcrSig,
        Self::PcrPkey,
        Self::Profile,
        Self::DtbAuto,
        Self::Hwids,
        Self::EfiFw,
    ];

    /// Returns the section's name in the PE file, at most eight bytes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => ".linux",
            Self::OsRel => ".osrel",
            Self::Cmdline => ".cmdline",
            Self::Initrd => ".initrd",
            Self::Ucode => ".ucode",
            Self::Splash => ".splash",
            Self::Dtb => ".dtb",
            Self::Uname => ".uname",
            Self::Sbat => ".sbat",
            Self::PcrSig => ".pcrsig",
            Self::PcrPkey => ".pcrpkey",
            Self::Profile => ".profile",
            Self::DtbAuto => ".dtbauto",
            Self::Hwids => ".hwids",
            Self::EfiFw => ".efifw",
        }
    }

    /// Returns the section of that name, or `None` for one without meaning in a UKI (such as `.text`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == name)
    }

    /// Returns whether the stub measures the section into PCR 11.
    pub fn is_measured(self) -> bool {
        self != Self::PcrSig
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_lead_back_in_measurement_order() {
        for pair in Section::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for section in Section::ALL {
            assert!(section.name().len() <= 8);
            assert_eq!(Section::from_name(section.name()), Some(section));
        }
        assert_eq!(Section::from_name(".text"), None);
    }
}
