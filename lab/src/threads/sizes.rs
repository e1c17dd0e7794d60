//! The code that the feature adds to a module, where threads are.

use alligator_tools::guest::{self, Guest, WASI_THREADS};
use anyhow::Result;

use crate::size::{self, OPT_LEVELS, Size};
use crate::table::{Cell, Table};

/// For size and for speed: of a module without the feature, and with it.
pub(super) struct Sizes([(&'static str, [Size; 2]); 2]);

impl Sizes {
    /// Builds the modules.
    pub(super) fn new() -> Result<Self> {
        let of = |opt_level: &'static str| -> Result<_> {
            let sizes = [of(opt_level, &[])?, of(opt_level, &["threads"])?];
            Ok((opt_level, sizes))
        };
        Ok(Self([
            of(OPT_LEVELS[0])?,
            of(OPT_LEVELS[OPT_LEVELS.len() - 1])?,
        ]))
    }

    /// What the feature adds at the level for size.
    pub(super) fn added_for_size(&self) -> Option<u64> {
        let [without, with] = self.0[0].1.map(|size| size.optimized);
        with?.checked_sub(without?)
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(["`opt-level`", "without", "with", "more"]);
        for (level, sizes) in &self.0 {
            let figures = [
                ("compiled", sizes.map(|size| Some(size.compiled))),
                ("`wasm-opt -Oz`", sizes.map(|size| size.optimized)),
            ];
            for (name, [without, with]) in figures {
                let more = with
                    .zip(without)
                    .and_then(|(with, without)| with.checked_sub(without));
                let cells = [without, with, more].map(Cell::count);
                table.labelled(&format!("`{level}`, {name}"), cells);
            }
        }
        table
    }
}

/// The bytes of a module.
fn of(opt_level: &str, features: &[&str]) -> Result<Size> {
    let path = guest::build_for(
        &Guest {
            crate_dir: &crate::dir().join("threads/minimal"),
            library: "minimal_threads",
            features,
            output: &format!("threads-minimal-{opt_level}{}", features.concat()),
            profile: Some(&crate::dir().join("profile.toml")),
            overrides: vec![guest::opt_level(opt_level)],
        },
        WASI_THREADS,
    )?;
    size::of(&path, size::optimizer_exists())
}
