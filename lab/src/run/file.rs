//! The results as a file: read, written, and gone on with after an interruption.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;

use super::results::{Results, SCHEMA, names};
use crate::engines::Engine;
use crate::options::Part;

impl Results {
    /// Reads a file of this version.
    ///
    /// # Errors
    /// In one line: it is not there, was cut short, or is of another version.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let name = path.display();
        let text = std::fs::read(path).map_err(|error| anyhow!("cannot read {name}: {error}"))?;
        let broken = |error| anyhow!("{name} is not whole, or no results: {error}");
        let Version { schema } = serde_json::from_slice(&text).map_err(broken)?;
        ensure!(
            schema == SCHEMA,
            "{name} is of version {schema}, this lab writes {SCHEMA}"
        );
        serde_json::from_slice(&text).map_err(broken)
    }

    /// What `old` has measured, for this run to go on with. The engines are this run's: one may
    /// have been missing.
    ///
    /// # Errors
    /// `old` is of another commit, compiler, length or choice, or of another version of an engine.
    pub(crate) fn resume(self, old: Self) -> Result<Self> {
        let same = |what: &str, is_same: bool| {
            ensure!(
                is_same,
                "it is of another {what}; run without --resume to measure everything"
            );
            Ok(())
        };
        same("commit", old.setup.commit == self.setup.commit)?;
        same("compiler", old.setup.compiler == self.setup.compiler)?;
        same("length (--quick)", old.setup.quick == self.setup.quick)?;
        let allocators = |results: &Self| names(&results.allocators, |info| &info.name);
        let workloads = |results: &Self| names(&results.workloads, |info| &info.name);
        same(
            "choice of allocators",
            allocators(&old) == allocators(&self),
        )?;
        same("choice of workloads", workloads(&old) == workloads(&self))?;
        let mut engines = old.engines;
        for mut info in self.engines {
            let Some(place) = engines.iter_mut().find(|old| old.engine == info.engine) else {
                engines.push(info);
                continue;
            };
            if info.version.is_none() {
                continue;
            }
            let is_same = place.version.is_none() || place.version == info.version;
            same(&format!("version of {}", info.name), is_same)?;
            info.resolution = place.resolution;
            *place = info;
        }
        engines.sort_by_key(|info| info.engine);
        Ok(Self { engines, ..old })
    }

    /// The failures of allocators that are kept with the results, by part.
    pub(crate) fn failures(&self) -> BTreeMap<Option<Part>, BTreeSet<String>> {
        let checks = self.checks.iter().filter_map(|check| {
            let why = check.failure.as_ref()?;
            let line = failure(check.engine, &check.workload, &check.allocator, why);
            Some((Part::Check, line))
        });
        let times = self.times.iter().flat_map(|times| {
            let failures = times.failures.iter();
            failures.map(|(allocator, why)| {
                let line = failure(times.engine, &times.workload, allocator, why);
                (Part::Time, line)
            })
        });
        let latencies = self.latencies.iter().flat_map(|latencies| {
            let failures = latencies.failures.iter();
            failures.map(|(allocator, why)| {
                let line = failure(latencies.engine, &latencies.workload, allocator, why);
                (Part::Latency, line)
            })
        });
        let mut lines: BTreeMap<Option<Part>, BTreeSet<String>> = BTreeMap::new();
        for (part, line) in checks.chain(times).chain(latencies) {
            lines.entry(Some(part)).or_default().insert(line);
        }
        lines
    }

    /// Writes the file anew, all or nothing.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let unfinished = path.with_extension("part");
        std::fs::write(&unfinished, serde_json::to_vec(self)?)?;
        std::fs::rename(&unfinished, path)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// How a failure is said.
pub(crate) fn failure(engine: Engine, workload: &str, allocator: &str, why: &str) -> String {
    format!("{}, {workload}, {allocator}: {why}", engine.name())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use boon::{Compiler, Schemas};
    use serde_json::Value;

    use super::*;
    use crate::run::results::Check;
    use crate::run::sample::sample;

    fn schema_path() -> PathBuf {
        crate::dir().join("schema.json")
    }

    /// Holds a value against the committed schema.
    fn validate(value: &Value) -> Result<()> {
        let schema: Value = serde_json::from_slice(&std::fs::read(schema_path())?)?;
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("schema.json", schema)
            .map_err(|error| anyhow!("{error}"))?;
        let index = compiler
            .compile("schema.json", &mut schemas)
            .map_err(|error| anyhow!("{error}"))?;
        schemas
            .validate(value, index)
            .map_err(|error| anyhow!("{error}"))
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() -> Result<()> {
        let schema = schemars::schema_for!(Results);
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(schema_path(), &text)?;
        }
        let committed = std::fs::read_to_string(schema_path())?;
        ensure!(
            committed == text,
            "lab/schema.json is not that of the types; BLESS=1 rewrites it"
        );
        Ok(())
    }

    #[test]
    fn what_is_written_fits_the_schema() -> Result<()> {
        validate(&serde_json::to_value(sample())?)
    }

    #[test]
    fn what_lacks_a_part_does_not_fit_the_schema() -> Result<()> {
        let mut value = serde_json::to_value(sample())?;
        let object = value.as_object_mut().context("an object")?;
        object.remove("setup");
        assert!(validate(&value).is_err());
        Ok(())
    }

    #[test]
    fn a_file_is_read_as_it_was_written() -> Result<()> {
        let path = std::env::temp_dir().join(format!("lab-results-{}.json", std::process::id()));
        let results = sample();
        results.write(&path)?;
        let read = Results::read(&path)?;
        std::fs::remove_file(&path)?;
        assert_eq!(serde_json::to_value(read)?, serde_json::to_value(results)?);
        Ok(())
    }
    #[test]
    fn a_file_that_was_cut_short_is_refused_in_one_line() -> Result<()> {
        let path = std::env::temp_dir().join(format!("lab-cut-{}.json", std::process::id()));
        let text = serde_json::to_vec(&sample())?;
        std::fs::write(&path, &text[..text.len() / 2])?;
        let error =
            Results::read(&path).map_or_else(|error| format!("{error:#}"), |_| String::new());
        std::fs::remove_file(&path)?;
        assert!(error.contains("is not whole"), "{error}");
        assert_eq!(error.lines().count(), 1);
        Ok(())
    }

    #[test]
    fn writing_leaves_nothing_but_the_file() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("lab-write-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let path = dir.join("results.json");
        // The second time there is an old file to replace.
        sample().write(&path)?;
        sample().write(&path)?;
        let files = std::fs::read_dir(&dir)?.count();
        std::fs::remove_dir_all(&dir)?;
        assert_eq!(files, 1);
        Ok(())
    }

    /// Why results cannot be resumed by a run of the sample's choice; empty if they can.
    fn refusal(old: Results) -> String {
        let resumed = sample().resume(old);
        resumed.map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_was_measured_is_kept_by_a_run_that_resumes() -> Result<()> {
        let mut new = sample();
        new.counts.clear();
        new.times.clear();
        new.setup.date = "later".to_owned();
        let resumed = new.resume(sample())?;
        assert_eq!(
            serde_json::to_value(resumed)?,
            serde_json::to_value(sample())?
        );
        Ok(())
    }

    #[test]
    fn results_of_another_commit_or_length_or_choice_are_not_resumed() {
        assert_eq!(refusal(sample()), "");
        let mut old = sample();
        old.setup.commit = "9876543210".to_owned();
        assert!(refusal(old).starts_with("it is of another commit"));
        let mut old = sample();
        old.setup.quick = false;
        assert!(refusal(old).starts_with("it is of another length"));
        let mut old = sample();
        old.allocators.clear();
        assert!(refusal(old).starts_with("it is of another choice of allocators"));
        let mut old = sample();
        old.workloads.clear();
        assert!(refusal(old).starts_with("it is of another choice of workloads"));
    }

    #[test]
    fn an_engine_may_come_but_not_change_before_a_run_resumes() -> Result<()> {
        let version = |version: &str| {
            let mut results = sample();
            results.engines[0].version = Some(version.to_owned());
            results
        };
        let resumed = version("1").resume(sample())?;
        assert_eq!(resumed.engines[0].version.as_deref(), Some("1"));
        assert!(version("1").resume(version("2")).is_err());
        Ok(())
    }

    #[test]
    fn failures_are_said_again_by_a_run_that_resumes() {
        let mut old = sample();
        old.checks[0].failure = Some("null".to_owned());
        let said: Vec<String> = old.failures().into_values().flatten().collect();
        assert_eq!(said, ["V8, small, talc: null", "V8, small, floor: null"]);
    }

    #[test]
    fn what_is_there_is_known() {
        let results = sample();
        assert!(results.is_checked(Engine::V8, "small"));
        assert!(!results.is_checked(Engine::Wasmtime, "small"));
        assert!(results.has_latencies(Engine::V8, "small"));
        assert!(!results.has_latencies(Engine::V8, "json"));
        assert!(results.has_start(Engine::V8, "talc"));
        assert!(!results.has_start(Engine::V8, "floor"));
    }

    #[test]
    fn checks_are_in_one_order_whichever_was_there_first() -> Result<()> {
        let mut results = sample();
        let check = |engine, workload: &str| Check {
            engine,
            workload: workload.to_owned(),
            allocator: "talc".to_owned(),
            failure: None,
        };
        results.checks = vec![check(Engine::V8, "small"), check(Engine::Wasmtime, "small")];
        let mut other = results.clone();
        other.checks.reverse();
        results.sort_checks();
        other.sort_checks();
        assert_eq!(results.checks[0].engine, Engine::Wasmtime);
        assert_eq!(serde_json::to_value(results)?, serde_json::to_value(other)?);
        Ok(())
    }
}
