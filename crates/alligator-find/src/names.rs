//! What a function does, by its name: those of C, Rust, wasm-bindgen, the component model, AssemblyScript, TinyGo, Go and Zig.
//!
//! A name only says where to look. What it promises is held against the function's type, and, where it can be run,
//! against what it does.

use serde::Serialize;

/// What a function does to the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Gives a block.
    Alloc,
    /// Takes a block back.
    Dealloc,
    /// Gives a block of another size with the same contents.
    Realloc,
    /// Gives a block of zeros.
    AllocZeroed,
    /// Keeps an object that the collector might take (`AssemblyScript`'s `__pin`).
    Pin,
    /// Ends that.
    Unpin,
}

impl Role {
    /// All, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Alloc,
        Self::Dealloc,
        Self::Realloc,
        Self::AllocZeroed,
        Self::Pin,
        Self::Unpin,
    ];

    /// As it is written in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alloc => "alloc",
            Self::Dealloc => "dealloc",
            Self::Realloc => "realloc",
            Self::AllocZeroed => "alloc_zeroed",
            Self::Pin => "pin",
            Self::Unpin => "unpin",
        }
    }

    /// The role that is written so.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What a parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// Bytes wanted; of a `realloc`, the new size.
    Size,
    /// Number of elements of that size.
    Count,
    /// Alignment, in bytes.
    Align,
    /// A block.
    Pointer,
    /// Size of that block.
    OldSize,
    /// Where the address of the new block is written to.
    Place,
    /// Something else: an allocator's own state, a type's number, a place in the source.
    Other,
}

use self::Parameter::{Align, Count, OldSize, Other, Place, Pointer, Size};

impl Parameter {
    /// As it is written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Size => "size",
            Count => "count",
            Align => "align",
            Pointer => "pointer",
            OldSize => "old_size",
            Place => "place",
            Other => "other",
        }
    }
}

/// The meaning of each parameter; several where there are several versions, told apart by their number.
pub type Parameters = &'static [Parameter];

/// Functions of one kind.
struct Kind {
    role: Role,
    names: &'static [&'static str],
    parameters: &'static [Parameters],
}

const fn kind(
    role: Role,
    names: &'static [&'static str],
    parameters: &'static [Parameters],
) -> Kind {
    Kind {
        role,
        names,
        parameters,
    }
}

/// `alloc(size, align)` of Rust, and what is like it.
const SIZE_ALIGN: &[Parameters] = &[&[Size], &[Size, Align]];
const BLOCK: &[Parameters] = &[&[Pointer], &[Pointer, OldSize], &[Pointer, OldSize, Align]];
const RUST_REALLOC: &[Parameters] = &[&[Pointer, OldSize, Align, Size]];

/// Whole names of C, of guests, of Alligator's C interface and of others, exported or not; in report order.
const PLAIN: &[Kind] = &[
    kind(Role::Alloc, &["malloc", "valloc", "pvalloc"], &[&[Size]]),
    kind(
        Role::Alloc,
        &["aligned_alloc", "memalign"],
        &[&[Align, Size]],
    ),
    kind(Role::Alloc, &["posix_memalign"], &[&[Place, Align, Size]]),
    kind(
        Role::Alloc,
        &["op_alloc", "alligator_allocate", "__wbindgen_malloc"],
        SIZE_ALIGN,
    ),
    kind(Role::Dealloc, &["free", "cfree"], &[&[Pointer]]),
    kind(Role::Dealloc, &["free_sized"], &[&[Pointer, OldSize]]),
    kind(
        Role::Dealloc,
        &["free_aligned_sized"],
        &[&[Pointer, Align, OldSize]],
    ),
    kind(
        Role::Dealloc,
        &["op_dealloc", "alligator_deallocate", "__wbindgen_free"],
        BLOCK,
    ),
    kind(Role::Realloc, &["realloc"], &[&[Pointer, Size]]),
    kind(Role::Realloc, &["reallocarray"], &[&[Pointer, Count, Size]]),
    kind(
        Role::Realloc,
        &["op_realloc", "alligator_reallocate", "cabi_realloc"],
        RUST_REALLOC,
    ),
    kind(
        Role::Realloc,
        &["__wbindgen_realloc"],
        &[&[Pointer, OldSize, Size], &[Pointer, OldSize, Size, Align]],
    ),
    kind(Role::AllocZeroed, &["calloc"], &[&[Count, Size]]),
    kind(
        Role::AllocZeroed,
        &["op_alloc_zeroed", "alligator_allocate_zeroed"],
        SIZE_ALIGN,
    ),
];

/// Names that say what a function does only where it is exported: inside a module, anything may have them.
const EXPORTED: &[Kind] = &[
    kind(Role::Alloc, &["alloc", "allocate"], SIZE_ALIGN),
    kind(Role::Dealloc, &["dealloc", "deallocate"], BLOCK),
    kind(
        Role::Realloc,
        &["reallocate"],
        &[
            &[Pointer, Size],
            &[Pointer, OldSize, Size],
            &[Pointer, OldSize, Align, Size],
        ],
    ),
    kind(
        Role::AllocZeroed,
        &["alloc_zeroed", "allocate_zeroed"],
        SIZE_ALIGN,
    ),
];

/// What AssemblyScript's loader calls, exported: with its collector, or with the bump allocator of `stub`.
const ASSEMBLY_SCRIPT: &[Kind] = &[
    kind(Role::Alloc, &["__new"], &[&[Size, Other]]),
    kind(Role::Alloc, &["__alloc"], &[&[Size], &[Size, Other]]),
    kind(Role::Dealloc, &["__free"], &[&[Pointer]]),
    kind(
        Role::Realloc,
        &["__renew", "__realloc"],
        &[&[Pointer, Size]],
    ),
    kind(Role::Pin, &["__pin", "__retain"], &[&[Pointer]]),
    kind(Role::Unpin, &["__unpin", "__release"], &[&[Pointer]]),
];

/// The runtimes of TinyGo and Go. Go's own functions take their arguments from a stack in memory.
const GO: &[Kind] = &[
    kind(
        Role::Alloc,
        &["runtime.alloc"],
        &[&[Size, Other], &[Size, Other, Other]],
    ),
    kind(Role::Alloc, &["runtime.mallocgc"], &[&[Other]]),
    kind(
        Role::Dealloc,
        &["runtime.free"],
        &[&[Pointer], &[Pointer, Other]],
    ),
    kind(
        Role::Realloc,
        &["runtime.realloc"],
        &[&[Pointer, Size], &[Pointer, Size, Other]],
    ),
];

/// Operations of Rust's global allocator: after one of `RUST_PREFIXES`, or as methods of `GlobalAlloc`.
const RUST: &[Kind] = &[
    kind(
        Role::Alloc,
        &["alloc"],
        &[&[Size, Align], &[Other, Size, Align]],
    ),
    kind(
        Role::Dealloc,
        &["dealloc"],
        &[
            &[Pointer, OldSize, Align],
            &[Other, Pointer, OldSize, Align],
        ],
    ),
    kind(
        Role::Realloc,
        &["realloc"],
        &[
            &[Pointer, OldSize, Align, Size],
            &[Other, Pointer, OldSize, Align, Size],
        ],
    ),
    kind(
        Role::AllocZeroed,
        &["alloc_zeroed"],
        &[&[Size, Align], &[Other, Size, Align]],
    ),
];

/// Methods of Zig's allocators: state, slice, alignment, the caller's address.
const ZIG: &[Kind] = &[
    kind(
        Role::Alloc,
        &["alloc"],
        &[&[Size, Other, Other], &[Other, Size, Other, Other]],
    ),
    kind(
        Role::Dealloc,
        &["free"],
        &[
            &[Pointer, OldSize, Other, Other],
            &[Other, Pointer, OldSize, Other, Other],
        ],
    ),
    kind(
        Role::Realloc,
        &["remap"],
        &[
            &[Pointer, OldSize, Other, Size, Other],
            &[Other, Pointer, OldSize, Other, Size, Other],
        ],
    ),
];

/// Methods of dlmalloc's Rust port, which are what is left where its callers were inlined.
const DLMALLOC: &[Kind] = &[
    kind(Role::Alloc, &["malloc"], &[&[Size], &[Other, Size]]),
    kind(
        Role::Alloc,
        &["memalign"],
        &[&[Align, Size], &[Other, Align, Size]],
    ),
    kind(Role::Dealloc, &["free"], &[&[Pointer], &[Other, Pointer]]),
    kind(
        Role::Realloc,
        &["realloc"],
        &[&[Pointer, Size], &[Other, Pointer, Size]],
    ),
];

/// Functions of C, and what C libraries put before or in the place of a name: a linker keeps one name of several.
const C_FUNCTIONS: [&str; 6] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "memalign",
    "aligned_alloc",
];
const C_PREFIXES: [&str; 4] = ["__libc_", "emscripten_builtin_", "webidl_", "dl"];

/// What Rust's compilers put before the name of an operation; newer ones put a path before that.
const RUST_PREFIXES: [&str; 3] = ["__rust_", "__rdl_", "__rg_"];

/// What a name says.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// What the function does.
    pub role: Role,
    parameters: &'static [Parameters],
}

impl Named {
    /// The meaning of the parameters of a function that has so many; `None` when no version of it has.
    pub fn parameters(&self, count: usize) -> Option<Parameters> {
        let mut versions = self.parameters.iter();
        versions.find(|version| version.len() == count).copied()
    }
}

/// The function of C that a name means, under whatever name a C library gave it.
pub fn c_function(name: &str) -> Option<&'static str> {
    let plain = C_PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    C_FUNCTIONS.into_iter().find(|function| *function == plain)
}

/// Whether a name is one of C's.
pub fn is_of_c(name: &str) -> bool {
    let others = ["posix_memalign", "reallocarray", "valloc", "pvalloc"];
    c_function(name).is_some() || others.contains(&name)
}

/// What a function of this name does, demangled.
pub fn named(name: &str) -> Option<Named> {
    let name = c_function(name).unwrap_or(name);
    if let Some(found) = look_up(PLAIN, name) {
        return Some(found);
    }
    let segment = last_segment(name);
    let of_rust = RUST_PREFIXES
        .iter()
        .find_map(|prefix| segment.strip_prefix(prefix));
    let method = Some(segment).filter(|_| name.contains("GlobalAlloc>::"));
    look_up(RUST, of_rust.or(method)?)
}

/// What an export of this name does, where its name says more than it would inside a module.
pub fn exported(name: &str) -> Option<Named> {
    look_up(EXPORTED, name)
}

/// What a function of this name does by the runtime of a language that keeps its heap to itself, or by an
/// allocator's own methods. These are no entries of a program, so [`named`] does not know them.
pub fn of_runtime(name: &str, is_export: bool) -> Option<Named> {
    let of_script = || look_up(ASSEMBLY_SCRIPT, name).filter(|_| is_export);
    let of_script_inside = || {
        let inner = name.strip_prefix("~lib/rt/")?;
        let inner = inner.rsplit('/').next().unwrap_or(inner);
        look_up(ASSEMBLY_SCRIPT, inner)
    };
    of_script()
        .or_else(of_script_inside)
        .or_else(|| look_up(GO, name))
        .or_else(|| of_zig(name))
        .or_else(|| of_dlmalloc(name))
}

fn of_zig(name: &str) -> Option<Named> {
    let (owner, method) = name.strip_prefix("heap.")?.rsplit_once('.')?;
    let is_allocator = owner.to_lowercase().contains("alloc");
    let method = method.split("__anon_").next().unwrap_or(method);
    look_up(ZIG, method).filter(|_| is_allocator)
}

fn of_dlmalloc(name: &str) -> Option<Named> {
    let is_method = name.contains("dlmalloc::Dlmalloc<");
    look_up(DLMALLOC, last_segment(name)).filter(|_| is_method)
}

fn look_up(kinds: &'static [Kind], name: &str) -> Option<Named> {
    let found = kinds.iter().find(|kind| kind.names.contains(&name))?;
    Some(Named {
        role: found.role,
        parameters: found.parameters,
    })
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> Option<Role> {
        named(name).map(|named| named.role)
    }

    #[test]
    fn symbols_of_old_and_new_compilers_are_known() {
        let demangled = |name| format!("{:#}", rustc_demangle::demangle(name));
        assert_eq!(role("__rust_alloc"), Some(Role::Alloc));
        let v0 = demangled("_RNvCs1234_7___rustc12___rust_alloc");
        assert_eq!(role(&v0), Some(Role::Alloc), "{v0}");
        let legacy = demangled("_ZN7__rustc19___rust_alloc_zeroed17h0123456789abcdefE");
        assert_eq!(role(&legacy), None, "{legacy}");
        assert_eq!(
            role(
                "<alligator_alloc::global::AlligatorAlloc as core::alloc::global::GlobalAlloc>::realloc"
            ),
            Some(Role::Realloc)
        );
        assert_eq!(role("realloc_page_table"), None);
    }

    #[test]
    fn a_function_of_c_is_known_by_all_its_names() {
        assert_eq!(role("__libc_calloc"), Some(Role::AllocZeroed));
        assert_eq!(role("dlfree"), Some(Role::Dealloc));
        assert_eq!(role("emscripten_builtin_memalign"), Some(Role::Alloc));
        assert_eq!(c_function("dlmalloc"), c_function("__libc_malloc"));
        assert_eq!(c_function("dlopen"), None);
        // Inside a module, anything may have such a name.
        assert_eq!(role("alloc"), None);
        assert_eq!(exported("alloc").map(|named| named.role), Some(Role::Alloc));
    }

    #[test]
    fn runtimes_are_known_by_names_that_nobody_else_has() {
        let role = |name, is_export| of_runtime(name, is_export).map(|named| named.role);
        assert_eq!(role("__new", true), Some(Role::Alloc));
        assert_eq!(role("__new", false), None);
        assert_eq!(role("~lib/rt/itcms/__new", false), Some(Role::Alloc));
        assert_eq!(role("~lib/array/Array#push", false), None);
        assert_eq!(role("runtime.mallocgc", false), Some(Role::Alloc));
        assert_eq!(role("runtime.alloc", false), Some(Role::Alloc));
        assert_eq!(role("runtime.allocateSomething", false), None);
        assert_eq!(role("heap.WasmAllocator.free", false), Some(Role::Dealloc));
        assert_eq!(role("heap.Tree.free", false), None);
        assert_eq!(
            role("dlmalloc::dlmalloc::Dlmalloc<A>::malloc", false),
            Some(Role::Alloc)
        );
        assert_eq!(role("dlmalloc::sys::System::free_part", false), None);
    }

    #[test]
    fn the_number_of_parameters_says_which_version_it_is() {
        let named = named("__wbindgen_realloc").expect("known");
        assert_eq!(named.parameters(3), Some(&[Pointer, OldSize, Size][..]));
        assert_eq!(
            named.parameters(4),
            Some(&[Pointer, OldSize, Size, Align][..])
        );
        assert_eq!(named.parameters(2), None);
    }
}
