//! What must hold of any input, valid or not. Tests and the fuzz target call the same.

use std::time::Instant;

use alligator_find::confirm::Engine;
use alligator_find::copy::copy;
use alligator_find::heap::{Heap, How, Outcome};
use alligator_find::module::Module;
use alligator_find::{Options, core_of, find};

/// Seconds that one input may take, without optimisation.
const SECONDS_MAX: u64 = 60;

/// Finds in any bytes: a refusal in one line, or a report that agrees with itself. Whether there was one.
pub(crate) fn find_anything(bytes: &[u8], glue: &str, engine: Option<&dyn Engine>) -> bool {
    let start = Instant::now();
    let options = Options {
        glue: vec![glue.to_owned()],
        engine,
        ..Options::default()
    };
    let found = find(bytes, &options);
    assert!(start.elapsed().as_secs() < SECONDS_MAX, "it takes too long");
    match found {
        Ok(heap) => {
            hold(bytes, &heap);
            true
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
            false
        }
    }
}

fn hold(bytes: &[u8], heap: &Heap) {
    assert!(heap.to_json().ends_with("}\n"));
    let (core, _) = core_of(bytes).expect("it was read");
    let module = Module::parse(core).expect("it was read");
    let all = (0..u32::try_from(module.functions.len()).expect("small")).collect();
    for function in &heap.functions {
        let defined = &module.functions[function.function as usize];
        let signature = module.signature(defined.type_index).expect("a function");
        assert!(defined.body.is_some());
        assert_eq!(signature.params().len(), function.parameters.len());
        assert!(function.found != How::Shape || function.confirmed.is_some());
    }
    assert!(
        heap.outcome != Outcome::NoHeap || heap.functions.iter().all(|f| f.confirmed.is_none())
    );
    // A copy of a valid module is one.
    if let Ok(copied) = copy(core, &module, &all, &all) {
        let valid = Module::parse(&copied);
        assert!(valid.is_ok(), "{valid:?}");
    }
}
