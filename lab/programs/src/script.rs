//! Rhai, an interpreter written in Rust, at work: closures, maps, arrays and strings.

use rhai::Engine;

const SCRIPTS: [&str; 3] = [
    include_str!("scripts/life.rhai"),
    include_str!("scripts/sort.rhai"),
    include_str!("scripts/words.rhai"),
];

pub(crate) fn run() -> String {
    // Only the first call can set the seeds; the others find them set.
    let _ = rhai::config::hashing::set_hashing_seed(Some([1, 2, 3, 4]));
    let mut output = String::new();
    for script in SCRIPTS {
        let engine = Engine::new();
        let result = engine.eval::<String>(script);
        output += &result.unwrap_or_else(|error| format!("failed: {error}"));
        output.push('\n');
    }
    output
}
