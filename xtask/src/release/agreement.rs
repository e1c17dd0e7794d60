//! Whether all that states a version or a feature agrees.

use std::fs;
use std::process::Command;

use alligator_tools::guest;
use anyhow::{Context, Result, ensure};

use super::order::Crate;
use super::{Outcome, VERSION, output};

/// `seen`, if nothing is wrong.
fn verdict(wrong: &[String], seen: String) -> Result<Outcome> {
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(Outcome::Ok(seen))
}

/// One version everywhere: crates need each other in the version that is published with them.
pub(crate) fn versions(crates: &[Crate]) -> Result<Outcome> {
    let mut wrong = Vec::new();
    for it in crates {
        let (name, version) = (it.name(), &it.0["version"]);
        if version != VERSION {
            wrong.push(format!("{name} is {version}, the workspace {VERSION}"));
        }
        for (need, req) in it.needs().filter(|(_, req)| *req != format!("^{VERSION}")) {
            wrong.push(format!(
                "{name} needs {need} {req}: beside its path, write version = \"{VERSION}\""
            ));
        }
    }
    let names: Vec<_> = crates.iter().map(Crate::name).collect();
    verdict(
        &wrong,
        format!("{VERSION}, in this order: {}", names.join(", ")),
    )
}

/// What crates.io asks for and what people look for there; docs.rs is told of features that exist, and documents what
/// has no std for Wasm.
pub(crate) fn manifests(crates: &[Crate]) -> Result<Outcome> {
    let mut wrong = Vec::new();
    for it in crates {
        let mut missing = |text: String| wrong.push(format!("{}: {text}", it.name()));
        let it = &it.0;
        for field in ["description", "license", "readme", "rust_version"] {
            if it[field].is_null() {
                missing(format!("no {field} in Cargo.toml"));
            }
        }
        for field in ["keywords", "categories"] {
            let words = Crate::words(&it[field]);
            if !(1..=5).contains(&words.len()) || words.iter().any(|word| word.contains(' ')) {
                missing(format!("crates.io takes one to five {field}"));
            }
        }
        let docs = &it["metadata"]["docs"]["rs"];
        for feature in Crate::words(&docs["features"]) {
            if it["features"][feature].is_null() {
                missing(format!("docs.rs is told of a feature {feature}"));
            }
        }
        let is_for_wasm = |name: &&str| name.starts_with("wasm32-");
        if Crate::words(&it["categories"]).contains(&"no-std")
            && !Crate::words(&docs["targets"]).iter().any(is_for_wasm)
        {
            missing("no wasm32 target in [package.metadata.docs.rs]".to_owned());
        }
    }
    let has_address = crates.iter().all(|it| !it.0["repository"].is_null());
    let address = [
        "no `repository`: it has no public address yet",
        "repository",
    ];
    verdict(
        &wrong,
        format!("fields, docs.rs; {}", address[usize::from(has_address)]),
    )
}

/// The version, or what is to become it, has a section with something in it.
pub(crate) fn changelog(text: &str) -> Result<Outcome> {
    let heads = [format!("## [{VERSION}]"), "## [Unreleased]".to_owned()];
    let has_entries = |head: &&String| {
        let section = text.split_once(*head).map(|(_, rest)| rest.split("\n## "));
        section.is_some_and(|mut parts| parts.next().is_some_and(|it| it.contains("\n- ")))
    };
    let found = heads.iter().find(has_entries);
    let found = found.with_context(|| format!("no entry below {}", heads.join(" or ")))?;
    Ok(Outcome::Ok(format!("entries below {found}")))
}

/// What users read.
pub(crate) fn pages(crates: &[Crate]) -> Result<Outcome> {
    let root = guest::root();
    let mut paths = vec![root.join("README.md"), root.join("npm/README.md")];
    paths.extend(crates.iter().map(|it| it.dir().join("README.md")));
    for entry in fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "md") {
            paths.push(path);
        }
    }
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in &paths {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for it in crates {
            for version in versions_of(it.name(), &text) {
                count += 1;
                if version != VERSION && !VERSION.starts_with(&format!("{version}.")) {
                    let path = path.strip_prefix(root).unwrap_or(path).display();
                    wrong.push(format!(
                        "{path} says {} {version}, not {VERSION}",
                        it.name()
                    ));
                }
            }
        }
    }
    verdict(&wrong, format!("{count} places that name a version"))
}

/// The versions of the crate `name` in lines to copy: `NAME = "0.1"`, `NAME = { version = "0.1"`, `NAME-0.1.0/`.
fn versions_of<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for middle in [" = \"", " = { version = \"", "-"] {
        for after in text.split(&format!("{name}{middle}")).skip(1) {
            let end = after.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
            found.push(&after[..end.unwrap_or(after.len())]);
        }
    }
    found.retain(|version| !version.is_empty());
    found
}

/// A version that has a tag has been published: what is published in it does not change any more.
pub(crate) fn tag(files: impl FnOnce() -> Result<Vec<String>>) -> Result<Outcome> {
    let git = |args: &[&str]| output(Command::new("git").args(args).current_dir(guest::root()));
    let Ok(here) = git(&["tag", "--points-at", "HEAD"]) else {
        return Ok(Outcome::LeftOut("this is no git repository".to_owned()));
    };
    let tag = format!("v{VERSION}");
    if let Some(other) = here.lines().find(|it| it.starts_with('v') && **it != tag) {
        anyhow::bail!("this commit has the tag {other}, and the version {VERSION}");
    }
    if git(&["tag", "--list", &tag])?.is_empty() {
        return Ok(Outcome::Ok(format!("no {tag} yet")));
    }
    let mut args = vec!["diff", "--name-only", &tag, "--"];
    let files = files()?;
    args.extend(files.iter().map(String::as_str));
    let changed = git(&args)?.trim().replace('\n', ", ");
    ensure!(
        changed.is_empty(),
        "changed since {tag}, so the version must rise: {changed}"
    );
    Ok(Outcome::Ok(format!("what is published is as in {tag}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A crate in which everything is right, but for what `change` says.
    fn with(key: &str, value: Value) -> Crate {
        let mut json = json!({
            "name": "alligator-c", "version": VERSION, "description": "", "license": "MIT",
            "readme": "README.md", "rust_version": "1.85", "keywords": ["wasm"],
            "categories": ["no-std"], "features": {"malloc": []},
            "metadata": {"docs": {"rs": {"features": ["malloc"], "targets": ["wasm32-x"]}}},
            "dependencies": [{"name": "a", "path": "", "req": format!("^{VERSION}")}]});
        json[key] = value;
        Crate(json)
    }

    fn error(outcome: Result<Outcome>) -> String {
        outcome.err().map_or_else(String::new, |it| it.to_string())
    }

    #[test]
    fn where_all_agrees_nothing_is_said() {
        let right = [with("name", json!("alligator-c"))];
        assert_eq!(error(versions(&right)), "");
        assert_eq!(error(manifests(&right)), "");
    }

    #[test]
    fn another_version_is_found() {
        assert!(error(versions(&[with("version", json!("9.9.9"))])).contains("9.9.9"));
        let needs = json!([{"name": "a", "path": "", "req": "*"}]);
        assert!(error(versions(&[with("dependencies", needs)])).contains("needs a *"));
    }

    #[test]
    fn what_a_manifest_lacks_is_found() {
        for (key, value, said) in [
            ("description", Value::Null, "no description"),
            ("keywords", json!([]), "one to five keywords"),
            ("features", json!({}), "a feature malloc"),
            ("metadata", Value::Null, "no wasm32 target"),
        ] {
            let error = error(manifests(&[with(key, value)]));
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_changelog_without_an_entry_is_found() {
        assert_eq!(error(changelog("## [Unreleased]\n\n- New.\n")), "");
        assert!(error(changelog("## [Unreleased]\n\n## [0.0.1]\n- Old.")).contains("no entry"));
    }

    #[test]
    fn versions_in_lines_to_copy_are_found() {
        let text = "a = \"0.1\", a = { version = \"1\" }, a-0.2.0/lib, a-b = \"7\", a-c";
        assert_eq!(versions_of("a", text), ["0.1", "1", "0.2.0"]);
    }
}
