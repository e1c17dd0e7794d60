//! Copies of folders, to build what must not be built where it stands.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What the time of a copied file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// When the original was written: nothing unchanged is built again.
    Kept,
    /// Now: all is built again.
    New,
}

/// Copies all files of a folder, but what was built in it.
pub fn copy(from: &Path, to: &Path, times: Times) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                copy(&entry.path(), &target, times)?;
            }
            continue;
        }
        // The new file is a file of its own: the original may not be writable.
        fs::write(&target, fs::read(entry.path())?)?;
        if times == Times::Kept {
            let file = fs::File::options().write(true).open(&target)?;
            file.set_modified(entry.metadata()?.modified()?)?;
        }
    }
    Ok(())
}
