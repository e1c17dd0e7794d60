//! `alligator find`: which functions are the allocator's.

use core::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use alligator_find::beside::beside;
use alligator_find::confirm::Engine;
use alligator_find::glue::GLUE_BYTES_MAX;
use alligator_find::heap::{Heap, HeapFunction, Outcome};
use alligator_find::module::Module;
use alligator_find::names::{Parameter, Role};
use alligator_find::{Options, find};
use alligator_meter::sandbox::Sandbox;
use comfy_table::{Table, presets};

use crate::bound::{located, read};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The compiled module, or a component.
    module: PathBuf,
    #[command(flatten)]
    ways: Ways,
    /// Print JSON (docs/find.md).
    #[arg(long)]
    json: bool,
}

/// Ways to find a heap, for every subcommand.
#[derive(Debug, clap::Args)]
pub(crate) struct Ways {
    /// JavaScript that goes with the module. By default, what lies beside it and has or says its name.
    #[arg(long, value_name = "FILE")]
    glue: Vec<PathBuf>,
    /// What a function is: its export, symbol or index, and `alloc`, `dealloc`, `realloc` or `alloc_zeroed`.
    #[arg(long = "alloc", value_name = "NAME=ROLE", value_parser = given)]
    given: Vec<(String, Role)>,
    /// Look at neither names nor glue: what is found is found by shape.
    #[arg(long, conflicts_with = "no_run")]
    by_shape: bool,
    /// Run nothing: functions are found by names and glue only, and nothing is confirmed.
    #[arg(long)]
    no_run: bool,
}

fn given(text: &str) -> Result<(String, Role), String> {
    let (name, role) = text
        .rsplit_once('=')
        .ok_or("write NAME=ROLE, for instance my_malloc=alloc")?;
    let role = Role::of(role).ok_or_else(|| {
        let roles: Vec<&str> = Role::ALL.into_iter().map(Role::as_str).collect();
        format!("{role:?} is none of {}", roles.join(", "))
    })?;
    Ok((name.to_owned(), role))
}

/// Runs the subcommand and gives the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let bytes = read(&arguments.module)?;
    let heap = arguments.ways.find(&arguments.module, &bytes)?;
    let text = if arguments.json {
        heap.to_json()
    } else {
        describe(&heap)
    };
    // A closed pipe does not change what was found.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(match heap.outcome {
        Outcome::Found | Outcome::NoHeap => 0,
        Outcome::Unknown => 2,
    })
}

impl Ways {
    /// Finds the heap of a module.
    pub(crate) fn find(&self, path: &Path, bytes: &[u8]) -> Result<Heap, String> {
        let sandbox = if self.no_run {
            None
        } else {
            Some(Sandbox::new()?)
        };
        let options = Options {
            glue: self.read_glue(path)?,
            given: self.given.clone(),
            without_names: self.by_shape,
            engine: sandbox.as_ref().map(|sandbox| sandbox as &dyn Engine),
        };
        find(bytes, &options).map_err(|error| located(path, &error))
    }

    /// Finds the heap of a module with what stands behind the functions that have names, for who watches all calls.
    pub(crate) fn find_all(&self, path: &Path, bytes: &[u8]) -> Result<Heap, String> {
        let mut heap = self.find(path, bytes)?;
        if !self.no_run && !self.by_shape && heap.outcome == Outcome::Found {
            let sandbox = Sandbox::new()?;
            let options = Options {
                without_names: true,
                engine: Some(&sandbox as &dyn Engine),
                ..Options::default()
            };
            let located = |error| located(path, &error);
            let by_shape = find(bytes, &options).map_err(located)?;
            let module = Module::parse(bytes).map_err(located)?;
            alligator_record::add_behind(&module, &mut heap, &by_shape);
        }
        Ok(heap)
    }

    fn read_glue(&self, path: &Path) -> Result<Vec<String>, String> {
        if self.glue.is_empty() {
            return Ok(beside(path));
        }
        self.glue
            .iter()
            .map(|path| {
                let bytes = read(path)?;
                if bytes.len() > GLUE_BYTES_MAX {
                    return Err(located(path, &"more JavaScript than is read"));
                }
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            })
            .collect()
    }
}

/// What was found, for people.
fn describe(heap: &Heap) -> String {
    let mut text = String::new();
    if let Some(module) = &heap.module {
        let _ = writeln!(
            text,
            "core module {} of {}, at {:#x} in the component",
            module.index, module.of, module.offset
        );
    }
    let _ = match heap.outcome {
        Outcome::Found => writeln!(text, "allocator: {}\n{}", heap.allocator.name, table(heap)),
        Outcome::NoHeap => writeln!(
            text,
            "no heap: nothing grows memory or has an allocator's name"
        ),
        Outcome::Unknown if heap.functions.is_empty() => writeln!(text, "no allocator found"),
        Outcome::Unknown => writeln!(text, "no allocator found, only\n{}", table(heap)),
    };
    for evidence in &heap.allocator.evidence {
        let _ = writeln!(text, "{}: {evidence}", heap.allocator.name);
    }
    for note in &heap.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}

fn table(heap: &Heap) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "role",
        "function",
        "index",
        "parameters",
        "found by",
        "sure",
    ]);
    for function in &heap.functions {
        let parameters: Vec<&str> = function
            .parameters
            .iter()
            .map(|p| Parameter::as_str(*p))
            .collect();
        table.add_row([
            function.role.as_str().to_owned(),
            function.name.clone(),
            function.function.to_string(),
            parameters.join(", "),
            function.found.as_str().to_owned(),
            sure(function),
        ]);
    }
    table
}

fn sure(function: &HeapFunction) -> String {
    match (function.confirmed, &function.doubt) {
        (Some(calls), _) => format!("confirmed by {calls} calls"),
        (None, Some(reason)) => format!("not confirmed: {reason}"),
        (None, None) => "not tried".to_owned(),
    }
}
