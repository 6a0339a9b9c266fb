//! Specifiers of `[X-Fleet]`: `%n`, `%N`, `%p`, `%i`. Elsewhere in a file systemd expands them.

use crate::name::UnitName;

/// Expands the specifiers of a unit in a value. One after the other, without a way to write them literally, as in the
/// original; those of a template stay.
pub(super) fn expand(value: &str, unit: &UnitName) -> String {
    if unit.is_template() || !value.contains('%') {
        return value.to_owned();
    }
    value
        .replace("%n", unit.as_str())
        .replace("%N", unit.stem())
        .replace("%p", unit.prefix())
        .replace("%i", unit.instance().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_four_specifiers() {
        let expanded = |value, unit| expand(value, &UnitName::parse(unit).unwrap());
        assert_eq!(expanded("%n %N %p %i", "foo@bar.socket"), "foo@bar.socket foo@bar foo bar");
        assert_eq!(expanded("%p-%i.service", "foo.service"), "foo-.service");
        assert_eq!(expanded("%p@%i.service", "foo@.service"), "%p@%i.service");
    }
}
