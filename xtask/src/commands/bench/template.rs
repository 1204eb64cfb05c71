//! A text with blanks that is filled in very often.

/// The text between the blanks.
pub(crate) struct Template {
    /// What stands before each blank, and the place of its mark.
    parts: Vec<(String, usize)>,
    end: String,
}

impl Template {
    /// `text` has blanks wherever one of `marks` stands in it.
    pub(crate) fn of(mut text: &str, marks: &[&str]) -> Self {
        let mut parts = Vec::new();
        while let Some((place, mark)) = (0..marks.len())
            .filter_map(|mark| Some((text.find(marks[mark])?, mark)))
            .min()
        {
            parts.push((text[..place].to_owned(), mark));
            text = &text[place + marks[mark].len()..];
        }
        Self {
            parts,
            end: text.to_owned(),
        }
    }

    /// Puts each of `values` where the mark of the same place stood.
    pub(crate) fn fill(&self, values: &[&str]) -> String {
        let parts = self.parts.iter();
        let length: usize = parts
            .map(|(text, mark)| text.len() + values[*mark].len())
            .sum();
        let mut filled = String::with_capacity(length + self.end.len());
        for (text, mark) in &self.parts {
            filled.push_str(text);
            filled.push_str(values[*mark]);
        }
        filled.push_str(&self.end);
        filled
    }
}
