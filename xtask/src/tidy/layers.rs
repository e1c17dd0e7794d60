//! Which module of the allocator uses which. The table "Layers" of ARCHITECTURE.md says which may: a layer uses itself
//! and the layers that its line names, all of them below it. What may use `all` stands beside the others.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use super::{Tree, codes, rows, tokens};

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "### Layers";
const SOURCES: &str = "crates/alligator-alloc/src/";

/// One line of the table.
struct Layer<'a> {
    line: usize,
    name: &'a str,
    modules: Vec<&'a str>,
    may_use: Vec<&'a str>,
}

pub(super) fn check(tree: &Tree) -> Result<Vec<String>> {
    let layers = read(tree.text(PAGE)?)?;
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, text) in tree.files(SOURCES, ".rs") {
        let module = path.trim_start_matches(SOURCES).trim_end_matches(".rs");
        let Some(own) = layer_of(&layers, module) else {
            found.push(format!(
                "{path}:1: is in no layer: name it in {PAGE}, \"{HEADING}\""
            ));
            continue;
        };
        let mut references = Vec::new();
        tokens::references(&tokens::read(path, text)?, &mut references);
        for (reference, line) in references {
            // What the crate's root only passes on is the root's.
            let target = resolve(module, &reference);
            let used = layer_of(&layers, &target).or_else(|| layer_of(&layers, "lib"));
            let (own, may_use) = (own.name, &own.may_use);
            let used = used.context("the root is in no layer")?.name;
            seen.insert((own, used));
            if used != own && !may_use.contains(&used) && !may_use.contains(&"all") {
                let reference = reference.join("::");
                found.push(format!(
                    "{path}:{line}: the layer \"{own}\" may not use \"{used}\" (`{reference}`): move what both need \
                     further down; the table is in {PAGE}, \"{HEADING}\""
                ));
            }
        }
    }
    found.extend(on_the_table(tree, &layers, &seen));
    Ok(found)
}

fn read(page: &str) -> Result<Vec<Layer<'_>>> {
    let mut layers = Vec::new();
    for (line, cells) in rows(page, HEADING) {
        let [name, modules, may_use] = cells[..] else {
            continue;
        };
        let modules = codes(modules).collect();
        let names = may_use.split(", ").filter(|name| *name != "nothing");
        let may_use = names.collect();
        layers.push(Layer {
            line,
            name,
            modules,
            may_use,
        });
    }
    ensure!(
        !layers.is_empty(),
        "{PAGE}: no table of three columns below \"{HEADING}\""
    );
    Ok(layers)
}

/// The table itself: it names what is there, goes downwards, and allows nothing that nobody does.
fn on_the_table(tree: &Tree, layers: &[Layer<'_>], seen: &BTreeSet<(&str, &str)>) -> Vec<String> {
    let mut found = Vec::new();
    for (
        place,
        Layer {
            line,
            name,
            modules,
            may_use,
        },
    ) in layers.iter().enumerate()
    {
        for module in modules
            .iter()
            .filter(|module| !tree.has(&format!("{SOURCES}{module}.rs")))
        {
            found.push(format!(
                "{PAGE}:{line}: there is no module `{module}`: take it out"
            ));
        }
        for used in may_use.iter().filter(|used| **used != "all") {
            let is_beside = |layer: &Layer<'_>| layer.may_use == ["all"];
            let mut known = (0..).zip(layers).filter(|(_, layer)| layer.name == *used);
            if !known.any(|(at, layer)| at > place || is_beside(layer)) {
                found.push(format!(
                    "{PAGE}:{line}: \"{name}\" may use \"{used}\", which is no layer below it: put it above that, or take it out"
                ));
            } else if !seen.contains(&(name, used)) {
                found.push(format!(
                    "{PAGE}:{line}: \"{name}\" does not use \"{used}\": take it out"
                ));
            }
        }
    }
    found
}

/// The layer of a module, or of the nearest module around it that has one.
fn layer_of<'a>(layers: &'a [Layer<'a>], module: &str) -> Option<&'a Layer<'a>> {
    let named = layers.iter().find(|layer| layer.modules.contains(&module));
    named.or_else(|| layer_of(layers, module.rsplit_once('/')?.0))
}

/// The module, or what is in it, that a path in `module` names, from the crate's root on.
fn resolve(module: &str, reference: &[String]) -> String {
    let mut parts: Vec<&str> = module.split('/').filter(|part| *part != "lib").collect();
    for part in reference {
        match part.as_str() {
            "crate" => parts.clear(),
            "self" => {}
            "super" => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const TABLE: &str = "### Layers\n\n| layer | modules | may use |\n| - | - | - |\n| root | `lib` | all |\n\
        | heap | `heap` | runs, looks |\n| runs | `runs` | nothing |\n| looks | `check`, `runs/check` | all |\n";
    const USES: &str = "use crate::runs::Runs; use crate::check::A;";

    fn on(table: &str, heap: &str, runs: &str) -> Result<String> {
        let sources = [
            ("lib", ""),
            ("heap", heap),
            ("runs", runs),
            ("check", ""),
            ("runs/check", "use super::Runs;"),
        ];
        let files = sources.map(|(module, text)| (format!("{SOURCES}{module}.rs"), text));
        let mut files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        files.push((PAGE, table));
        found(check, &files)
    }

    #[test]
    fn down_and_to_oneself_is_right() -> Result<()> {
        assert_eq!(on(TABLE, USES, "use self::b;")?, "");
        Ok(())
    }

    #[test]
    fn up_is_found_from_where_it_is_a_path_too() -> Result<()> {
        let text = on(TABLE, USES, "\nfn f() { super::heap::g() }")?;
        assert!(
            text.contains("runs.rs:2: the layer \"runs\" may not use \"heap\" (`super::heap::g`)"),
            "{text}"
        );
        assert!(on(TABLE, USES, "use crate::runs::check::x;")?.contains("may not use \"looks\""));
        assert!(on(TABLE, "use crate::Passed;", "")?.contains("may not use \"root\""));
        Ok(())
    }

    #[test]
    fn a_table_that_goes_up_or_allows_what_is_not_there_is_found() -> Result<()> {
        let table = TABLE
            .replace("nothing", "heap")
            .replace("`check`,", "`check`, `gone`,");
        let text = on(&table, USES, "")?;
        assert!(
            text.contains("md:7: \"runs\" may use \"heap\", which is no layer below it: put it above that, or take it out"),
            "{text}"
        );
        assert!(text.contains("md:8: there is no module `gone`"), "{text}");
        assert!(on(TABLE, "use crate::runs::A;", "")?.contains("\"heap\" does not use \"looks\""));
        assert!(on(&TABLE.replace("`heap`", ""), "", "")?.contains("heap.rs:1: is in no layer"));
        Ok(())
    }
}
