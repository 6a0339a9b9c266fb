//! Which kernel arguments may be added to the sealed command line.

/// Longest text of additional arguments in bytes: the kernel takes 2048 on x86, the sealed ones included.
pub const ARGS_MAX: usize = 1024;

/// Keys that decide which `/usr` is trusted; `usrhash=` of the sealed command line must stay the last word on it.
const SEALED_KEYS: [&str; 2] = ["usrhash", "roothash"];
/// Beginnings of keys with the same power.
const SEALED_PREFIXES: [&str; 2] = ["systemd.verity", "mount.usr"];

/// Why arguments are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// It would change which `/usr` is started.
    #[error(
        "`{arg}` would change which /usr is trusted: the root hash is sealed with the kernel; leave it out"
    )]
    Sealed { arg: String },
    /// Too much for the kernel.
    #[error("the arguments take {found} bytes: expected at most {ARGS_MAX}")]
    TooLong { found: usize },
}

/// Returns the arguments as one text, if all of them may be added. The addon's writer checks the characters.
pub fn check(args: &[String]) -> Result<String, Refused> {
    for arg in args {
        if let Some(arg) = arg.split_whitespace().find(|word| is_sealed(word)) {
            return Err(Refused::Sealed { arg: arg.to_owned() });
        }
    }
    let text = args.join(" ").trim().to_owned();
    if ARGS_MAX < text.len() {
        return Err(Refused::TooLong { found: text.len() });
    }
    Ok(text)
}

/// Returns whether a word sets a sealed key. Readers of the command line strip quotes and take `-` for `_`.
fn is_sealed(word: &str) -> bool {
    let plain: String = word.chars().filter(|c| !matches!(c, '"' | '\'' | '\\')).collect();
    let key = plain.split('=').next().unwrap_or_default().replace('-', "_").to_ascii_lowercase();
    // The initrd's readers also take every key with `rd.` before it.
    let key = key.strip_prefix("rd.").unwrap_or(&key);
    SEALED_KEYS.contains(&key) || SEALED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_words(args: &[&str]) -> Result<String, Refused> {
        check(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn ordinary_arguments_are_joined() {
        assert_eq!(
            check_words(&["console=ttyS1", "debug", "x=\"a b\""]).unwrap(),
            "console=ttyS1 debug x=\"a b\""
        );
        assert_eq!(check_words(&["init=/bin/sh", "usrhashes=1"]).unwrap(), "init=/bin/sh usrhashes=1");
    }

    #[test]
    fn nothing_may_change_which_usr_is_trusted() {
        for arg in [
            "usrhash=00",
            "\"usrhash=00\"",
            "us\"rh\"ash=00",
            "quiet usrhash=00",
            "roothash=00",
            "rd.usrhash=00",
            "a\tusrhash=00",
            "systemd.verity_usr_data=/dev/vda1",
            "systemd.verity-usr-options=ignore-corruption",
            "rd.systemd.verity=0",
            "mount.usr=/dev/vda1",
            "mount.usrflags=rw",
        ] {
            assert!(matches!(check_words(&[arg]), Err(Refused::Sealed { .. })), "{arg}");
        }
    }

    #[test]
    fn what_the_kernel_would_cut_is_refused() {
        assert_eq!(check_words(&[&"a".repeat(ARGS_MAX)]).unwrap().len(), ARGS_MAX);
        assert_eq!(check_words(&[&"a".repeat(ARGS_MAX + 1)]), Err(Refused::TooLong { found: ARGS_MAX + 1 }));
    }
}
