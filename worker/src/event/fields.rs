//! The fields of a JSON object that somebody wants, as they stand there. All others are passed over.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The wanted fields of an object.
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a RawValue,
    names: &'a [String],
    found: Vec<Option<&'a RawValue>>,
}

impl<'a> Fields<'a> {
    /// Reads the fields of `object` that have these names.
    ///
    /// # Errors
    /// When it is no object, or one of the names stands there twice.
    pub(crate) fn read(
        object: &'a RawValue,
        names: &'a [String],
    ) -> Result<Self, serde_json::Error> {
        let mut found = vec![None; names.len()];
        find(object, names, &mut found)?;
        Ok(Self {
            object,
            names,
            found,
        })
    }

    /// Those of an object of which nothing is known.
    #[must_use]
    pub(crate) const fn none() -> Self {
        Self {
            object: RawValue::NULL,
            names: &[],
            found: Vec::new(),
        }
    }

    /// The whole object.
    #[must_use]
    pub const fn object(&self) -> &'a RawValue {
        self.object
    }

    /// A field; `None` if it is missing, and if it is not one of the wanted.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let place = self.names.iter().position(|other| other == name)?;
        self.found[place]
    }
}

/// Reads the fields of `object` that have these names, each into its place of `found`.
///
/// # Errors
/// When it is no object, or one of the names stands there twice.
pub(crate) fn find<'a, Name: AsRef<str>>(
    object: &'a RawValue,
    names: &[Name],
    found: &mut [Option<&'a RawValue>],
) -> Result<(), serde_json::Error> {
    object.deserialize_map(Object { names, found })
}

struct Object<'n, 'a, Name> {
    names: &'n [Name],
    found: &'n mut [Option<&'a RawValue>],
}

impl<'a, Name: AsRef<str>> Visitor<'a> for Object<'_, 'a, Name> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Place(self.names))? {
            match place.and_then(|place| self.found.get_mut(place)) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(found) => {
                    if found.replace(map.next_value()?).is_some() {
                        return Err(A::Error::custom("a field stands there twice"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Which of the names it is. Bytes, because half a surrogate is no text; such a name is nobody's.
struct Place<'n, Name>(&'n [Name]);

impl<'a, Name: AsRef<str>> DeserializeSeed<'a> for Place<'_, Name> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<Name: AsRef<str>> Visitor<'_> for Place<'_, Name> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Option<usize>, E> {
        Ok(self
            .0
            .iter()
            .position(|other| other.as_ref().as_bytes() == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(object: &str, names: &[&str]) -> Option<Vec<Option<String>>> {
        let object: &RawValue = serde_json::from_str(object).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let fields = Fields::read(object, &names).ok()?;
        assert_eq!(fields.object().get(), object.get());
        assert!(fields.get("another").is_none());
        let text = |name| Some(fields.get(name)?.get().to_owned());
        Some(names.iter().map(|name| text(name)).collect())
    }

    #[test]
    fn wanted_fields_are_found_and_others_are_passed_over() {
        for (object, expected) in [
            ("{}", [None, None]),
            (r#"{"a":1}"#, [Some("1"), None]),
            (r#"{"b":[1, 2],"a":null}"#, [Some("null"), Some("[1, 2]")]),
            (r#"{"x":{"a":1},"\u0061":"y"}"#, [Some(r#""y""#), None]),
            (r#"{"A":1,"a ":2,"ab":3,"":4}"#, [None, None]),
            (r#"{"x":1,"x":2,"b":3}"#, [None, Some("3")]),
            (r#"{"\ud83d":1,"b\u0000":2,"b":3}"#, [None, Some("3")]),
        ] {
            let expected = expected.map(|json| json.map(str::to_owned));
            assert_eq!(read(object, &["a", "b"]).unwrap(), expected, "{object}");
        }
    }

    #[test]
    fn what_is_no_object_or_says_a_wanted_field_twice_has_none() {
        for json in [
            "null",
            "7",
            r#""a""#,
            "[1,2]",
            r#"{"a":1,"a":1}"#,
            r#"{"a":null,"\u0061":1}"#,
        ] {
            assert_eq!(read(json, &["a", "b"]), None, "{json}");
        }
    }
}
