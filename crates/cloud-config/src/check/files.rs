//! Files to write.

use crate::content;
use crate::finding::{Finding, quoted};
use crate::model::{Content, Owner, WriteFile};
use crate::names;
use crate::schema;

use super::fields::Fields;

/// Mode of a file that says nothing of it.
const MODE: u32 = 0o644;
/// What the text of a private key has.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";
/// What others may do.
const OTHERS: u32 = 0o007;

/// Checks `write_files`.
pub fn files(top: Fields<'_>, findings: &mut Vec<Finding>) -> Vec<WriteFile> {
    let mut budget = content::LEN_MAX;
    top.maps("write_files").filter_map(|fields| file(fields, &mut budget, findings)).collect()
}

fn file(fields: Fields<'_>, budget: &mut usize, findings: &mut Vec<Finding>) -> Option<WriteFile> {
    let Some(written) = fields.text("path") else {
        if !fields.has("path") {
            findings.push(Finding::error(fields.0.at, "file has no path"));
        }
        return None;
    };
    let path = names::file_path(written).map_err(|why| Finding::error(fields.at("path"), why));
    let encoding = fields.word("encoding", schema::ENCODINGS);
    let content = content::decode(fields.raw("content").unwrap_or_default(), encoding, budget)
        .map_err(|why| Finding::error(fields.at("content"), why));
    let owner = owner(fields);
    let mode = fields.text("permissions").and_then(schema::mode);
    // Certificates, which everybody may read, are in such files too.
    let has_key =
        content.as_ref().is_ok_and(|bytes| bytes.windows(PRIVATE_KEY.len()).any(|part| part == PRIVATE_KEY));
    let is_secret = written.ends_with(".key") || written.ends_with(".pem") && has_key;
    if is_secret && mode.unwrap_or(MODE) & OTHERS != 0 {
        let message = "everybody may read this key; give it `permissions: \"0600\"`";
        findings.push(Finding::info(fields.at("path"), message));
    }
    let mut take = |finding| findings.push(finding);
    Some(WriteFile {
        path: path.map_err(&mut take).ok()?,
        content: Content(content.map_err(&mut take).ok()?),
        mode: mode.unwrap_or(MODE),
        owner: owner.map_err(&mut take).ok()?,
    })
}

fn owner(fields: Fields<'_>) -> Result<Option<Owner>, Finding> {
    let Some(text) = fields.text("owner") else { return Ok(None) };
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    for name in std::iter::once(user).chain(group) {
        let is_number = !name.is_empty() && name.len() <= 9 && name.bytes().all(|b| b.is_ascii_digit());
        if let Err(why) = names::account(name)
            && !is_number
        {
            let message = format!("owner is not `user` or `user:group`: {} {why}", quoted(name));
            return Err(Finding::error(fields.at("owner"), message));
        }
    }
    Ok(Some(Owner { user: user.to_owned(), group: group.map(str::to_owned) }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_says, config};
    use super::*;

    #[test]
    fn a_file_has_defaults() {
        let config =
            config("write_files: [{path: /a, content: x}, {path: /b, owner: \"a:0\", permissions: 0600}]\n");
        let [a, b] = &config.write_files[..] else { panic!() };
        assert_eq!((a.mode, &a.owner, &a.content.0[..]), (0o644, &None, &b"x"[..]));
        let owner = Owner { user: "a".to_owned(), group: Some("0".to_owned()) };
        assert_eq!((b.mode, &b.owner, b.content.0.len()), (0o600, &Some(owner), 0));
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        check_says("write_files: [{content: x}]\n", &["1:15: error: file has no path"]);
        check_says(
            "write_files: [{path: /usr/bin/a}]\n",
            &["1:22: error: file cannot be written to a read-only filesystem"],
        );
        check_says("write_files: [{path: /a/../../b}]\n", &["1:22: error: file path has `..`"]);
        check_says(
            "write_files:\n- path: /a\n  encoding: b64\n  content: \"!\"\n",
            &["4:12: error: content cannot be decoded as \"b64\""],
        );
        check_says("write_files: [{path: /a, owner: \"a:b:c\"}]\n", &["1:33: error: owner is not"]);
    }

    #[test]
    fn a_key_that_everybody_may_read_is_told() {
        check_says("write_files: [{path: /a.key}]\n", &["1:22: info: everybody may read this key"]);
        check_says(
            "write_files: [{path: /a.pem, content: '-----BEGIN PRIVATE KEY-----'}]\n",
            &["1:22: info: everybody may read this key"],
        );
        config("write_files: [{path: /a.key, permissions: \"0640\"}]\n");
        config("write_files: [{path: /a.pem, content: '-----BEGIN CERTIFICATE-----'}]\n");
    }
}
