//! Rust sources as tokens: what is in comments and strings is none, and what is in macros is seen, too.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The tokens of a source.
pub(super) fn read(path: &str, text: &str) -> Result<Vec<TokenTree>> {
    let stream: TokenStream = text.parse().map_err(|error| anyhow!("{path}: {error}"))?;
    Ok(stream.into_iter().collect())
}

/// The line of the first such word.
pub(super) fn line_of(word: &str, tokens: &[TokenTree]) -> Option<usize> {
    tokens.iter().find_map(|tree| match tree {
        TokenTree::Ident(ident) if ident == word => Some(ident.span().start().line),
        TokenTree::Group(group) => line_of(word, &inside(group)),
        _ => None,
    })
}

/// A path that starts with `crate`, `self` or `super`, and its line.
pub(super) type Reference = (Vec<String>, usize);

/// All such paths, but those in what is compiled for tests only.
pub(super) fn references(mut tokens: &[TokenTree], found: &mut Vec<Reference>) {
    while let [first, rest @ ..] = tokens {
        tokens = rest;
        match first {
            first if is(first, '#') && is_for_tests(rest) => tokens = after_item(rest),
            TokenTree::Ident(name) if ["crate", "self", "super"].iter().any(|it| name == it) => {
                follow(&[], first, rest, found);
            }
            TokenTree::Group(group) => references(&inside(group), found),
            _ => {}
        }
    }
}

/// Goes on with a path by `name`, and if `::` follows, by what comes then: a name or a group of paths.
fn follow(path: &[String], name: &TokenTree, tokens: &[TokenTree], found: &mut Vec<Reference>) {
    let path = [path, &[name.to_string()]].concat();
    match tokens {
        [one, two, next @ TokenTree::Ident(_), rest @ ..] if is(one, ':') && is(two, ':') => {
            follow(&path, next, rest, found);
        }
        [one, two, TokenTree::Group(group), ..] if is(one, ':') && is(two, ':') => {
            for part in inside(group).split(|tree| is(tree, ',')) {
                if let [next, rest @ ..] = part {
                    follow(&path, next, rest, found);
                }
            }
        }
        _ if path.len() > 1 => found.push((path, name.span().start().line)),
        _ => {}
    }
}

/// Something with a name that a source defines.
#[derive(Debug)]
pub(super) struct Item {
    /// What it is: `fn`, `trait`, `struct`, `enum`, `type`, `const` or `static`.
    pub(super) kind: String,
    pub(super) name: String,
    /// The type whose `impl` it is in, or none; a trait's for a type has none.
    pub(super) owner: String,
    pub(super) is_public: bool,
    pub(super) is_unsafe: bool,
    pub(super) line: usize,
}

impl Item {
    /// The name, after its owner's.
    pub(super) fn full_name(&self) -> String {
        match self.owner.as_str() {
            "" => self.name.clone(),
            owner => format!("{owner}::{}", self.name),
        }
    }
}

/// All items, but those in what is compiled for tests only, and in functions.
pub(super) fn items(mut tokens: &[TokenTree], owner: &str, found: &mut Vec<Item>) {
    let (mut is_public, mut is_unsafe) = (false, false);
    while let [first, rest @ ..] = tokens {
        tokens = rest;
        match first.to_string().as_str() {
            "#" if is_for_tests(rest) => tokens = after_item(rest),
            "pub" => is_public = !matches!(rest.first(), Some(TokenTree::Group(_))),
            "unsafe" => is_unsafe = true,
            "impl" => {
                let (owner, body, after) = implementation(rest);
                items(&body, &owner, found);
                (is_public, is_unsafe, tokens) = (false, false, after);
            }
            "mod" => {
                if let [_, TokenTree::Group(body), ..] = rest {
                    items(&inside(body), owner, found);
                }
                is_public = false;
            }
            // `const fn` is a function.
            kind @ ("fn" | "trait" | "struct" | "enum" | "type" | "const" | "static") => {
                let Some(TokenTree::Ident(name)) = rest.first() else {
                    continue;
                };
                if ["fn", "unsafe", "extern"].iter().any(|word| name == word) {
                    continue;
                }
                found.push(Item {
                    kind: kind.to_owned(),
                    name: name.to_string(),
                    owner: owner.to_owned(),
                    is_public,
                    is_unsafe,
                    line: name.span().start().line,
                });
                (is_public, is_unsafe) = (false, false);
                if kind == "fn" {
                    tokens = after_item(rest);
                }
            }
            ";" => (is_public, is_unsafe) = (false, false),
            _ => {}
        }
    }
}

/// The type of an `impl` that these tokens follow, or none if it is a trait's; what is in it, and what comes after it.
fn implementation(tokens: &[TokenTree]) -> (String, Vec<TokenTree>, &[TokenTree]) {
    let is_body = |tree: &TokenTree| matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let end = tokens.iter().position(is_body).unwrap_or(tokens.len());
    let (head, rest) = tokens.split_at(end);
    let body = match rest.first() {
        Some(TokenTree::Group(group)) => inside(group),
        _ => Vec::new(),
    };
    let (mut depth, mut owner, mut before) = (0_usize, String::new(), ' ');
    for tree in head {
        match tree {
            TokenTree::Punct(sign) if sign.as_char() == '<' => depth += 1,
            // The end of `->` closes nothing.
            TokenTree::Punct(sign) if sign.as_char() == '>' && before != '-' => {
                depth = depth.saturating_sub(1);
            }
            TokenTree::Ident(word) if depth == 0 && word == "where" => break,
            TokenTree::Ident(word) if depth == 0 && word == "for" => {
                owner.clear();
                break;
            }
            TokenTree::Ident(word) if depth == 0 => owner = word.to_string(),
            _ => {}
        }
        before = match tree {
            TokenTree::Punct(sign) => sign.as_char(),
            _ => ' ',
        };
    }
    (owner, body, rest.get(1..).unwrap_or_default())
}

/// The words in a token: itself, or those in a group.
pub(super) fn words(tree: &TokenTree) -> Vec<String> {
    match tree {
        TokenTree::Ident(word) => vec![word.to_string()],
        TokenTree::Group(group) => inside(group).iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

/// Whether these tokens, which follow a `#`, are `[cfg(test)]` or `[cfg(all(test, ..))]`.
fn is_for_tests(tokens: &[TokenTree]) -> bool {
    let text = tokens.first().map_or(String::new(), ToString::to_string);
    let text = text.replace(' ', "");
    text.starts_with("[cfg(test") || text.starts_with("[cfg(all(test")
}

/// What follows the item that starts here: items end with a block or a semicolon.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_block = |tree: &TokenTree| matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let mut parts = tokens.splitn(2, |tree| is_block(tree) || is(tree, ';'));
    parts.nth(1).unwrap_or_default()
}

fn is(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn inside(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        references(&read("", text)?, &mut found);
        let show = |(path, line): &Reference| format!("{line} {}", path.join(" "));
        Ok(found.iter().map(show).collect())
    }

    #[test]
    fn paths_are_found_in_uses_expressions_and_macros() -> Result<()> {
        let uses = "use crate::{\n  a::{b, c}, d as e};\nfn f() { assert!(super::g::<u8>()) } // crate::no\n";
        let expected = ["2 crate a b", "2 crate a c", "2 crate d", "3 super g"];
        assert_eq!(all(uses)?, expected);
        Ok(())
    }

    #[test]
    fn what_is_for_tests_only_is_left_out() -> Result<()> {
        let text = "#[cfg(test)] mod t { use crate::a; }\n#[cfg(test)] use crate::b;\n#[cfg(not(test))] use crate::c;";
        assert_eq!(all(text)?, ["3 crate c"]);
        Ok(())
    }
}
