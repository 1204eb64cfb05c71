//! How a preview is put into words, for a terminal of [`WIDTH`] columns.

use std::fmt::Write as _;

use shared::terminal::escaped;

use crate::operate::preview::line::Line;

/// Characters of a line.
const WIDTH: usize = 100;
/// Characters of a value that are shown at the least.
const SHORTEST_VALUE: usize = 24;

/// A text in quotation marks; what a terminal would take for something else is escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Columns below each other, under these headings; a heading without columns is left out.
pub(super) fn columns(parts: &[(String, Vec<Line>)]) -> String {
    let all = || parts.iter().flat_map(|(_, lines)| lines);
    let longest = |of: fn(&Line) -> &str| {
        let lengths = all().map(|line| escaped(of(line)).chars().count());
        lengths.max().unwrap_or_default()
    };
    let name = longest(|line| &line.name);
    let sql_type = longest(|line| &line.sql_type);
    let mut text = String::new();
    for (heading, lines) in parts {
        if !lines.is_empty() && !heading.is_empty() {
            paragraph(&mut text, heading);
        }
        for line in lines {
            let (shown, shown_type) = (escaped(&line.name), escaped(&line.sql_type));
            let start = format!("    {shown:name$}  {shown_type:sql_type$}  ");
            let indent = start.chars().count();
            let room = WIDTH.saturating_sub(indent).max(SHORTEST_VALUE);
            let value = cut(&line.value, room);
            let note = format!("({})", line.note);
            let has_room = value.chars().count() + 2 + note.chars().count() <= room;
            // Writing to a String never fails.
            let _ = match has_room {
                true => writeln!(text, "{start}{value}  {note}"),
                false => {
                    let note = cut(&note, room);
                    writeln!(text, "{start}{value}\n{:indent$}{note}", "")
                }
            };
        }
    }
    text
}

/// A sentence, indented, in as many lines as it takes.
pub(super) fn paragraph(text: &mut String, sentence: &str) {
    let mut length = 0;
    for word in sentence.split(' ') {
        let longer = length + 1 + word.chars().count();
        let separator = match length {
            0 => "  ",
            _ if longer > WIDTH => "\n    ",
            _ => " ",
        };
        length = match separator {
            " " => longer,
            other => other.trim_start_matches('\n').len() + word.chars().count(),
        };
        text.push_str(separator);
        text.push_str(word);
    }
    text.push('\n');
}

/// No more than so many characters of it, and how many there are.
fn cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let rest = format!("… {length} characters");
    let kept = most.saturating_sub(rest.chars().count());
    text.chars().take(kept).chain(rest.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, value: &str, note: &str) -> Line {
        Line {
            name: name.to_owned(),
            sql_type: "text".to_owned(),
            value: value.to_owned(),
            note: note.to_owned(),
            misfit: None,
        }
    }

    #[test]
    fn no_line_is_longer_than_a_terminal() {
        let long = "x".repeat(300);
        let parts = [
            (String::new(), vec![line("id", &long, &long)]),
            (long.replace('x', "word "), vec![line("name", "1", "2")]),
        ];
        let text = columns(&parts);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.contains("… 300 characters"), "{text}");
        assert!(text.ends_with("    name  text  1  (2)\n"), "{text}");
        let mut none = String::new();
        paragraph(&mut none, "one two");
        assert_eq!(none, "  one two\n");
    }
}
