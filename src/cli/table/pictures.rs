//! What `init` and `inspect` do with image files.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::{Console, TableArgs, columns_text, labels_text, path_from, table_json};
use crate::config::write::quote;
use crate::data::look::pictures::{LABEL, Pictures};
use crate::data::look::survey::{Survey, propose_tasks};

impl TableArgs {
    /// Looks at the image files that a text names.
    pub(super) fn pictures(&self, data: &str) -> Result<Pictures> {
        let names: Vec<&str> = self
            .target
            .iter()
            .map(|target| target.rsplit_once(':').map_or(target.as_str(), |(name, _)| name))
            .collect();
        Pictures::new(data, &names, &self.options()?)
    }

    /// The tasks that `--target` names; that of a folder of classes has a name in any case.
    pub(super) fn targets(&self, pictures: &Pictures) -> Vec<String> {
        match (&self.target[..], &pictures.listed) {
            ([], None) => vec![LABEL.to_owned()],
            (targets, _) => targets.to_vec(),
        }
    }
}

/// The value of `data.train` for image files, as TOML.
pub(super) fn pictures_value(pictures: &Pictures, out: Option<&Path>) -> Result<String> {
    let path = |path: &Path| path_from(&path.to_string_lossy(), out).map(quote);
    let folder = path(&pictures.folder)?;
    Ok(match &pictures.listed {
        None => format!("{{ folder = {folder} }}"),
        Some((labels, column)) => {
            let (labels, column) = (path(labels)?, quote(column));
            format!("{{ images = {folder}, labels = {labels}, path = {column} }}")
        }
    })
}

/// Shows image files with their labels.
pub(super) fn inspect_pictures(what: &str, args: &TableArgs, console: &Console) -> Result<()> {
    let pictures = args.pictures(what)?;
    let survey = Survey::new(&pictures.table, args.given());
    let tasks = propose_tasks(&pictures.table, &survey, &args.targets(&pictures))?;
    if console.json {
        let mut document = table_json(&survey, &tasks);
        document["kind"] = json!("images");
        document["images"] = json!(pictures.phrase());
        document["notices"] = json!(pictures.notices);
        return console.result_json(&document);
    }
    pictures.notices.iter().for_each(|notice| console.note(notice));
    let columns = pictures.listed.as_ref().map_or(String::new(), |_| columns_text(&survey));
    let labels = labels_text(&tasks, survey.rows);
    let gap = if columns.is_empty() { "" } else { "\n" };
    console.result(&format!("{}: {}\n{gap}{columns}{labels}", survey.place, pictures.phrase()))
}
