//! Rust source as tokens: enough of the language to tell code from comments, texts and tests.

use std::iter::Peekable;
use std::str::CharIndices;

/// A name or a sign of the code, `::` being one, with its line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// What a file has.
pub(crate) struct Source<'a> {
    /// The code without comments, texts, numbers and what is compiled for tests only.
    pub(crate) tokens: Vec<Token<'a>>,
    /// The modules of other files that are compiled for tests only.
    pub(crate) test_modules: Vec<&'a str>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let all = tokens(text);
        let (mut code, mut test_modules) = (Vec::new(), Vec::new());
        let mut rest = &all[..];
        while let Some(token) = rest.first() {
            if let Some(after) = strip(rest, &["#", "[", "cfg", "(", "test", ")", "]"]) {
                let (item, after) = item(after);
                if let [.., module, name, end] = item
                    && (module.text, end.text) == ("mod", ";")
                {
                    test_modules.push(name.text);
                }
                rest = after;
            } else {
                code.push(token.clone());
                rest = &rest[1..];
            }
        }
        Self { tokens: code, test_modules }
    }
}

/// What follows these tokens, if they are the first.
pub(crate) fn strip<'b, 'a>(tokens: &'b [Token<'a>], first: &[&str]) -> Option<&'b [Token<'a>]> {
    let found = tokens.get(..first.len())?;
    found.iter().map(|token| token.text).eq(first.iter().copied()).then(|| &tokens[first.len()..])
}

/// An item, with its other attributes, and what follows it: it ends with its first braces or semicolon.
fn item<'b, 'a>(tokens: &'b [Token<'a>]) -> (&'b [Token<'a>], &'b [Token<'a>]) {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token.text == "}" || token.text == ";") {
            return tokens.split_at(at + 1);
        }
    }
    (tokens, &[])
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text.char_indices().peekable();
    while let Some((at, sign)) = rest.next() {
        let follows = &text[at + sign.len_utf8()..];
        match sign {
            '/' if follows.starts_with('/') => skip_until(&mut rest, |sign, _| sign == '\n'),
            '/' if follows.starts_with('*') => {
                let mut depth = 1;
                skip_until(&mut rest, |sign, next| {
                    match (sign, next) {
                        ('/', Some('*')) => depth += 1,
                        ('*', Some('/')) => depth -= 1,
                        _ => {}
                    }
                    depth == 0
                });
                rest.next();
            }
            '"' => skip_text(&mut rest),
            'r' | 'b' | 'c' if let Some(length) = raw_text(&text[at..]) => {
                (1..length).for_each(|_| _ = rest.next());
            }
            '\'' if is_character(follows) => {
                let mut escaped = false;
                skip_until(&mut rest, |sign, _| {
                    let ends = sign == '\'' && !escaped;
                    escaped = sign == '\\' && !escaped;
                    ends
                });
            }
            ':' if follows.starts_with(':') => {
                rest.next();
                tokens.push(Token { line, text: &text[at..at + 2] });
            }
            sign if sign == '_' || sign.is_alphanumeric() => {
                while rest.next_if(|(_, sign)| *sign == '_' || sign.is_alphanumeric()).is_some() {}
                let end = rest.peek().map_or(text.len(), |(end, _)| *end);
                if !sign.is_ascii_digit() {
                    tokens.push(Token { line, text: &text[at..end] });
                }
            }
            sign if sign.is_whitespace() => {}
            sign => tokens.push(Token { line, text: &text[at..at + sign.len_utf8()] }),
        }
        let end = rest.peek().map_or(text.len(), |(end, _)| *end);
        line += text[at..end].matches('\n').count();
    }
    tokens
}

/// Goes on behind the first sign that is the end, which is told the one behind it too.
fn skip_until(rest: &mut Peekable<CharIndices<'_>>, mut is_end: impl FnMut(char, Option<char>) -> bool) {
    while let Some((_, sign)) = rest.next() {
        if is_end(sign, rest.peek().map(|(_, next)| *next)) {
            return;
        }
    }
}

/// Goes on behind the text whose first mark was read.
fn skip_text(rest: &mut Peekable<CharIndices<'_>>) {
    let mut escaped = false;
    skip_until(rest, |sign, _| {
        let ends = sign == '"' && !escaped;
        escaped = sign == '\\' && !escaped;
        ends
    });
}

/// The characters of the raw text at the beginning, if there is one: `r"…"`, `br#"…"#`.
fn raw_text(text: &str) -> Option<usize> {
    let behind = text.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let marks = behind.len() - behind.trim_start_matches('#').len();
    let content = behind[marks..].strip_prefix('"')?;
    let end = content.find(&format!("\"{}", "#".repeat(marks)))? + 1 + marks;
    let length = text.len() - content.len() + end;
    Some(text[..length].chars().count())
}

/// Whether this, behind a quotation mark, is a character and no lifetime.
fn is_character(follows: &str) -> bool {
    let mut signs = follows.chars();
    match signs.next() {
        Some('\\') => true,
        Some(_) => signs.next() == Some('\''),
        None => false,
    }
}

#[test]
fn code_is_told_from_texts_comments_and_tests() {
    let text = r####"
        // fs /* :: */ "
        /* a /* b */ c */ fn d<'e>(f: &'e str) -> char { '"' }
        const G: &str = "h \" i"; const J: [&[u8]; 2] = [br#"k " l"#, b"m"]; const N: char = '\'';
        #[cfg(test)]
        #[allow(o)]
        mod p;
        #[cfg(test)]
        impl Q { fn r() -> [u8; 2] { [b'{', 1_u8] } }
        use s::{t, u as v};
    "####;
    let Source { tokens, test_modules } = Source::new(text);
    let words: Vec<_> = tokens.iter().map(|token| token.text).collect();
    assert_eq!(
        words.join(" "),
        "fn d < ' e > ( f : & ' e str ) - > char { } const G : & str = ; \
         const J : [ & [ u8 ] ; ] = [ , b ] ; const N : char = ; use s :: { t , u as v } ;"
    );
    assert_eq!(test_modules, ["p"]);
    assert_eq!(tokens.last().map(|token| token.line), Some(10));
}
