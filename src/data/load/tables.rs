//! Loads tables that fit into memory: finds the roles of columns, splits rows into parts, fits the
//! schema and applies it.

use std::sync::Arc;

use crate::config::{self, Source, Task, Version};
use crate::data::encode::applied::MatchReport;
use crate::data::encode::outside::{self, OutOfRange};
use crate::data::load::apply::{all_rows, apply};
use crate::data::load::folds;
use crate::data::load::places;
use crate::data::load::roles::{self, Fit, Roles};
use crate::data::load::sources;
use crate::data::look::giveaway;
use crate::data::read;
use crate::data::{Dataset, Part, Parts, Schema, UNLABELLED};
use crate::fault::{Fault, quoted};

/// Reads the training table and the tables for validation and test. Everything is fitted on the
/// training part alone.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed; 78 if the configuration does not fit the files.
pub fn load(data: &config::Data, tasks: &[Task]) -> anyhow::Result<Parts> {
    let reading = places::reading(data)?;
    let mut roles =
        Roles::new(read::read_source(&data.train, &reading.options())?, None, data, tasks)?;
    let mut hashes = std::mem::take(&mut roles.raw.hashes);
    let read = std::mem::take(&mut roles.raw.notes);
    let told = sources::look(data, tasks, &reading.options())?;
    let rows = folds::split(&roles)?;
    let sources = sources::training_rows(&roles.raw, data, &rows[0])?;
    let mut fit = roles.fit(&rows, reading)?;
    let train = match rows[Part::Train as usize].as_slice() {
        [] => None,
        rows => Some(roles.training_set(&mut fit, rows)?),
    };
    let Fit { schema, mut notices, .. } = fit;
    notices.extend(read);
    notices.extend(told);
    let mut outside = [const { OutOfRange::new() }; 3];
    let mut part = |part: Part, given: &Option<Source>| match given {
        None if rows[part as usize].is_empty() => Ok(None),
        None => {
            outside[part as usize].count(&schema, &roles.raw, &rows[part as usize]);
            roles.dataset(&schema, &rows[part as usize]).map(Some)
        }
        Some(source) => {
            let mut raw = read::read_source(source, &schema.reading.options())?;
            hashes.append(&mut raw.hashes);
            notices.append(&mut raw.notes);
            outside[part as usize].count(&schema, &raw, &all_rows(&raw));
            let dataset = apply(&schema, &raw)?;
            notices.extend(MatchReport::of(&schema, &raw).part_notices(
                part,
                &schema,
                roles.names(),
            ));
            Ok::<_, anyhow::Error>(Some(dataset))
        }
    };
    let (valid, test) = (part(Part::Valid, &data.valid)?, part(Part::Test, &data.test)?);
    let train = train.ok_or_else(|| {
        Fault::config("data.train", "the training part is empty").hint("give rows to train on")
    })?;
    if train.weights.as_ref().is_some_and(|weights| weights.iter().all(|&w| w == 0.0)) {
        return Err(roles::all_zero(data, roles.place()).into());
    }
    check_weighed(&schema, &train, data, roles.place())?;
    notices.extend(giveaway::notices(&schema, &train));
    notices.extend(outside::notices(&schema, &outside));
    let (train, valid, test) = (Arc::new(train), valid.map(Arc::new), test.map(Arc::new));
    Ok(Parts { train, valid, test, schema, hashes, sources, notices })
}

/// Checks that each task has a training row with a label and a weight above 0.
///
/// # Errors
/// 65 with the first task that has no such row.
pub(crate) fn check_weighed(
    schema: &Schema,
    train: &Dataset,
    data: &config::Data,
    place: &str,
) -> Result<(), Fault> {
    let Some(weights) = train.weights.as_ref().filter(|_| data.version >= Version::V0_2) else {
        return Ok(());
    };
    let mut first = 0;
    for target in &schema.targets {
        let labels = &train.labels[first..first + target.cells()];
        first += target.cells();
        let weighs = |column: &Vec<u32>| {
            column.iter().zip(weights).any(|(label, weight)| *label != UNLABELLED && *weight > 0.0)
        };
        if !labels.iter().any(weighs) {
            let found = format!(
                "task {} has no label of any weight in the training part",
                quoted(&target.task)
            );
            return Err(Fault::data(place, found)
                .hint("give rows with such a label a weight above 0, or remove the task"));
        }
    }
    Ok(())
}
