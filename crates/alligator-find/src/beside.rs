//! JavaScript that lies beside a module.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::glue::GLUE_BYTES_MAX;

/// Files beside a module that are looked into for its name, at most.
const NEIGHBOURS_MAX: usize = 64;

/// Endings of JavaScript.
const JAVASCRIPT: [&str; 3] = ["js", "mjs", "cjs"];

/// JavaScript in a module's folder that has its name, or says it. What cannot be read is passed over.
pub fn beside(module: &Path) -> Vec<String> {
    let folder = match module.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (Some(file), Ok(entries)) = (module.file_name(), std::fs::read_dir(folder)) else {
        return Vec::new();
    };
    let mut neighbours: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str());
            ending.is_some_and(|ending| JAVASCRIPT.contains(&ending))
        })
        .collect();
    let said = file.to_string_lossy();
    let is_named = |path: &Path| {
        path.file_stem()
            .is_some_and(|name| stem(name) == stem(file))
    };
    // Those of the same name first: what they say is believed first.
    neighbours.sort_by_key(|path| (!is_named(path), path.clone()));
    neighbours
        .iter()
        .take(NEIGHBOURS_MAX)
        .filter_map(|path| {
            let length = std::fs::metadata(path).ok()?.len();
            let is_small = usize::try_from(length).is_ok_and(|length| length <= GLUE_BYTES_MAX);
            let bytes = is_small.then(|| std::fs::read(path)).and_then(Result::ok)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            (is_named(path) || text.contains(said.as_ref())).then_some(text)
        })
        .collect()
}

/// A file's name without what wasm-bindgen and its ending add.
fn stem(file: &OsStr) -> &str {
    let name = file.to_str().unwrap_or_default();
    let name = name.strip_suffix(".wasm").unwrap_or(name);
    name.strip_suffix("_bg").unwrap_or(name)
}
