//! Words that must not appear, each with its reason: `xtask/words.toml`.

use anyhow::Result;
use serde::Deserialize;

use super::{Tree, line_at};

const LIST: &str = "xtask/words.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    words: Vec<Words>,
}

/// Words, of one reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    /// As they are written; those of small letters only may have capitals, too.
    texts: Vec<String>,
    because: String,
    /// Where they may be: how the paths of such files start.
    #[serde(default)]
    except: Vec<String>,
}

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let list: List = toml::from_str(tree.text(LIST)?)?;
    let mut found = Vec::new();
    for (path, file) in tree.files("", "").filter(|(path, _)| *path != LIST) {
        let small = file.to_lowercase();
        for Words {
            texts,
            because,
            except,
        } in &list.words
        {
            if except.iter().any(|start| path.starts_with(start.as_str())) {
                continue;
            }
            for text in texts {
                let file = if text.contains(char::is_uppercase) {
                    file
                } else {
                    &small
                };
                for line in lines_with(file, text) {
                    found.push(format!("{path}:{line}: \"{text}\": {because} ({LIST})"));
                }
            }
        }
    }
    Ok(found)
}

/// The lines in which a text stands, and not only as a part of a longer word.
fn lines_with(file: &str, text: &str) -> Vec<usize> {
    let is_inner = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let is_part = |start: usize| {
        let (before, after) = (&file[..start], &file[start + text.len()..]);
        is_inner(text.chars().next()) && is_inner(before.chars().next_back())
            || is_inner(text.chars().next_back()) && is_inner(after.chars().next())
    };
    let starts = file.match_indices(text).map(|(start, _)| start);
    starts
        .filter(|start| !is_part(*start))
        .map(|start| line_at(file, start))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn whole_words_are_found_outside_of_what_is_exempt() -> Result<()> {
        let list = "[[words]]\ntexts = [\"SHOUT\", \"mumble\", \"/nest/\"]\nbecause = \"no\"\nexcept = [\"c/\"]\n";
        let on = |text| found(check, &[(LIST, list), ("a.rs", text), ("c/d.rs", text)]);
        assert_eq!(on("shout = 1; SHOUTS; mumbled; re_mumble; a.nest/")?, "");
        assert_eq!(
            on("\n// SHOUT: this")?,
            "a.rs:2: \"SHOUT\": no (xtask/words.toml)"
        );
        assert!(on("Mumble this")?.contains("\"mumble\""));
        assert!(on("see /nest/me, at/nest/")?.contains("\"/nest/\""));
        Ok(())
    }
}
