//! The Rhai engine at work: programs whose results go to the output, and the template of the document pipeline.

use crate::corpus::Article;
use rhai::{AST, Engine, Scope};
use std::fmt::Write as _;

const SCRIPTS: [(&str, &str); 6] = [
    ("sieve", include_str!("../scripts/sieve.rhai")),
    ("fibonacci", include_str!("../scripts/fibonacci.rhai")),
    ("strings", include_str!("../scripts/strings.rhai")),
    ("closures", include_str!("../scripts/closures.rhai")),
    ("sort", include_str!("../scripts/sort.rhai")),
    ("life", include_str!("../scripts/life.rhai")),
];

/// Runs every script on an engine of its own; a line each goes to `output`.
pub fn run_all(output: &mut String) {
    for (name, source) in SCRIPTS {
        let result = match engine().eval::<String>(source) {
            Ok(text) => text,
            Err(error) => format!("failed: {error}"),
        };
        let _ = writeln!(output, "{name:<9} {result}");
    }
}

/// An engine whose hashes are the same in every run: Rhai's own seeds are random per build.
fn engine() -> Engine {
    // Only the first call can set the seeds; the others find them set.
    let _ = rhai::config::hashing::set_hashing_seed(Some([1, 2, 3, 4]));
    Engine::new()
}

/// The script that turns an article into Markdown, compiled once.
pub struct Template {
    engine: Engine,
    script: AST,
}

impl Template {
    pub fn new() -> Self {
        let engine = engine();
        let script = engine
            .compile(include_str!("../scripts/article.rhai"))
            .expect("the template compiles");
        Self { engine, script }
    }

    pub fn markdown(&mut self, article: &Article) -> String {
        let article = rhai::serde::to_dynamic(article).expect("an article is data");
        self.engine
            .call_fn::<String>(&mut Scope::new(), &self.script, "markdown", (article,))
            .expect("the template renders every article")
    }
}
