//! Which crates are published, and in which order: those first that others need.

use std::path::Path;
use std::process::Command;

use alligator_tools::command::cargo_path;
use alligator_tools::guest;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A crate of the workspace, as `cargo metadata` has it.
#[derive(Clone, Debug)]
pub(crate) struct Crate(pub(crate) Value);

impl Crate {
    pub(crate) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// Where its manifest is.
    pub(crate) fn dir(&self) -> &Path {
        let manifest = Path::new(self.0["manifest_path"].as_str().unwrap_or_default());
        manifest.parent().unwrap_or(manifest)
    }

    /// The workspace's crates that must be there before it: name and version. What only tests need, without a version, is
    /// no part of what is published.
    pub(crate) fn needs(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0["dependencies"].as_array().into_iter().flatten();
        let is_for_tests = |it: &Value| it["kind"] == "dev" && it["req"] == "*";
        all.filter(move |it| !it["path"].is_null() && !is_for_tests(it))
            .filter_map(|it| Some((it["name"].as_str()?, it["req"].as_str()?)))
    }

    /// The words in `list`.
    pub(crate) fn words(list: &Value) -> Vec<&str> {
        let all = list.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).collect()
    }
}

/// The crates that are published, in order.
pub(crate) fn read() -> Result<Vec<Crate>> {
    let mut command = Command::new(cargo_path());
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = super::output(command.current_dir(guest::root()))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    sorted(packages.iter().cloned().map(Crate).collect())
}

/// Those of `crates` that are published, each after what it needs; by name, where that is all the same.
fn sorted(mut crates: Vec<Crate>) -> Result<Vec<Crate>> {
    crates.retain(|it| it.0["publish"].is_null()); // `publish = false` is an empty list.
    crates.sort_by(|one, other| one.name().cmp(other.name()));
    let mut done: Vec<Crate> = Vec::new();
    while !crates.is_empty() {
        let is_done = |(name, _): (&str, _)| done.iter().any(|it| it.name() == name);
        let Some(next) = crates.iter().position(|it| it.needs().all(is_done)) else {
            let needs = crates.iter().map(|it| {
                let names: Vec<_> = it.needs().map(|(name, _)| name).collect();
                format!("{} needs {}", it.name(), names.join(", "))
            });
            let list = needs.collect::<Vec<_>>().join("; ");
            bail!("crates need each other, or one that is not published: {list}");
        };
        done.push(crates.remove(next));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn needing(name: &str, need: &str, kind: Option<&str>) -> Crate {
        let req = if kind.is_some() { "*" } else { "^1" };
        Crate(json!({"name": name, "dependencies":
            [{"name": need, "path": "", "kind": kind, "req": req}, {"name": "serde"}]}))
    }

    fn order(crates: &[Crate]) -> Result<Vec<String>> {
        let crates = sorted(crates.to_vec())?;
        Ok(crates.iter().map(|it| it.name().to_owned()).collect())
    }

    #[test]
    fn a_crate_comes_after_what_it_needs_but_for_its_tests() -> Result<()> {
        let crates = [needing("a", "b", None), needing("b", "a", Some("dev"))];
        assert_eq!(order(&crates)?, ["b", "a"]);
        Ok(())
    }

    #[test]
    fn a_need_that_is_not_published_is_named() {
        let secret = Crate(json!({"name": "secret", "publish": []}));
        let error = order(&[needing("a", "secret", None), secret]).err();
        assert!(error.is_some_and(|it| it.to_string().contains("a needs secret")));
    }
}
