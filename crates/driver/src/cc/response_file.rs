//! `@FILE` arguments, read as clang and GCC do: words separated by white space, with quotes and backslashes as in GNU's libiberty.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How deep response files may name others: one that names itself must end somewhere.
const MAXIMUM_DEPTH: usize = 20;

/// Replaces every `@FILE` whose file can be read by the words in it. Others stay: such a name may be an input's.
pub fn expand(arguments: &[OsString]) -> Vec<OsString> {
    let mut expanded = Vec::with_capacity(arguments.len());
    expand_into(arguments, 0, &mut expanded);
    expanded
}

fn expand_into(arguments: &[OsString], depth: usize, expanded: &mut Vec<OsString>) {
    for argument in arguments {
        let content = argument
            .as_bytes()
            .strip_prefix(b"@")
            .filter(|_| depth < MAXIMUM_DEPTH)
            .and_then(|path| fs::read(OsStr::from_bytes(path)).ok());
        match content {
            Some(content) => expand_into(&words(&content), depth + 1, expanded),
            None => expanded.push(argument.clone()),
        }
    }
}

fn words(content: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            // As in libiberty, a backslash escapes any character, in single quotes too.
            (_, b'\\') => word.get_or_insert_default().extend(bytes.next()),
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(byte),
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (None, _) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

/// The text of a response file that stands for these arguments.
pub fn quote(arguments: &[OsString]) -> Vec<u8> {
    let mut text = Vec::new();
    for argument in arguments {
        text.push(b'"');
        for &byte in argument.as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(byte);
        }
        text.extend_from_slice(b"\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_gcc_does() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("a b\n\tc", &["a", "b", "c"]),
            ("-DX=\"a b\" 'c d'", &["-DX=a b", "c d"]),
            (r#"-DX=\"a\" b\ c"#, &["-DX=\"a\"", "b c"]),
            (r#""a\\b" '' "#, &["a\\b", ""]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_quoted_reads_back() {
        let arguments = ["a b", "\"", "\\", "", "it's"].map(OsString::from);
        assert_eq!(words(&quote(&arguments)), arguments);
    }

    #[test]
    fn a_missing_file_stays_an_argument_and_a_cycle_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("self");
        let mut argument = OsString::from("@");
        argument.push(&path);
        fs::write(&path, [b"-a ", argument.as_bytes()].concat()).unwrap();
        let expanded = expand(&[argument.clone(), "@/no/such/file".into()]);
        assert_eq!(expanded.first(), Some(&OsString::from("-a")));
        assert_eq!(&expanded[expanded.len() - 2..], [argument, "@/no/such/file".into()]);
    }
}
