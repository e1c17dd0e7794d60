//! Archives of object files: taking our object out of the one that rustc writes, and writing ours.

use std::io::Cursor;

use anyhow::{Context, Result, bail, ensure};
use ar_archive_writer::{
    ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, write_archive_to_stream,
};
use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSymbol as _};

/// The name in an archive of the object with the heap.
pub(crate) const OBJECT_NAME: &str = "alligator.o";
/// And of the one with scopes, which only programs that have some are linked with.
pub(crate) const SCOPES_NAME: &str = "alligator-scopes.o";

/// The only member of `archive` whose name starts with `prefix`. The rest is `compiler_builtins`, whose
/// `memcpy`, `strlen` and others would take the place of the C library's.
pub(crate) fn only_member(archive: &[u8], prefix: &str) -> Result<Vec<u8>> {
    let file = ArchiveFile::parse(archive)?;
    let mut found = None;
    for member in file.members() {
        let member = member?;
        if !member.name().starts_with(prefix.as_bytes()) {
            continue;
        }
        ensure!(found.is_none(), "the archive has two members {prefix}..");
        found = Some(member.data(archive)?.to_vec());
    }
    found.with_context(|| format!("the archive has no member {prefix}.."))
}

/// An archive with these objects, each with its name, and its index.
pub(crate) fn archive_of(objects: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let members: Vec<_> = objects
        .iter()
        .map(|(name, object)| {
            NewArchiveMember::new(*object, &DEFAULT_OBJECT_READER, (*name).to_owned())
        })
        .collect();
    let mut archive = Cursor::new(Vec::new());
    write_archive_to_stream(&mut archive, &members, ArchiveKind::Gnu, false, None)?;
    Ok(archive.into_inner())
}

/// Makes the data symbol `name`, which the WebAssembly `object` needs from others, weak: a linker that finds no definition
/// puts it at address 0. (Stable Rust cannot say so.)
///
/// In the object's table of symbols, its entry is the kind (data), the flags, and the name after its length; see
/// "WebAssembly Object File Linking" of the tool conventions.
pub(crate) fn weaken(object: &mut [u8], name: &str) -> Result<()> {
    const DATA: u8 = 1;
    const UNDEFINED: u8 = 0x10;
    const WEAK: u8 = 0x01;
    let mut entry = vec![DATA, UNDEFINED, u8::try_from(name.len())?];
    entry.extend_from_slice(name.as_bytes());
    let places = object.windows(entry.len()).enumerate();
    let mut found = places
        .filter(|(_, bytes)| *bytes == entry)
        .map(|(at, _)| at);
    let at = found
        .next()
        .with_context(|| format!("the object does not need the data {name}"))?;
    ensure!(found.next().is_none(), "the object has {name} twice");
    object[at + 1] |= WEAK;
    Ok(())
}

/// The names that `object` needs from others and, then, those it defines for all. Sorted.
pub(crate) fn symbols(object: &[u8]) -> Result<(Vec<String>, Vec<String>)> {
    let file = object::File::parse(object)?;
    let (mut needed, mut defined) = (Vec::new(), Vec::new());
    for symbol in file.symbols() {
        let name = symbol.name()?;
        if name.is_empty() {
            continue;
        }
        if symbol.is_undefined() {
            needed.push(name.to_owned());
        } else if symbol.is_global() {
            defined.push(name.to_owned());
        }
    }
    for names in [&mut needed, &mut defined] {
        names.sort();
        names.dedup();
    }
    Ok((needed, defined))
}

/// Nothing if `object` needs nothing but what is `allowed`, and defines what is `expected` and nothing else.
pub(crate) fn check_symbols(object: &[u8], allowed: &[&str], expected: &[String]) -> Result<()> {
    let (needed, defined) = symbols(object)?;
    for name in &needed {
        if !allowed.contains(&name.as_str()) {
            bail!("the library needs the symbol {name}, which is not on its list");
        }
    }
    ensure!(
        defined == expected,
        "the library defines {defined:?}, the header has {expected:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_that_is_needed_is_made_weak_once() {
        let mut object = b"..\x01\x10\x04name..".to_vec();
        assert!(weaken(&mut object, "name").is_ok());
        assert_eq!(object, b"..\x01\x11\x04name..");
        assert!(weaken(&mut object, "name").is_err());
        assert!(weaken(&mut b"\x01\x10\x01n\x01\x10\x01n".to_vec(), "n").is_err());
    }

    #[test]
    fn an_archive_gives_its_object_back() -> Result<()> {
        let object = wat::parse_str("(module)")?;
        let archive = archive_of(&[(OBJECT_NAME, &object), (SCOPES_NAME, b"")])?;
        assert_eq!(only_member(&archive, "alligator.")?, object);
        assert!(only_member(&archive, "alligator").is_err());
        assert!(only_member(&archive, "compiler_builtins").is_err());
        Ok(())
    }
}
