//! Tokens of pages: what a listing gives and the next request returns.
//!
//! A token says the revision of the store that all pages show and the last name that was given, so that rows which
//! come and go in between make no other row appear twice or not at all. It is opaque to clients: one byte that says
//! the form, eight of the revision (big-endian), the name; all in URL-safe base64 without padding.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

use crate::api::Token;

/// Longest token that is looked at: two names of the longest kind, in base64.
pub const MAX_TOKEN_CHARS: usize = 1024;

/// The first byte. A token of the original has four bytes, so it cannot be taken for one of these.
const FORM: u8 = 2;
/// Bytes of an original's token: two numbers of 16 bits, size and number of the page.
const ORIGINAL_BYTES: usize = 4;

/// Why a token is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token.
    #[error(
        "the page token has {0} characters and no token has more than {MAX_TOKEN_CHARS}: begin without a token"
    )]
    TooLong(usize),
    /// A page number, as the original's tokens were.
    #[error(
        "the page token {0:?} is one of the original fleet, which counted pages: begin without a token and give back \
         the nextPageToken of each answer as it is"
    )]
    Original(String),
    /// Anything else.
    #[error("the page token {0:?} is none of this server: begin without a token")]
    Foreign(String),
}

/// Returns a token as text.
pub fn encode(token: &Token) -> String {
    let mut bytes = vec![FORM];
    bytes.extend_from_slice(&token.revision.to_be_bytes());
    bytes.extend_from_slice(token.after.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token.
///
/// # Errors
/// When it is not one that [`encode`] made.
pub fn decode(text: &str) -> Result<Token, TokenError> {
    if text.len() > MAX_TOKEN_CHARS {
        return Err(TokenError::TooLong(text.len()));
    }
    let foreign = || TokenError::Foreign(text.to_owned());
    let padded = URL_SAFE.decode(text);
    if padded.is_ok_and(|bytes| bytes.len() == ORIGINAL_BYTES) {
        return Err(TokenError::Original(text.to_owned()));
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| foreign())?;
    let (form, rest) = bytes.split_first().ok_or_else(foreign)?;
    let (revision, after) = rest.split_first_chunk::<8>().ok_or_else(foreign)?;
    let revision = i64::from_be_bytes(*revision);
    let after = String::from_utf8(after.to_vec()).map_err(|_| foreign())?;
    // The first revision of a store is 1, and a page without rows is not followed by another.
    if *form != FORM || revision < 1 || after.is_empty() {
        return Err(foreign());
    }
    Ok(Token { revision, after })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_has_this_form() {
        let token = Token { revision: 258, after: "foo.service".to_owned() };
        assert_eq!(encode(&token), "AgAAAAAAAAECZm9vLnNlcnZpY2U");
        assert_eq!(decode("AgAAAAAAAAECZm9vLnNlcnZpY2U"), Ok(token));
    }

    #[test]
    fn a_token_of_the_original_is_told_apart() {
        // Size 100, page 2.
        let err = decode("ZAACAA==").unwrap_err();
        assert_eq!(err, TokenError::Original("ZAACAA==".to_owned()));
        assert!(err.to_string().contains("begin without a token"));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let zero = URL_SAFE_NO_PAD.encode([&[FORM][..], &[0; 8], b"x"].concat());
        let negative = URL_SAFE_NO_PAD.encode([&[FORM][..], &[0xff; 8], b"x"].concat());
        let nameless = URL_SAFE_NO_PAD.encode([&[FORM][..], &1_i64.to_be_bytes()].concat());
        let other_form = URL_SAFE_NO_PAD.encode([&[1][..], &1_i64.to_be_bytes(), b"x"].concat());
        let no_text = URL_SAFE_NO_PAD.encode([&[FORM][..], &1_i64.to_be_bytes(), &[0xff]].concat());
        for text in
            ["", "A", "!", "AgAAAAAAAAECZm9vLnNlcnZpY2U=", &zero, &negative, &nameless, &other_form, &no_text]
        {
            assert_eq!(decode(text), Err(TokenError::Foreign(text.to_owned())));
        }
        assert_eq!(decode(&"A".repeat(1025)), Err(TokenError::TooLong(1025)));
    }

    proptest! {
        #[test]
        fn a_token_comes_back_as_it_was(revision in 1_i64.., after in "[ -~]{1,256}") {
            let token = Token { revision, after };
            let text = encode(&token);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(decode(&text), Ok(token));
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = URL_SAFE_NO_PAD.encode(bytes);
            if let Ok(token) = decode(&text) {
                prop_assert_eq!(encode(&token), text);
            }
        }

        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let _ = decode(&text);
        }
    }
}
