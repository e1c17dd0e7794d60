//! Modules of every kind there is, and damaged ones: what is written is valid, what cannot be is refused in one line, and
//! nothing panics.

use alligator_find::heap::{Allocator, Heap, HeapFunction, How, Outcome, SCHEMA};
use alligator_find::module::Module;
use alligator_find::names::{Parameter, Role};
use alligator_record::{Mode, Options, Recorded, meta_of, record, sites_of};
use arbitrary::Unstructured;
use wasmparser::{Validator, WasmFeatures};

/// Pseudo-random numbers, always the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("small")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    fn is(&mut self) -> bool {
        self.below(2) == 0
    }

    fn options(&mut self) -> Options {
        Options {
            name: "app.wasm".to_owned(),
            mode: if self.is() {
                Mode::Memory
            } else {
                Mode::Import
            },
            stacks: self.is(),
            sample_bytes: if self.is() { 512 } else { 0 },
        }
    }
}

/// A heap of any functions that have the types of an allocator's.
fn any_heap(bytes: &[u8], random: &mut Random) -> Option<Heap> {
    use Parameter::{Align, Count, Pointer, Size};
    let module = Module::parse(bytes).ok()?;
    let mut functions = Vec::new();
    for index in 0..u32::try_from(module.functions.len()).ok()? {
        let (role, parameters): (Role, &[Parameter]) = match (
            module.integer_parameters(index, true),
            module.integer_parameters(index, false),
        ) {
            (Some(1), _) => (Role::Alloc, &[Size]),
            (Some(2), _) if random.is() => (Role::AllocZeroed, &[Count, Size]),
            (Some(2), _) if random.is() => (Role::Realloc, &[Pointer, Size]),
            (Some(2), _) => (Role::Alloc, &[Size, Align]),
            (Some(3), _) => (Role::Alloc, &[Parameter::Place, Align, Size]),
            (_, Some(1)) => (Role::Dealloc, &[Pointer]),
            (_, Some(3)) => (Role::Dealloc, &[Pointer, Parameter::OldSize, Align]),
            _ => continue,
        };
        functions.push(HeapFunction {
            role,
            function: index,
            name: module.display_name(index),
            parameters: parameters.to_vec(),
            found: How::Given,
            confirmed: None,
            doubt: None,
        });
    }
    let allocator = Allocator {
        name: "unknown".to_owned(),
        evidence: Vec::new(),
    };
    Some(Heap {
        schema: SCHEMA,
        module: None,
        outcome: Outcome::Found,
        allocator,
        functions,
        notes: Vec::new(),
    })
}

/// Records a module if it can be; whether it could.
fn record_any(bytes: &[u8], random: &mut Random) -> bool {
    let Some(heap) = any_heap(bytes, random) else {
        return false;
    };
    let options = random.options();
    match record(bytes, &heap, &options) {
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "{line}");
            false
        }
        Ok(recorded) => {
            check(bytes, &recorded, &options);
            true
        }
    }
}

fn check(bytes: &[u8], recorded: &Recorded, options: &Options) {
    let features = WasmFeatures::all();
    if let Err(error) = Validator::new_with_features(features).validate_all(&recorded.module) {
        let text = wat_of(bytes);
        panic!("{options:?}: {error}\n{text}");
    }
    let meta = meta_of(&recorded.module).expect("says that it records");
    assert_eq!(meta, recorded.meta);
    let sites = sites_of(&recorded.module).expect("are well formed");
    assert_eq!(sites.len(), recorded.sites);
    let again = record(&recorded.module, &empty(), options).expect_err("records already");
    assert!(!again.to_string().contains('\n'));
}

fn empty() -> Heap {
    any_heap(b"\0asm\x01\0\0\0", &mut Random(0)).expect("an empty module is one")
}

fn wat_of(bytes: &[u8]) -> String {
    format!("{} bytes: {bytes:02x?}", bytes.len())
}

/// The functions that a module made at random exports.
const EXPORTS: &str = r#"(module
    (func (export "malloc") (param i32) (result i32) unreachable) (func (export "free") (param i32))
    (func (export "realloc") (param i32 i32) (result i32) unreachable)
    (func (export "alloc") (param i64 i32) (result i64) unreachable))"#;

#[test]
fn whatever_is_valid_is_valid_when_it_records() {
    let exports = wat::parse_str(EXPORTS).expect("is a module");
    let mut random = Random(11);
    let (mut written, mut seen) = (0, 0);
    for number in 0..400_u64 {
        let choices = random.bytes(4096);
        let config = wasm_smith::Config {
            max_funcs: 20,
            max_imports: 5,
            min_memories: u32::from(number % 5 != 0),
            max_memories: 3,
            memory64_enabled: number % 3 == 0,
            threads_enabled: number % 4 == 0,
            exceptions_enabled: number % 2 == 0,
            tail_call_enabled: true,
            gc_enabled: number % 7 == 0,
            reference_types_enabled: true,
            exports: Some(exports.clone()),
            ..wasm_smith::Config::default()
        };
        let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(&choices)) else {
            continue;
        };
        seen += 1;
        written += usize::from(record_any(&module.to_bytes(), &mut random));
    }
    assert!(written > 100, "{written} of {seen}");
}

/// What compilers write, by hand: every way to call, catch and refer.
const KINDS: [&str; 5] = [
    // Exceptions of the first kind, tables, a start function, names.
    r#"(module $named (import "env" "invoke_vi" (func $invoke (param i32 i32))) (import "env" "alligator_mark" (func $mark (param i32 i32)))
        (type $alloc (func (param i32) (result i32))) (memory (export "memory") 1) (table 3 funcref) (tag $e (param i32))
        (elem (i32.const 0) $malloc $free $user) (start $user)
        (func $malloc (export "malloc") (param $size i32) (result i32) (throw $e (i32.const 1)))
        (func $free (export "free") (param i32))
        (func $user (local i64 f32) (call $mark (i32.const 0) (i32.const 4))
            try (drop (call $malloc (i32.const 4))) catch $e (drop) catch_all (rethrow 0) end
            (call_indirect (param i32) (i32.const 8) (i32.const 1)) (call $invoke (i32.const 0) (i32.const 1))))"#,
    // Exceptions of the second kind, tail calls, references.
    r#"(module (type $alloc (func (param i32) (result i32))) (memory (export "memory") 1) (tag $e) (elem declare func $malloc)
        (func $malloc (export "malloc") (param i32) (result i32) (throw $e))
        (func $free (export "free") (param i32))
        (func (export "a") (param i32) (result i32) (return_call $malloc (local.get 0)))
        (func (export "b") (param i32) (result i32) (call_ref $alloc (local.get 0) (ref.func $malloc)))
        (func (export "c") (result i32) (block $h (try_table (catch $e $h) (return (call $malloc (i32.const 1))))) (i32.const 0)))"#,
    // 64-bit addresses.
    r#"(module (import "alligator" "alligator_mark" (func $mark (param i64 i64))) (memory (export "memory") i64 1)
        (func $malloc (export "malloc") (param i64) (result i64) (i64.const 0))
        (func (export "calloc") (param i64 i64) (result i64) (call $malloc (local.get 0)))
        (func (export "realloc") (param i64 i64) (result i64) (i64.const 0))
        (func (export "posix_memalign") (param i64 i64 i64) (result i32) (i32.const 0))
        (func (export "free") (param i64) (call $mark (i64.const 0) (i64.const 1))))"#,
    // Threads: a memory that is shared and imported, another that is not.
    r#"(module (import "env" "memory" (memory 1 4 shared)) (import "env" "f" (func $f)) (memory $other 1)
        (func $malloc (export "malloc") (param i32) (result i32) (i32.load $other (i32.atomic.load (local.get 0))))
        (func (export "free") (param i32) (call $f)))"#,
    // Nothing but a heap.
    r#"(module (memory 1) (func (export "malloc") (param i32) (result i32) (i32.const 8)) (func (export "free") (param i32)))"#,
];

#[test]
fn every_way_to_call_catch_and_refer_is_kept() {
    for (number, text) in KINDS.iter().enumerate() {
        let bytes = wat::parse_str(text).expect("is a module");
        let heap =
            alligator_find::find(&bytes, &alligator_find::Options::default()).expect("is valid");
        for mode in [Mode::Memory, Mode::Import] {
            for (stacks, sample_bytes) in [(false, 0), (true, 0), (false, 100), (true, 100)] {
                let options = Options {
                    name: format!("{number}.wasm"),
                    mode,
                    stacks,
                    sample_bytes,
                };
                let recorded = record(&bytes, &heap, &options).expect("can be recorded");
                check(&bytes, &recorded, &options);
            }
        }
    }
}

#[test]
fn damaged_modules_are_refused_or_recorded() {
    let mut random = Random(5);
    let mut written = 0;
    for text in KINDS {
        let whole = wat::parse_str(text).expect("is a module");
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(2) {
                let place = random.below(bytes.len());
                bytes[place] = random.next().to_le_bytes()[0];
            }
            if random.below(8) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            written += usize::from(record_any(&bytes, &mut random));
        }
    }
    assert!(written > 50, "{written}");
}

#[test]
fn what_a_recorded_module_says_may_be_damaged() {
    let bytes = wat::parse_str(KINDS[0]).expect("is a module");
    let mut random = Random(9);
    let heap = any_heap(&bytes, &mut random).expect("is valid");
    let options = Options {
        stacks: true,
        ..Options::default()
    };
    let recorded = record(&bytes, &heap, &options)
        .expect("can be recorded")
        .module;
    for _ in 0..2000 {
        let mut bytes = recorded.clone();
        // Its own sections are at the end.
        let place = bytes.len() - 1 - random.below(900.min(bytes.len()));
        bytes[place] = random.next().to_le_bytes()[0];
        for error in [meta_of(&bytes).err(), sites_of(&bytes).err()]
            .into_iter()
            .flatten()
        {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
