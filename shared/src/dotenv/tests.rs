use proptest::prelude::*;

use super::file::Dotenv;
use super::quoted_for_dotenvy;

fn parse(content: &[u8]) -> Result<Dotenv, String> {
    let environment = |name: &str| match name {
        "SET" => Some("process".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let is_setting = |word: &str| word == "DATABASE_URL";
    Dotenv::parse(content, &environment, &is_setting).map_err(|error| error.to_string())
}

#[track_caller]
fn assert_reads(content: &str, expected: &[(&str, &str)]) {
    let file = parse(content.as_bytes()).unwrap_or_else(|error| panic!("{content:?}: {error}"));
    let found: Vec<_> = file
        .variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(found, expected, "{content:?}");
}

/// The cases of compose-go's own tests (dotenv/godotenv_test.go and its fixtures), but for `$` outside
/// double quotes.
#[test]
fn a_file_means_what_it_means_to_docker_compose() {
    for (line, name, value) in [
        ("FOO=bar", "FOO", "bar"),
        ("FOO =bar", "FOO", "bar"),
        ("FOO= bar", "FOO", "bar"),
        ("FOO = bar", "FOO", "bar"),
        ("FOO=", "FOO", ""),
        ("FOO = ", "FOO", ""),
        (" KEY =value", "KEY", "value"),
        ("\tKEY=value", "KEY", "value"),
        ("FOO=\"bar\"", "FOO", "bar"),
        ("FOO='bar'", "FOO", "bar"),
        ("FOO=''", "FOO", ""),
        ("FOO=\"\"", "FOO", ""),
        (r#"FOO="escaped\"bar""#, "FOO", "escaped\"bar"),
        (r#"FOO="\"quoted\"""#, "FOO", "\"quoted\""),
        (r#"FOO="'d'""#, "FOO", "'d'"),
        (r"FOO='Let\'s go!'", "FOO", "Let's go!"),
        ("OPTION_A: 1", "OPTION_A", "1"),
        ("OPTION_A: Foo=bar", "OPTION_A", "Foo=bar"),
        ("OPTION_A=1:B", "OPTION_A", "1:B"),
        ("export OPTION_A=2", "OPTION_A", "2"),
        ("\texport\tOPTION_A=2", "OPTION_A", "2"),
        ("export export_FOO =2", "export_FOO", "2"),
        ("exportFOO=2", "exportFOO", "2"),
        (r"export OPTION_B='\n'", "OPTION_B", r"\n"),
        ("export OPTION_A=\"export A\"", "OPTION_A", "export A"),
        (r#"FOO="bar\nbaz""#, "FOO", "bar\nbaz"),
        (r"FOO=a\tb", "FOO", r"a\tb"),
        (r#"FOO="a\tb""#, "FOO", "a\tb"),
        (
            r#"KEY="Z\aZ\bZ\fZ\nZ\rZ\tZ\vZ\\Z\0123Z""#,
            "KEY",
            "Z\x07Z\x08Z\x0cZ\nZ\rZ\tZ\x0bZ\\ZSZ",
        ),
        (r#"FOO="bar\\\n\ b\az""#, "FOO", "bar\\\n\\ b\x07z"),
        (r#"FOO="bar\nbaz\\""#, "FOO", "bar\nbaz\\"),
        (
            r#"KEY="\x07\u12e4\c\0400\01""#,
            "KEY",
            r"\x07\u12e4\c\0400\01",
        ),
        ("FOO.BAR=foobar", "FOO.BAR", "foobar"),
        ("VAR-WITH-DASHES=dashes", "VAR-WITH-DASHES", "dashes"),
        ("FOO=foobar=", "FOO", "foobar="),
        ("FOO=bar ", "FOO", "bar"),
        ("FOO=bar # this is foo", "FOO", "bar"),
        ("FOO=bar #", "FOO", "bar"),
        ("FOO=123#not-a-comment", "FOO", "123#not-a-comment"),
        ("FOO=\"bar#baz\"#", "FOO", "bar#baz"),
        ("FOO='bar#baz' # comment", "FOO", "bar#baz"),
        (
            "FOO=\"first\nsecond\r\nthird\"",
            "FOO",
            "first\nsecond\r\nthird",
        ),
        ("FOO=with an è in a phrase", "FOO", "with an è in a phrase"),
        ("A=whsec_x whsec_y", "A", "whsec_x whsec_y"),
        ("A=bar\r", "A", "bar"),
        ("A=\"bar\"\r", "A", "bar"),
    ] {
        assert_reads(line, &[(name, value)]);
        assert_reads(&format!("# c\r\n\n{line}\n\n"), &[(name, value)]);
    }
    for nothing in [
        "",
        "\n",
        "\r\n",
        "\t\t ",
        "# A=b",
        "\t # comment",
        "NAME_ALONE",
        "A\nB\n",
    ] {
        assert_reads(nothing, &[]);
    }
    assert_reads("\u{feff}A=1", &[("A", "1")]);
    assert_reads("A=1\r\nB=2\r\nA=3", &[("B", "2"), ("A", "3")]);
    assert_reads(
        "A='1' # one\nB=\"2\"\nC=3",
        &[("A", "1"), ("B", "2"), ("C", "3")],
    );
}

#[test]
fn a_dollar_sign_means_something_in_double_quotes_only() {
    for (value, read) in [
        ("pa$word", "pa$word"),
        ("${B}$", "${B}$"),
        ("'pa$B ${B}'", "pa$B ${B}"),
        ("\"$B\"", "b"),
        ("\"${B}x$B.y\"", "bxb.y"),
        ("\"$SET ${SET}\"", "process process"),
        ("\"$1 $ $\"", "$1 $ $"),
        (r#""\$B \${B} $$B""#, "$B ${B} $B"),
        (r#""a\\$B""#, "a\\b"),
        ("\"${UNSET:-x ${B}}\"", "x b"),
        ("\"${UNSET-x}${EMPTY-y}${EMPTY:-z}\"", "xz"),
        ("\"${B:+x}${EMPTY+y}${EMPTY:+z}${UNSET+w}\"", "xy"),
        ("\"${B:?must be set}\"", "b"),
    ] {
        assert_reads(
            &format!("SET=file\nB=b\nA={value}"),
            &[("SET", "file"), ("B", "b"), ("A", read)],
        );
    }
    let file = parse(b"\nA=\"x$word\"").unwrap();
    assert_eq!(file.variables, [("A".to_owned(), "x".to_owned())]);
    assert_eq!(file.blanks[0].to_string(), ".env, line 2, A");
}

/// P11, P12
#[test]
fn a_line_that_cannot_be_read_is_named_without_its_value() {
    for (content, named) in [
        (
            &b"hunter2 is no setting\n"[..],
            ".env, line 1: found a line that is not",
        ),
        (
            b"A=1\n\nhunter2$x=1",
            ".env, line 3: found a line that is not",
        ),
        (
            b"DATABASE_URL postgres://hunter2",
            ".env, line 1, DATABASE_URL: found a line",
        ),
        (
            b"A='1\n2'\nB=\"hunter2",
            ".env, line 3, B: found a value whose quotation mark",
        ),
        (
            b"export B='hunter2\\'",
            ".env, line 1, B: found a value whose quotation mark",
        ),
        (
            b"=hunter2",
            ".env, line 1: found a line that is not NAME=value",
        ),
        (
            b"B=\"hunter2\" hunter2",
            ".env, line 1, B: found text behind the closing",
        ),
        (
            b"A=1\nB=\"hunter2${\"",
            ".env, line 2, B: found a ${ in double quotes",
        ),
        (
            b"B=\"hunter2${x!y}\"",
            ".env, line 1, B: found a ${ in double quotes",
        ),
        (
            b"B=\"${UNSET:?hunter2}\"",
            ".env, line 1, B: found a reference to a variable",
        ),
        (
            b"A=1\nB=hunter2\xff\nC=1",
            ".env, line 2, B: found text that is not UTF-8",
        ),
        (
            b"\xff\xfeA\0=\0",
            ".env, line 1: found text that is not UTF-8",
        ),
        (b"B=hunter2\0", ".env, line 1, B: found a NUL character"),
    ] {
        let error = parse(content).unwrap_err();
        assert!(error.starts_with(named), "{error}");
        assert!(
            !error.contains("hunter2") && error.contains("expected"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

proptest! {
    #[test]
    fn every_value_reaches_the_environment_as_it_is(value in "[^\0]*", quotes in r#"[\\"'$#\n\r =a]*"#) {
        for value in [value, quotes] {
            let line = quoted_for_dotenvy("NAME", &value);
            let read: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(Result::unwrap).collect();
            prop_assert_eq!(read, [("NAME".to_owned(), value)]);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<Vec<u8>>(), signs in r#"([A="'$\\{}:+?\-#\n] ?)*"#) {
        let _ = parse(&text);
        let _ = parse(signs.as_bytes());
    }
}
