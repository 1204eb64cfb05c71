//! Numbers as PostgreSQL reads them.

/// Digits of a `numeric`, and so of a number in `jsonb`, before and behind the point.
/// <https://www.postgresql.org/docs/15/datatype-numeric.html>
const BEFORE: i64 = 131_072;
const BEHIND: i64 = 16_383;
/// How deep JSON may be nested: PostgreSQL recurses, and where `max_stack_depth` is as it comes, that ends somewhere
/// behind ten thousand.
const DEPTH: usize = 5000;

/// Whether it is a decimal number that a `numeric` holds.
pub(super) fn is_numeric(text: &str) -> bool {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let before = before.strip_prefix(['-', '+']).unwrap_or(before);
    let are_digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    let length = |digits: &str| i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let Ok(exponent) = exponent.parse::<i32>().map(i64::from) else {
        return false;
    };
    are_digits(before)
        && are_digits(behind)
        && !(before.is_empty() && behind.is_empty())
        && length(before) + exponent <= BEFORE
        && length(behind) - exponent <= BEHIND
}

/// Whether a `numeric` with so many digits `before` the point has room for it, once it is rounded to so many `behind`.
pub(super) fn has_room(numeric: &str, (before, behind): (i64, i64)) -> bool {
    let (digits, exponent) = numeric.split_once(['e', 'E']).unwrap_or((numeric, "0"));
    let digits = digits.trim_start_matches(['-', '+']);
    let point = digits.find('.').unwrap_or(digits.len());
    let digits = digits.replace('.', "");
    let significant = digits.trim_start_matches('0');
    let zeros = digits.len() - significant.len();
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let exponent = exponent.parse::<i32>().map_or(0, i64::from);
    // How many digits stand before the point; as many zeros behind it where that is negative.
    let whole = length(point) - length(zeros) + exponent;
    if significant.is_empty() || whole < before {
        return true;
    }
    // It is rounded away where it is all nines.
    let kept = usize::try_from(before + behind).unwrap_or_default();
    let (kept, rest) = significant
        .split_at_checked(kept)
        .unwrap_or((significant, ""));
    let is_rounded_up = rest.starts_with(['5', '6', '7', '8', '9']);
    whole == before && !(is_rounded_up && kept.bytes().all(|digit| digit == b'9'))
}

/// Whether it is a decimal number that a `double precision` holds, or a `real`.
pub(super) fn is_real(text: &str, is_single: bool) -> bool {
    let number = if is_single {
        text.parse().map(f32::into)
    } else {
        text.parse()
    };
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = !digits.contains(|digit| matches!(digit, '1'..='9'));
    // What is too close to zero is out of range for PostgreSQL, too.
    is_numeric(text)
        && number.is_ok_and(|number: f64| number.is_finite() && (number == 0.0) == is_zero)
}

/// Whether `jsonb` holds it, apart from what its texts say.
pub(super) fn is_jsonb(json: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = json.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match first {
            b'"' => behind_string(after),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                let length = rest
                    .iter()
                    .position(|byte| !is_part(byte))
                    .unwrap_or(rest.len());
                let (number, after) = rest.split_at(length);
                if !std::str::from_utf8(number).is_ok_and(is_numeric) {
                    return false;
                }
                after
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH {
                    return false;
                }
                after
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    true
}

/// What comes after the quotation mark that ends a string.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest {
            [] | [b'"'] => return &[],
            [b'"', after @ ..] => return after,
            [b'\\', _, after @ ..] | [_, after @ ..] => rest = after,
        }
    }
}
