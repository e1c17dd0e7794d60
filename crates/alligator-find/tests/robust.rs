//! Bytes that are no module, or an odd one: a refusal in one line, or a report; never a panic or a hang.

#[path = "common/anything.rs"]
mod anything;
mod common;

use alligator_find::confirm::Engine;
use alligator_meter::sandbox::Sandbox;
use anything::find_anything;

const MUTATIONS: u64 = 400;

/// Pseudo-random numbers, always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).expect("small")
    }
}

const PROGRAM: &str = r#"(export "malloc" (func $malloc)) (export "f" (func $free))
    (func (export "w") (param i32) (result i32) (call $malloc (local.get 0)))"#;

#[test]
fn modules_cut_short_are_refused() {
    let bytes = common::stripped(PROGRAM);
    let mut refused = 0;
    for end in 0..bytes.len() {
        refused += usize::from(!find_anything(&bytes[..end], "", None));
    }
    // A cut between sections may leave a module.
    assert!(refused > bytes.len() - 20, "{refused} of {}", bytes.len());
}

#[test]
fn mutated_modules_are_refused_or_read() {
    let bytes = common::module(PROGRAM);
    let mut random = Random(7);
    let (mut read, mut refused) = (0, 0);
    let sandbox = Sandbox::new().expect("an engine");
    for number in 0..MUTATIONS {
        let engine = (number % 4 == 0).then_some(&sandbox as &dyn Engine);
        let mut bytes = bytes.clone();
        for _ in 0..=random.below(3) {
            let place = random.below(bytes.len());
            bytes[place] = random.below(256).to_le_bytes()[0];
        }
        if find_anything(&bytes, "k._malloc=c.w", engine) {
            read += 1;
        } else {
            refused += 1;
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}

#[test]
fn mutated_components_are_refused_or_read() {
    let text = format!(
        r#"(component (core module {} (export "malloc" (func $malloc)) (export "free" (func $free))))"#,
        common::HEAP
    );
    let bytes = wat::parse_str(text).expect("well formed");
    let mut random = Random(3);
    for _ in 0..MUTATIONS {
        let mut bytes = bytes.clone();
        let place = random.below(bytes.len());
        bytes[place] = random.below(256).to_le_bytes()[0];
        if random.below(4) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        find_anything(&bytes, "", None);
    }
}
