//! Plain text.

/// The same text with line ends as `\n`, ordinary spaces, and nothing that cannot be seen.
pub(super) fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                if characters.peek() == Some(&'\n') {
                    characters.next();
                }
                end_line(&mut tidied);
            }
            '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => end_line(&mut tidied),
            other => tidied.extend(visible(other)),
        }
    }
    end_line(&mut tidied);
    let end = tidied.trim_end().len();
    tidied.truncate(end);
    let start = tidied.len() - tidied.trim_start_matches('\n').len();
    tidied.drain(..start);
    tidied
}

/// The character as a narrative has it. Reports come through systems that add control characters, and a soft hyphen
/// within a word would hide the word from the model.
pub(super) fn visible(character: char) -> Option<char> {
    match character {
        '\u{a0}' | '\u{202f}' | '\u{2007}' => Some(' '),
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => None,
        '\t' => Some('\t'),
        other => (!other.is_control()).then_some(other),
    }
}

/// Ends the line without the blanks at its end.
fn end_line(tidied: &mut String) {
    let end = tidied.trim_end_matches([' ', '\t']).len();
    tidied.truncate(end);
    tidied.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_ends_spaces_and_control_characters_are_made_plain() {
        let table = [
            ("a\r\nb\rc\nd", "a\nb\nc\nd"),
            ("a  \n\tb", "a\n\tb"),
            ("5\u{a0}mm", "5 mm"),
            ("page 1\u{c}page 2", "page 1\npage 2"),
            ("meta\u{ad}stases\u{0}\u{7}", "metastases"),
            ("\r\n\r\n  x\r\n\r\n", "  x"),
            ("", ""),
        ];
        for (given, expected) in table {
            assert_eq!(tidy(given), expected, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn letters_and_digits_all_stay(text: String) {
            let kept = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(kept(&tidy(&text)), kept(&text));
        }
    }
}
