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

/// Whether a decimal number, once it is rounded, fits a `numeric` of so many digits, so many of them behind the point.
pub(super) fn has_room(text: &str, (precision, scale): (i64, i64)) -> bool {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let before = digits.split('.').next().unwrap_or_default();
    let all = digits.bytes().filter(u8::is_ascii_digit);
    let significant: Vec<u8> = all.clone().skip_while(|digit| *digit == b'0').collect();
    let length = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let zeros = length(all.count() - significant.len());
    let before = length(before.bytes().filter(u8::is_ascii_digit).count()) - zeros;
    // The first significant digit is so many places before the point.
    let places = before + exponent.parse().unwrap_or(0);
    let room = precision - scale;
    if significant.is_empty() || places != room {
        return significant.is_empty() || places < room;
    }
    // 9999.995 becomes 10000.00.
    let kept = usize::try_from(precision).unwrap_or(usize::MAX);
    let is_rounded_up = significant.get(kept).is_some_and(|digit| *digit >= b'5');
    !(is_rounded_up && significant.iter().take(kept).all(|digit| *digit == b'9'))
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
