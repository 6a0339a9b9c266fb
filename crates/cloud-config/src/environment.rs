//! Variables in the files of systemd, escaped by its rules: as `Environment=` of a unit, and in an `EnvironmentFile=`.

/// Tells whether a value can be in an environment of systemd: of the control characters only tab and line end.
pub fn is_value(value: &str) -> bool {
    value.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n'))
}

/// Returns the line of a unit that sets a variable (systemd.exec(5), systemd.syntax(7)).
pub fn unit_line(key: &str, value: &str) -> String {
    let mut line = format!("Environment=\"{key}=");
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            // Specifiers are replaced before quotes are read.
            '%' => line.push_str("%%"),
            c => line.push(c),
        }
    }
    line.push_str("\"\n");
    line
}

/// Returns the line of an environment file that sets a variable; quoted only where a value needs it, because
/// others than systemd read these files too.
pub fn file_line(key: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/,@%+=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return format!("{key}={value}\n");
    }
    let mut line = format!("{key}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push_str("\"\n");
    line
}

/// Returns the text of an environment file in which these variables have these values: the other lines and
/// their order stay, and new ones are behind them in the order given.
pub fn edited_file(text: &str, variables: &[(String, String)]) -> String {
    let name_of = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let mut seen = Vec::new();
    let mut edited = String::new();
    for line in text.lines() {
        let set = name_of(line).and_then(|name| variables.iter().find(|(key, _)| *key == name));
        match set {
            Some((key, value)) => {
                edited.push_str(&file_line(key, value));
                seen.push(key);
            }
            None => {
                edited.push_str(line);
                edited.push('\n');
            }
        }
    }
    for (key, value) in variables.iter().filter(|(key, _)| !seen.contains(&key)) {
        edited.push_str(&file_line(key, value));
    }
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_escape_quotes_percent_signs_and_line_ends() {
        assert_eq!(unit_line("A", "b c"), "Environment=\"A=b c\"\n");
        assert_eq!(unit_line("A", "%h\\ \"$x\"\n"), "Environment=\"A=%%h\\\\ \\\"$x\\\"\\n\"\n");
    }

    #[test]
    fn files_quote_only_what_needs_it() {
        assert_eq!(file_line("A", "http://a:1,b"), "A=http://a:1,b\n");
        assert_eq!(file_line("A", "a $b \"c\""), "A=\"a \\$b \\\"c\\\"\"\n");
        assert_eq!(file_line("A", ""), "A=\"\"\n");
    }

    #[test]
    fn editing_keeps_other_lines_and_their_order() {
        let variables = [("B".to_owned(), "2".to_owned()), ("C".to_owned(), "3".to_owned())];
        assert_eq!(edited_file("# x\nB=1\nA=1", &variables), "# x\nB=2\nA=1\nC=3\n");
        let once = edited_file("", &variables);
        assert_eq!(edited_file(&once, &variables), once);
    }

    #[test]
    fn control_characters_are_no_values() {
        assert!(is_value("a\tb\nc é"));
        assert!(!is_value("a\u{1b}b") && !is_value("\0"));
    }
}
