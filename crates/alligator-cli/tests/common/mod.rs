//! A host of modules that record: runs them under wasmtime, calls them, and reads what they say.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use alligator_record::Raw;
use alligator_record::abi::{
    EXPORT_FLUSH, EXPORT_MEMORY, IMPORT_EVENT, IMPORT_EVENTS, MARK_BYTES_MAX,
};
use alligator_record::{Conversion, Mode, meta_of, sites_of};
use alligator_trace::{Kind, Reader};
use wasmtime::{Caller, Engine, Extern, Instance, Linker, Module, Store, Val};

/// An event, without time and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Kind(Kind),
    Mark(String),
}

/// An empty folder for a test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

pub(crate) fn alligator(arguments: &[&str], folder: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_alligator"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command starts")
}

/// Its exit status, and what it writes to its outputs.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = alligator(arguments, folder);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Whether each is refused as bad input: nothing but a line that starts as is said.
pub(crate) fn assert_refused(folder: &Path, cases: &[(&[&str], &str)]) {
    for (arguments, text) in cases {
        let (status, stdout, stderr) = run(folder, arguments);
        assert_eq!(
            (status, stdout.as_str()),
            (Some(3), ""),
            "{arguments:?}: {stderr}"
        );
        assert!(
            stderr.starts_with(&format!("alligator: {text}")),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// A module in text form, made to record by the command.
pub(crate) fn record(folder: &Path, name: &str, text: &str, options: &[&str]) -> Vec<u8> {
    let bytes = wat::parse_str(text).expect("is a module");
    std::fs::write(folder.join(name), bytes).expect("can be written");
    let output = alligator(
        &[&["record", name, "-o", "recorded.wasm"], options].concat(),
        folder,
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    std::fs::read(folder.join("recorded.wasm")).expect("was written")
}

/// What the imports use.
struct State {
    conversion: Option<Conversion<Vec<u8>>>,
    takes: bool,
    handed_over: usize,
}

/// A module that runs, recorded or not.
pub(crate) struct Host {
    store: Store<State>,
    instance: Instance,
    pub(crate) takes: bool,
    pub(crate) handed_over: usize,
}

impl Host {
    pub(crate) fn start(bytes: &[u8]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, bytes).expect("is valid");
        let meta = meta_of(bytes).ok();
        let mode = meta.as_ref().map(|it| it.mode);
        let conversion = meta.map(|meta| {
            let sites = sites_of(bytes).expect("are well formed");
            Conversion::new(Vec::new(), meta, sites, "a test").expect("a vector takes all bytes")
        });
        let state = State {
            conversion,
            takes: true,
            handed_over: 0,
        };
        let mut store = Store::new(&engine, state);
        let mut linker = Linker::new(&engine);
        match mode {
            Some(Mode::Memory) => {
                linker
                    .func_wrap("alligator", IMPORT_EVENTS, take)
                    .expect("is new");
            }
            Some(Mode::Import) => {
                linker
                    .func_wrap("alligator", IMPORT_EVENT, take_one)
                    .expect("is new");
            }
            None => {
                let ignore = |_: i32, _: i32| ();
                linker
                    .func_wrap("alligator", "alligator_mark", ignore)
                    .expect("is new");
            }
        }
        let instance = linker.instantiate(&mut store, &module).expect("starts");
        Self {
            store,
            instance,
            takes: true,
            handed_over: 0,
        }
    }

    /// Calls an export; 0 if it gives nothing.
    pub(crate) fn call(&mut self, name: &str, arguments: &[Val]) -> u32 {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .expect("is exported");
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function
            .call(&mut self.store, arguments, &mut results)
            .expect("returns");
        results
            .first()
            .and_then(Val::i32)
            .unwrap_or(0)
            .cast_unsigned()
    }

    /// The same while the host takes events, or does not.
    pub(crate) fn call_taking(&mut self, name: &str, arguments: &[Val]) {
        self.store.data_mut().takes = self.takes;
        self.call(name, arguments);
        self.store.data_mut().takes = true;
        self.handed_over = self.store.data().handed_over;
    }

    /// The program's memory.
    pub(crate) fn memory(&mut self) -> Vec<u8> {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.expect("is exported").data(&self.store).to_vec()
    }

    /// The trace; the module records no more.
    pub(crate) fn trace(&mut self) -> Vec<u8> {
        if self
            .instance
            .get_func(&mut self.store, EXPORT_FLUSH)
            .is_some()
        {
            self.call(EXPORT_FLUSH, &[]);
        }
        let conversion = self.store.data_mut().conversion.take().expect("records");
        conversion.finish(None).expect("a vector takes all bytes").0
    }

    /// What the trace tells.
    pub(crate) fn told(&mut self) -> Vec<Told> {
        told(&self.trace())
    }
}

/// What a trace tells.
pub(crate) fn told(trace: &[u8]) -> Vec<Told> {
    let mut reader = Reader::new(trace).expect("a header");
    let mut told = Vec::new();
    while let Some(event) = reader.next_event().expect("whole") {
        told.push(match event.kind {
            Kind::Mark { name } => {
                Told::Mark(reader.sites().string(name).expect("is defined").to_owned())
            }
            kind => Told::Kind(kind),
        });
    }
    assert!(reader.totals().is_some(), "the trace is cut off");
    told
}

fn take(mut caller: Caller<'_, State>, end: i32) -> i32 {
    let Some(Extern::Memory(memory)) = caller.get_export(EXPORT_MEMORY) else {
        panic!("no memory of events");
    };
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    if !state.takes {
        return 1;
    }
    state.handed_over += 1;
    let events = &bytes[..usize::try_from(end).expect("is small")];
    let conversion = state.conversion.as_mut().expect("records");
    conversion.events(0, 0, events).expect("is well formed");
    0
}

fn take_one(mut caller: Caller<'_, State>, tag: i32, old: i32, address: i32, size: i32) {
    let wide = |number: i32| u64::from(number.cast_unsigned());
    let raw = Raw {
        tag: tag.cast_unsigned(),
        old: wide(old),
        address: wide(address),
        size: wide(size),
        sequence: 0,
    };
    let mut name = String::new();
    if raw.tag & 7 == 4 {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            panic!("no memory");
        };
        let place = |number: u64| usize::try_from(number).expect("is an address");
        let length = place(raw.size.min(u64::from(MARK_BYTES_MAX)));
        let bytes = &memory.data(&caller)[place(raw.old)..][..length];
        name = String::from_utf8_lossy(bytes).into_owned();
    }
    let conversion = caller.data_mut().conversion.as_mut().expect("records");
    conversion
        .event(0, 0, raw, &name)
        .expect("a vector takes all bytes");
}
