//! What the body of `PUT /units/NAME` wants.

use fleet_core::model::State;
use fleet_core::unit_file::UnitFile;

use crate::api::{UnitOption, Wish};
use crate::http::refusal::Refusal;
use crate::http::wire::{self, UnitWish};

/// Reads what is wanted of the unit that the path names.
///
/// # Errors
/// 400 where the body is no JSON, names another unit, has a state that is none, or a file that is none.
pub(super) fn read(name: &str, body: &[u8]) -> Result<Wish, Refusal> {
    let wish: UnitWish = wire::object(body).map_err(|err| {
        Refusal::bad_request(format!("the body is no {{\"desiredState\", \"options\"}} in JSON: {err}"))
    })?;
    if let Some(other) = wish.name.filter(|other| !other.is_empty() && other != name) {
        return Err(Refusal::bad_request(format!(
            "name in URL {name:?} differs from unit name in request body {other:?}: send one of them"
        )));
    }
    let desired = wish
        .desired_state
        .filter(|word| !word.is_empty())
        .map(|word| word.parse::<State>())
        .transpose()
        .map_err(|err| Refusal::bad_request(err.to_string()))?;
    let content = content(wish.content, &wish.options.unwrap_or_default())?;
    Ok(Wish { content, desired })
}

/// Returns the file that is sent: as it was written, as options, or as both where they are the same.
fn content(written: Option<String>, options: &[UnitOption]) -> Result<Option<String>, Refusal> {
    let wrong = |message: String| Refusal::bad_request(format!("the unit's file: {message}"));
    let of_options = if options.is_empty() {
        None
    } else {
        Some(UnitFile::from_options(options).map_err(|err| wrong(err.to_string()))?)
    };
    let Some(written) = written.filter(|written| !written.is_empty()) else {
        return Ok(of_options.map(|file| file.content().to_owned()));
    };
    let file = UnitFile::parse(&written).map_err(|err| wrong(err.to_string()))?;
    if of_options.is_some_and(|other| other.hash() != file.hash()) {
        return Err(wrong("content and options say different things: send one of them".to_owned()));
    }
    Ok(Some(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str =
        r#""options":[{"section":"Service","name":"ExecStart","value":"/usr/bin/sleep 500"}]"#;
    const TEXT: &str = "[Service]\nExecStart=/usr/bin/sleep 500\n";

    fn put(body: &str) -> Result<Wish, String> {
        read("a.service", body.as_bytes()).map_err(|refusal| {
            assert_eq!(refusal.status.as_u16(), 400);
            refusal.message
        })
    }

    fn parse(content: Option<String>) -> Vec<UnitOption> {
        UnitFile::parse(&content.unwrap()).unwrap().options().to_vec()
    }

    #[test]
    fn a_file_is_sent_as_options_or_as_it_was_written() {
        let wish = put(&format!(r#"{{"desiredState":"launched",{OPTIONS}}}"#)).unwrap();
        assert_eq!(wish.desired, Some(State::Launched));
        let wanted = UnitOption {
            section: "Service".to_owned(),
            name: "ExecStart".to_owned(),
            value: "/usr/bin/sleep 500".to_owned(),
        };
        assert_eq!(parse(wish.content), [wanted]);
        let commented = format!("# Why.\n{TEXT}");
        let quoted = serde_json::to_string(&commented).unwrap();
        let wish = put(&format!(r#"{{"content":{quoted}}}"#)).unwrap();
        assert_eq!(wish, Wish { content: Some(commented.clone()), desired: None });
        let wish = put(&format!(r#"{{"content":{quoted},{OPTIONS}}}"#)).unwrap();
        assert_eq!(wish.content, Some(commented));
    }

    #[test]
    fn content_and_options_must_agree() {
        let err = put(&format!(r#"{{"content":"[Service]\nExecStart=/bin/true\n",{OPTIONS}}}"#)).unwrap_err();
        assert!(err.ends_with("content and options say different things: send one of them"), "{err}");
    }

    #[test]
    fn what_is_empty_is_not_wanted() {
        for body in [
            "{}",
            r#"{"desiredState":"","options":[],"content":"","name":""}"#,
            r#"{"desiredState":null,"options":null}"#,
            r#"{"name":"a.service","currentState":"launched","machineID":"m1"}"#,
        ] {
            assert_eq!(put(body), Ok(Wish::default()), "{body}");
        }
    }

    #[test]
    fn another_name_is_refused() {
        let err = put(r#"{"name":"b.service"}"#).unwrap_err();
        assert!(err.contains("\"a.service\" differs from unit name in request body \"b.service\""), "{err}");
    }

    #[test]
    fn states_and_files_that_are_none_are_refused() {
        assert!(put(r#"{"desiredState":"running"}"#).unwrap_err().contains("inactive, loaded and launched"));
        assert!(put(r#"{"content":"[Service]\nnothing\n"}"#).unwrap_err().starts_with("the unit's file: "));
        for body in ["", "[]", "1", "{", r#"{"options":{}}"#, r#"{"options":[{"section":"Service"}]}"#] {
            assert!(put(body).unwrap_err().starts_with("the body is no "), "{body}");
        }
    }

    #[test]
    fn an_option_cannot_smuggle_in_another() {
        for (section, name, value) in [
            ("Service", "ExecStart", "/bin/true\nUser=root"),
            ("Service]\n[X-Fleet", "ExecStart", "/bin/true"),
            ("Service", "A=B", "c"),
            ("Service", "#A", "c"),
            ("Service", "A", " c"),
            ("", "A", "c"),
        ] {
            let option = serde_json::json!({ "section": section, "name": name, "value": value });
            let err = put(&serde_json::json!({ "options": [option] }).to_string()).unwrap_err();
            assert!(err.starts_with("the unit's file: "), "{err}");
        }
    }
}
