//! `explain`, `devices` and `doctor`: looking, without training.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::console::Console;
use super::flags::Common;
use crate::config::read;
use crate::data::load::door::load;
use crate::device::adapter::Wish;
use crate::device::{Gpu, adapter};
use crate::fault::{Exit, Fault};
use crate::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use crate::measure::doctor;
use crate::measure::precision::{precise, wants_units};
use crate::run::apply::folds::SETTINGS;
use crate::run::machine::Machine;
use crate::run::train::Plan;
use crate::schedule::show;

/// The configuration that a path names: of a run directory its settings, which is said.
///
/// # Errors
/// 66 if it is a directory without any.
fn settings(path: &Path, console: &Console) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let names = ["config.toml", SETTINGS];
    let Some(found) = names.into_iter().map(|name| path.join(name)).find(|file| file.is_file())
    else {
        let hint = "name a configuration, or the directory that a run has printed; tandem inspect \
                    shows what a model is made of";
        return Err(Fault::missing(path.display(), "is no run directory: it has no config.toml")
            .hint(hint)
            .into());
    };
    console.note(&format!(
        "{} is a directory: its {} is explained",
        path.display(),
        found.strip_prefix(path).unwrap_or(&found).display()
    ));
    Ok(found)
}

pub(super) fn explain(
    path: &Path,
    set: &[String],
    common: &Common,
    console: &Console,
) -> Result<()> {
    let config = read::from_file(&settings(path, console)?, set)?;
    let parts = load(&config.data, &config.tasks)?;
    let plan = Plan::new(config, parts)?;
    let precision = plan.config.train.precision;
    let tuning = match Machine::open(&Wish { units: wants_units(precision), ..common.wish() }) {
        Ok(machine) => {
            let (tuning, fallback) = precise(&machine, machine.tuning(), precision)?;
            fallback.iter().for_each(|line| console.note(line));
            tuning
        }
        Err(error) if common.device == "auto" => {
            console.note(&format!("{error}; explaining for class \"software\""));
            Tuning::new(Class::Software, DEFAULT_BINDING, true)
        }
        Err(error) => return Err(error),
    };
    let built = plan.build(&tuning)?;
    let schedule = &built.program.schedules[built.train.unwrap_or(0)];
    if console.json {
        let line = |d: &crate::schedule::Dispatch| json!({"kernel": d.kernel.name, "for": d.label, "grid": d.grid, "flop": d.flop});
        let blocks: Vec<_> = plan
            .layout
            .blocks
            .iter()
            .map(|b| json!({"name": b.name, "shape": b.shape, "offset": b.offset}))
            .collect();
        return console.result_json(&json!({
            "class": tuning.class, "network": plan.network, "parameters": plan.layout.parameters(), "blocks": blocks,
            "rows_per_step": plan.batch, "buffer_bytes": built.program.bytes(),
            "dispatches": schedule.dispatches.iter().map(line).collect::<Vec<_>>(),
        }));
    }
    let network = show::network(&plan.network, &plan.layout);
    let (table, memory) = (show::table(&built.program, schedule), show::memory(&built.program));
    let fusion = show::fusion(&plan.network, &tuning, schedule);
    let text = format!("class {}\n\n{network}\n{table}\n{fusion}\n{memory}", tuning.class);
    console.result(&text)
}

pub(super) fn devices(common: &Common, console: &Console) -> Result<()> {
    let wish = common.wish();
    let chosen = adapter::choose(&wish)?;
    let entries = adapter::list(&wish)?;
    if console.json {
        return console.result_json(
            &json!({"adapters": entries, "chosen": chosen.entry.index, "reason": chosen.reason}),
        );
    }
    let mut text = String::new();
    for e in &entries {
        let mark = if e.index == chosen.entry.index { '*' } else { ' ' };
        text +=
            &format!("{mark} {} {} ({}, {}, {})\n", e.index, e.name, e.class, e.backend, e.driver);
        let mib = |bytes: u64| bytes >> 20;
        text += &format!(
            "      storage binding {} MiB, buffer {} MiB, {} storage bindings, ",
            mib(e.binding_bytes),
            mib(e.buffer_bytes),
            e.storage_bindings
        );
        text += &format!(
            "workgroup memory {} KiB, {} invocations, ",
            e.workgroup_bytes >> 10,
            e.invocations
        );
        text +=
            &format!("subgroups {}..{}; {}\n", e.subgroup[0], e.subgroup[1], e.features.join(", "));
        if !e.units.is_empty() {
            let units: Vec<String> = e.units.iter().map(ToString::to_string).collect();
            text += &format!(
                "      matrix units, where train.precision asks for them: {}\n",
                units.join(", ")
            );
        }
    }
    let gpu = Gpu::open(&wish)?;
    let tuning = gpu.tuning();
    let products =
        [tuning.forward, tuning.backward_input, tuning.backward_weight].map(|p| p.kernel.name);
    text +=
        &format!("a run takes {} {}: {}\n", chosen.entry.index, chosen.entry.name, chosen.reason);
    let mirrors = match (tuning.direct, tuning.shared_mirrors) {
        (false, _) => "",
        (true, true) => "; their mirrors lie in the memory of the buffers",
        (true, false) => {
            "; their mirrors are copies, since this driver shares no memory between textures and \
             buffers"
        }
    };
    text += &format!("kernels of class {}: {}{mirrors}", tuning.class, products.join(", "));
    console.result(&text)
}

pub(super) fn doctor(common: &Common, console: &Console) -> Result<Option<Exit>> {
    let begun = Instant::now();
    let gpu = Gpu::open(&Wish { units: true, ..common.wish() })?;
    let verdicts = doctor::doctor(&gpu)?;
    let seconds = begun.elapsed().as_secs_f64();
    let passed = verdicts.iter().all(doctor::Verdict::passed);
    if console.json {
        let entry = |v: &doctor::Verdict| {
            json!({"kernel": v.kernel.name, "dispatches": v.dispatches, "elements": v.elements, "worst": v.worst, "bound": v.kernel.bound,
                "failure": v.failure, "on_this_adapter": v.dispatches > 0})
        };
        let kernels: Vec<_> = verdicts.iter().map(entry).collect();
        console.result_json(&json!({"adapter": gpu.entry, "passed": passed, "seconds": seconds, "kernels": kernels}))?;
    } else {
        console.result(&report(&gpu, &verdicts, seconds))?;
    }
    if passed {
        return Ok(None);
    }
    let bad: Vec<&str> = verdicts.iter().filter(|v| !v.passed()).map(|v| v.kernel.name).collect();
    let fault = Fault::new(
        Exit::Unavailable,
        format!("{}: {} fails its check", gpu.entry.name, bad.join(", ")),
    );
    Err(fault
        .hint("do not train on this adapter; update its driver or choose another one with --device")
        .into())
}

fn report(gpu: &Gpu, verdicts: &[doctor::Verdict], seconds: f64) -> String {
    let mut text = format!("{} ({}, {})\n", gpu.entry.name, gpu.entry.backend, gpu.entry.driver);
    text += &format!(
        "{:30} {:>10} {:>10} {:>8} {:>6}\n",
        "kernel", "dispatches", "elements", "worst", "bound"
    );
    for v in verdicts {
        if v.dispatches == 0 {
            text += &format!(
                "{:30} not on this adapter: {}\n",
                v.kernel.name,
                if v.kernel.direct { "no subgroups of 8 lanes" } else { "no case" }
            );
            continue;
        }
        let state = v.failure.as_ref().map_or("ok".to_string(), |f| format!("FAILED: {f}"));
        text += &format!(
            "{:30} {:>10} {:>10} {:>8.3} {:>6} {state}\n",
            v.kernel.name, v.dispatches, v.elements, v.worst, v.kernel.bound
        );
    }
    text + &format!(
        "errors in units of eps times the magnitude of the computation, against the float64 \
         reference; {seconds:.1} s"
    )
}
