//! What a run directory has for a page.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::facts::{FILE, FORMAT, Facts};
use crate::config::{Config, read};
use crate::fault::Fault;
use crate::model::file::TENSORS;

/// The files of a run that a page is made of.
#[derive(Clone, Debug)]
pub struct RunFiles {
    /// Name of the directory.
    pub name: String,
    /// The settings.
    pub config: Config,
    /// The text of `config.toml`.
    pub settings: String,
    /// `environment.json`; null where it is missing or no JSON.
    pub environment: Value,
    /// The lines of `metrics.jsonl`, without those that are no JSON.
    pub points: Vec<Value>,
    /// Number of lines of `metrics.jsonl` that are no JSON.
    pub broken: usize,
    /// The lines of `train.log`.
    pub log: Vec<String>,
    /// `report.json`; `None` where it is missing, of another format, or of other weights.
    pub facts: Option<Facts>,
}

impl RunFiles {
    /// Reads them.
    ///
    /// # Errors
    /// 66 if the directory is no run directory; 78 if its settings are wrong.
    pub fn read(run: &Path) -> Result<RunFiles> {
        let path = run.join("config.toml");
        if !path.is_file() {
            let hint = "name the directory that a run has printed; runs are in runs/";
            let found = "is no run directory: it has no config.toml";
            return Err(Fault::missing(run.display(), found).hint(hint).into());
        }
        let text = |name: &str| {
            let bytes = fs::read(run.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let lines: Vec<Option<Value>> = text("metrics.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).ok().filter(Value::is_object))
            .collect();
        let broken = lines.iter().filter(|line| line.is_none()).count();
        // `runs/x/.` and `.` have no last name of their own.
        let whole = run.canonicalize().unwrap_or_else(|_| run.to_owned());
        let name = whole.file_name().map_or("run".into(), |name| name.to_string_lossy());
        Ok(RunFiles {
            name: name.into_owned(),
            config: read::from_file(&path, &[])?,
            settings: text("config.toml"),
            environment: serde_json::from_str(&text("environment.json")).unwrap_or_default(),
            points: lines.into_iter().flatten().collect(),
            broken,
            log: text("train.log").lines().map(str::to_owned).collect(),
            facts: facts(run),
        })
    }

    /// The points of a part, in the order of their steps. The last one of the test part, which is
    /// of the kept model, is left out where it is not later than the one before.
    pub fn of(&self, split: &str) -> Vec<&Value> {
        let mut found: Vec<&Value> = Vec::new();
        for point in self.points.iter().filter(|point| point["split"] == split) {
            let step = |point: &Value| point["step"].as_u64().unwrap_or(0);
            if found.last().is_none_or(|last| step(last) < step(point)) {
                found.push(point);
            }
        }
        found
    }

    /// The figures of each part: those of the kept model, or of the last points where it was not
    /// measured.
    pub fn figures(&self) -> Value {
        match &self.facts {
            Some(facts) => facts.figures.clone(),
            None => {
                let last =
                    |split: &str| Some((split.to_owned(), (*self.of(split).last()?).clone()));
                ["train", "valid", "test"].into_iter().filter_map(last).collect()
            }
        }
    }
}

/// The facts of a run, if they are there, of the format of this program, and of its kept model.
fn facts(run: &Path) -> Option<Facts> {
    let facts: Facts = serde_json::from_slice(&fs::read(run.join(FILE)).ok()?).ok()?;
    (facts.format == FORMAT && Some(&facts.model) == hash(run).as_ref()).then_some(facts)
}

/// BLAKE3 of the weights of the kept model of a run, in hex; `None` if there are none.
pub fn hash(run: &Path) -> Option<String> {
    let bytes = fs::read(run.join("model").join(TENSORS)).ok()?;
    Some(blake3::hash(&bytes).to_hex().to_string())
}
