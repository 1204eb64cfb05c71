//! The name that somebody may have meant.

/// So much is a name like another one, of 2: the same letters at the beginning count, and pairs of letters wherever they
/// are. Below it letters are alike by chance.
const ALIKE: f64 = 1.2;
/// Letters of a name that says something where it is part of another one, or has one letter wrong.
const LETTERS: usize = 3;

/// Which of `names` is most like `word`, if any is like it.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let likeness = |name: &'a str| {
        let lower = name.to_lowercase();
        let likeness = strsim::jaro_winkler(&word, &lower) + strsim::sorensen_dice(&word, &lower);
        (likeness >= ALIKE || is_part_or_slip(&word, &lower)).then_some((likeness, name))
    };
    let alike = names.into_iter().filter_map(likeness);
    let nearest = alike.min_by(|(one, _), (other, _)| other.total_cmp(one));
    nearest.map(|(_, name)| name)
}

/// Whether one is a good part of the other, or a letter was left out, doubled, or typed before another one.
fn is_part_or_slip(one: &str, other: &str) -> bool {
    let (shorter, longer) = match one.len() < other.len() {
        true => (one, other),
        false => (other, one),
    };
    let is_good_part = longer.contains(shorter) && 5 * shorter.len() >= 2 * longer.len();
    shorter.chars().nth(LETTERS - 1).is_some()
        && (is_good_part || strsim::damerau_levenshtein(one, other) == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_like_no_name_was_none_of_them() {
        let columns = ["id", "clerk_id", "full_name", "emailAddress", "created_at"];
        for (word, expected) in [
            ("ID", Some("id")),
            ("clerkId", Some("clerk_id")),
            ("name", Some("full_name")),
            ("fulname", Some("full_name")),
            ("email", Some("emailAddress")),
            ("createdAt", Some("created_at")),
            ("crated_at", Some("created_at")),
            ("plan", None),
            ("bio", None),
            ("stripe_customer", None),
            ("updated_by", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, columns), expected, "{word}");
        }
        assert_eq!(nearest("form", ["from", "find"]), Some("from"));
        assert_eq!(nearest("user", ["app_users", "posts"]), Some("app_users"));
        assert_eq!(nearest("id", []), None);
    }
}
