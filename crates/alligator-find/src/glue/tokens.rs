//! JavaScript as tokens: names, strings, numbers and marks. Comments, regular expressions and templates are passed over.
//!
//! Whether a `/` divides or begins a regular expression depends on the token before it. That is decided by the usual
//! rule of thumb; where it errs, at most the rest of a line is misread.

/// A token, as a part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A name or a keyword.
    Name(&'a str),
    /// A string, without its quotes, as it is written.
    Text(&'a str),
    /// A number, as it is written.
    Number(&'a str),
    /// A template or a regular expression, of which nothing is known.
    Opaque,
    /// Any other character; `>` for an arrow.
    Mark(char),
}

/// Words after which an expression begins.
const BEFORE_EXPRESSION: [&str; 8] = [
    "return", "typeof", "case", "in", "of", "delete", "void", "throw",
];

/// The tokens of a text. Any text has some.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        tokens: Vec::new(),
    };
    while reader.step() {}
    reader.tokens
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Reader<'a> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Reads one token, or what stands between two. Whether there was anything left.
    fn step(&mut self) -> bool {
        let Some(byte) = self.byte(0) else {
            return false;
        };
        match byte {
            b'/' if self.byte(1) == Some(b'/') => self.skip_to(b"\n"),
            b'/' if self.byte(1) == Some(b'*') => self.skip_to(b"*/"),
            b'/' if self.begins_expression() => self.pass_over_pattern(),
            b'"' | b'\'' => self.take_string(byte),
            b'`' => self.pass_over_template(),
            _ if byte.is_ascii_digit() => {
                let word = self.word();
                self.tokens.push(Token::Number(word));
            }
            _ if is_word(byte) => {
                let word = self.word();
                self.tokens.push(Token::Name(word));
            }
            _ => {
                if !byte.is_ascii_whitespace() {
                    self.tokens.push(Token::Mark(char::from(byte)));
                }
                self.at += 1;
            }
        }
        true
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        while self.byte(0).is_some_and(is_word) {
            self.at += 1;
        }
        self.slice(start, self.at)
    }

    /// A part of the text; nothing, if it is cut within a character.
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or("")
    }

    fn skip_to(&mut self, end: &[u8]) {
        let rest = &self.text.as_bytes()[self.at..];
        // Not the end of `/*/`.
        let found = rest
            .get(2..)
            .unwrap_or_default()
            .windows(end.len())
            .position(|window| window == end);
        self.at += found.map_or(rest.len(), |found| 2 + found + end.len());
    }

    fn begins_expression(&self) -> bool {
        match self.tokens.last() {
            None => true,
            Some(Token::Mark(mark)) => !matches!(mark, ')' | ']' | '}'),
            Some(Token::Name(name)) => BEFORE_EXPRESSION.contains(name),
            Some(_) => false,
        }
    }

    fn pass_over_pattern(&mut self) {
        self.at += 1;
        let mut in_class = false;
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => break,
                b'\n' => break,
                _ => {}
            }
        }
        self.tokens.push(Token::Opaque);
    }

    fn take_string(&mut self, quote: u8) {
        let start = self.at + 1;
        self.at = start;
        while let Some(byte) = self.byte(0) {
            if byte == quote || byte == b'\n' {
                break;
            }
            self.at += if byte == b'\\' { 2 } else { 1 };
        }
        let text = self.slice(start, self.at);
        self.tokens.push(Token::Text(text));
        self.at += 1;
    }

    /// Passes over a template; what it computes is read, since glue has code there.
    fn pass_over_template(&mut self) {
        self.at += 1;
        self.tokens.push(Token::Opaque);
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'`' => break,
                _ => {}
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        let all = tokens(text).into_iter();
        all.filter_map(|token| match token {
            Token::Name(name) => Some(name),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn comments_patterns_and_strings_hold_no_names() {
        let text = "a /* b */ // c\n = /d[/]e/g.test('f') + `g`; h / i / j";
        assert_eq!(names(text), ["a", "g", "test", "h", "i", "j"]);
    }

    #[test]
    fn what_is_cut_short_comes_to_an_end() {
        for text in ["'\\", "/*/", "`${", "/[", "\"é", "é'", "/", "//"] {
            for end in 0..=text.len() {
                if let Some(part) = text.get(..end) {
                    tokens(part);
                }
            }
        }
    }

    #[test]
    fn strings_keep_their_text() {
        assert_eq!(tokens("x['_malloc']")[2], Token::Text("_malloc"));
        assert_eq!(tokens(r#""a\"b""#), [Token::Text(r#"a\"b"#)]);
    }
}
