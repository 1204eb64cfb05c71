//! Names of tables and columns, compared with those that are looked for.

/// Which of `names`, which stand in one text, `name` is.
pub(super) fn place(names: &str, name: &str) -> Option<usize> {
    let name = plain(name);
    names.split_whitespace().position(|other| other == name)
}

/// Which of `nouns` the name of a table says: as its last word, or as all of its words.
pub(super) fn called(nouns: &str, name: &str) -> Option<usize> {
    let words = words(name);
    let is_said =
        |noun: &str| words.last().is_some_and(|last| last == noun) || words.concat() == noun;
    nouns.split_whitespace().position(is_said)
}

/// Whether one of the words is one of `nouns`.
pub(super) fn mentions(nouns: &str, name: &str) -> bool {
    words(name).iter().any(|word| place(nouns, word).is_some())
}

/// A name without what is written in different ways: `clerkUserId` and `clerk_user_id` are the same.
pub(super) fn plain(name: &str) -> String {
    let signs = name.chars().filter(|sign| sign.is_alphanumeric());
    signs.flat_map(char::to_lowercase).collect()
}

/// The words of a name, in the singular: of `app_users` and `AppUser` they are `app` and `user`.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    for sign in name.chars() {
        let begins = sign.is_uppercase() && spaced.ends_with(char::is_lowercase);
        if begins || !sign.is_alphanumeric() {
            spaced.push(' ');
        }
        spaced.push(sign);
    }
    let words = spaced.split(|sign: char| !sign.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(|word| singular(&plain(word)))
        .collect()
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_called_by_its_last_word_whatever_its_case_and_number() {
        for (name, noun, expected) in [
            ("users", "user", true),
            ("User", "user", true),
            ("app_users", "user", true),
            ("AppUsers", "user", true),
            ("auth_user", "user", true),
            ("accounts_profile", "profile", true),
            ("people", "people", true),
            ("companies", "company", true),
            ("waitlist_entries", "waitlistentry", true),
            ("WaitlistEntry", "waitlistentry", true),
            ("the users", "user", true),
            ("user_roles", "user", false),
            ("UserRole", "user", false),
            ("super", "user", false),
            ("", "user", false),
            ("_", "user", false),
        ] {
            assert_eq!(called(noun, name).is_some(), expected, "{name}");
        }
    }
}
