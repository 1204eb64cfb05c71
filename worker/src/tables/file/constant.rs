//! From a value of TOML to a constant.

use serde_json::{Number, Value as Json};
use toml::Spanned;
use toml::de::DeValue;

use crate::tables::file::keys::described;
use crate::tables::file::notes::{Notes, all};
use crate::tables::file::scope::Scope;
use crate::tables::file::template::template;
use crate::tables::section::Constant;
use crate::tables::value::Value;

/// Reads a value as TOML has it. A text has paths in braces; one in a table or a list has none.
pub(super) fn constant(
    value: &Spanned<DeValue<'_>>,
    scope: Scope<'_>,
    notes: &mut Notes,
) -> Option<Constant> {
    let at = value.span().start;
    if let Some(text) = value.get_ref().as_str() {
        return template(text, at, scope, notes).map(Constant::Text);
    }
    let value = match json(value, notes)? {
        Json::Null => Value::Nothing,
        Json::Bool(boolean) => Value::Boolean(boolean),
        Json::String(text) => Value::Text(text),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Number(number.to_string()),
        },
        json @ (Json::Array(_) | Json::Object(_)) => Value::Json(json.to_string()),
    };
    Some(Constant::Value(value))
}

/// The same value in JSON, without what PostgreSQL cannot hold there. A date becomes its text.
fn json(value: &Spanned<DeValue<'_>>, notes: &mut Notes) -> Option<Json> {
    let at = value.span().start;
    let found = value.get_ref();
    let without_nul = |text: &str| text.replace('\0', "\u{fffd}");
    Some(match found {
        DeValue::String(text) => without_nul(text).into(),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Integer(digits) => {
            let Ok(integer) = i64::from_str_radix(digits.as_str(), digits.radix()) else {
                let expected = format!("a number from {} to {}", i64::MIN, i64::MAX);
                notes.mistake(at, format!("{} is too large", described(found)), expected);
                return None;
            };
            integer.into()
        }
        DeValue::Float(digits) => {
            let number = digits.as_str().parse().ok();
            let Some(number) = number.and_then(Number::from_f64) else {
                let what = format!("{} is no finite number", described(found));
                notes.mistake(at, what, "one that JSON has");
                return None;
            };
            number.into()
        }
        DeValue::Array(list) => Json::Array(all(list.iter().map(|value| json(value, notes)))?),
        DeValue::Table(table) => {
            let pairs = table.iter();
            Json::Object(all(pairs.map(|(key, value)| {
                Some((without_nul(key.get_ref()), json(value, notes)?))
            }))?)
        }
    })
}
