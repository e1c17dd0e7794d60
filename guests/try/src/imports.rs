//! What a module imports and exports, with types, which JavaScript does not tell.

use serde::Serialize;
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef, ValType,
};

/// What a module needs and gives.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Interface {
    imports: Vec<Import>,
    exports: Vec<Export>,
}

/// Something imported.
#[derive(Debug, Serialize)]
struct Import {
    module: String,
    name: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Function {
        parameters: Vec<String>,
        results: Vec<String>,
    },
    Memory {
        minimum: u64,
        maximum: Option<u64>,
        shared: bool,
        wide: bool,
    },
    Table {
        minimum: u64,
        maximum: Option<u64>,
        element: &'static str,
    },
    Global {
        value: String,
        mutable: bool,
    },
    Other,
}

/// A function that is exported.
#[derive(Debug, Serialize)]
struct Export {
    name: String,
    parameters: Vec<String>,
}

/// Reads it from a core module.
pub(crate) fn interface(bytes: &[u8]) -> Result<Interface, String> {
    read(bytes).map_err(|error| {
        let line = error.message().lines().next().unwrap_or_default();
        format!("{line} (at offset {:#x})", error.offset())
    })
}

fn read(bytes: &[u8]) -> wasmparser::Result<Interface> {
    let mut found = Interface::default();
    let mut types: Vec<Option<FuncType>> = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    for kind in group?.types() {
                        types.push(match &kind.composite_type.inner {
                            CompositeInnerType::Func(kind) => Some(kind.clone()),
                            _ => None,
                        });
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(kind) = import.ty {
                        functions.push(kind);
                    }
                    found.imports.push(Import {
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                        kind: kind_of(import.ty, &types),
                    });
                }
            }
            Payload::FunctionSection(section) => {
                for kind in section {
                    functions.push(kind?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kind = functions.get(export.index as usize);
                    let kind = kind.and_then(|kind| types.get(*kind as usize)?.as_ref());
                    if let (ExternalKind::Func, Some(kind)) = (export.kind, kind) {
                        found.exports.push(Export {
                            name: export.name.to_owned(),
                            parameters: names(kind.params()),
                        });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn kind_of(kind: TypeRef, types: &[Option<FuncType>]) -> Kind {
    match kind {
        TypeRef::Func(index) => match types.get(index as usize) {
            Some(Some(kind)) => Kind::Function {
                parameters: names(kind.params()),
                results: names(kind.results()),
            },
            _ => Kind::Other,
        },
        TypeRef::Memory(MemoryType {
            memory64,
            shared,
            initial,
            maximum,
            ..
        }) => Kind::Memory {
            minimum: initial,
            maximum,
            shared,
            wide: memory64,
        },
        TypeRef::Table(kind) => Kind::Table {
            minimum: kind.initial,
            maximum: kind.maximum,
            element: if kind.element_type.is_func_ref() {
                "anyfunc"
            } else {
                "externref"
            },
        },
        TypeRef::Global(kind) => Kind::Global {
            value: name(kind.content_type),
            mutable: kind.mutable,
        },
        _ => Kind::Other,
    }
}

fn names(types: &[ValType]) -> Vec<String> {
    types.iter().map(|kind| name(*kind)).collect()
}

fn name(kind: ValType) -> String {
    match kind {
        ValType::Ref(_) => "ref".to_owned(),
        kind => kind.to_string(),
    }
}
