//! Lines of `authorized_keys`: whether one is a key, and which keys are the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Kinds of keys that sshd has or had.
const KINDS: [&str; 8] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-dss",
];

/// Returns the lines of a text that are not empty, without blanks around them and control characters in them.
pub fn lines(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(|line| line.replace(char::is_control, " ").trim().to_owned());
    lines.filter(|line| !line.is_empty())
}

/// Returns the part of a line that makes two keys the same, if the line is a key: kind and numbers, without
/// options before and comment behind.
pub fn identity(line: &str) -> Option<String> {
    let words = words(line);
    // In front of the kind may be one word of options.
    let at = words.iter().take(2).position(|word| KINDS.contains(word))?;
    let (kind, numbers) = (words[at], *words.get(at + 1)?);
    let bytes = STANDARD.decode(numbers).ok()?;
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let named = rest.get(..len)? == kind.as_bytes() && rest.len() > len;
    named.then(|| format!("{kind} {numbers}"))
}

/// Splits at blanks outside of quotes.
fn words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    let is_end = |c: char| {
        let ends = !quoted && matches!(c, ' ' | '\t');
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    };
    line.split(is_end).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of 32 zeros.
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn keys_are_the_same_whatever_stands_around_them() {
        let expected = Some(KEY.to_owned());
        assert_eq!(identity(KEY), expected);
        assert_eq!(identity(&format!("{KEY} me@here")), expected);
        assert_eq!(identity(&format!("command=\"a b \\\" c\",no-pty {KEY} me")), expected);
    }

    #[test]
    fn rejects_what_is_no_key() {
        let cut = &KEY[..KEY.len() - 3];
        let other_kind = KEY.replacen("ssh-ed25519", "ssh-rsa", 1);
        for wrong in ["", "ssh-rsa", "ssh-rsa AAAA", "hello world", cut, &other_kind, "a b ssh-rsa AAAA"] {
            assert_eq!(identity(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_text_may_hold_several_lines() {
        assert_eq!(lines("\n a \r\n\tb\x07c\n").collect::<Vec<_>>(), ["a", "b c"]);
    }
}
