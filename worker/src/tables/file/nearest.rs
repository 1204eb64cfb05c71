//! The name that somebody may have meant.

/// Which of `names` is most like `word`: the same letters at the beginning count, and pairs of letters wherever they
/// are. Nothing if there are no names.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> &'a str {
    let word = word.to_lowercase();
    let likeness = |name: &str| {
        let name = name.to_lowercase();
        strsim::jaro_winkler(&word, &name) + strsim::sorensen_dice(&word, &name)
    };
    let names = names.into_iter().map(|name| (likeness(name), name));
    let nearest = names.min_by(|(one, _), (other, _)| other.total_cmp(one));
    nearest.map_or("", |(_, name)| name)
}
