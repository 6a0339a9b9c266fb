//! The key of a group's semaphore.

use std::fmt::Write as _;

/// Where everything of the reboot lock is.
const PREFIX: &str = "/coreos.com/updateengine/rebootlock";
/// Longest name of a group in bytes.
const GROUP_MAX: usize = 256;

/// A name that no group has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// It is too long.
    #[error("the name of the group has {found} bytes; use at most {GROUP_MAX}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Nobody could type it.
    #[error("the name of the group has a control character; use letters and digits")]
    Control,
}

/// Returns the key of a group's semaphore; the group without a name is the default.
///
/// Names are escaped as in a URL's query, as the original did.
pub fn key(group: &str) -> Result<String, GroupError> {
    if GROUP_MAX < group.len() {
        return Err(GroupError::TooLong { found: group.len() });
    }
    if group.chars().any(char::is_control) {
        return Err(GroupError::Control);
    }
    if group.is_empty() {
        return Ok(format!("{PREFIX}/semaphore"));
    }
    let mut escaped = String::new();
    for byte in group.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => {
                // Writing to a string does not fail.
                let _infallible = write!(escaped, "%{byte:02X}");
            }
        }
    }
    Ok(format!("{PREFIX}/groups/{escaped}/semaphore"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_original() {
        let key = |group| key(group).unwrap();
        assert_eq!(key(""), "/coreos.com/updateengine/rebootlock/semaphore");
        assert_eq!(key("db east"), "/coreos.com/updateengine/rebootlock/groups/db+east/semaphore");
        assert_eq!(key("a/b+c~é"), "/coreos.com/updateengine/rebootlock/groups/a%2Fb%2Bc~%C3%A9/semaphore");
        assert_eq!(key("A-z_0.9"), "/coreos.com/updateengine/rebootlock/groups/A-z_0.9/semaphore");
    }

    #[test]
    fn names_that_no_group_has_are_refused() {
        assert!(key(&"x".repeat(256)).is_ok());
        assert_eq!(key(&"x".repeat(257)), Err(GroupError::TooLong { found: 257 }));
        assert_eq!(key("a\nb"), Err(GroupError::Control));
    }
}
