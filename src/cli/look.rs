//! `explain`, `devices` and `doctor`: the verbs that show something and train nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::console::Console;
use super::flags::Common;
use crate::config::read;
use crate::cpu;
use crate::data::load::door::load;
use crate::device::adapter;
use crate::device::adapter::{AdapterEntry, Wish};
use crate::fault::{Exit, Fault};
use crate::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use crate::measure::doctor;
use crate::measure::precision::{precise, wants_units};
use crate::model::layout::Block;
use crate::run::apply::group::Group;
use crate::run::machine::Machine;
use crate::run::train::Plan;
use crate::schedule::drawing::{self, Sharing};
use crate::schedule::{Dispatch, Program, Schedule, show};

/// The configuration file that a path names. For a run directory that is the file with its
/// settings, and a notice says which.
///
/// # Errors
/// 66 if it is a directory without such a file.
fn settings(path: &Path, console: &Console) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let names = std::iter::once("config.toml").chain(Group::ALL.map(Group::settings));
    let Some(found) = names.map(|name| path.join(name)).find(|file| file.is_file()) else {
        let hint = "name a configuration or a run directory; tandem inspect shows what a model is \
                    made of";
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
    as_dot: bool,
    common: &Common,
    console: &Console,
) -> Result<()> {
    let config = read::from_file(&settings(path, console)?, set)?;
    let parts = load(&config.data, &config.tasks)?;
    let plan = Plan::new(config, parts)?;
    if as_dot {
        return console.text("dot", &drawing::dot(&plan.network, &plan.layout));
    }
    let precision = plan.config.train.precision;
    let tuning = match Machine::open(&Wish { units: wants_units(precision), ..common.wish() }) {
        Ok(machine) => {
            if matches!(machine, Machine::Cpu(_)) {
                console.note(&format!("explaining for {}", machine.describe()));
            }
            let (tuning, fallback) = precise(&machine, machine.tuning(), precision)?;
            fallback.iter().for_each(|line| console.note(line));
            tuning
        }
        Err(error) if common.wish().asked().is_none() => {
            console.note(&format!("{error}; explaining for class \"software\""));
            Tuning::new(Class::Software, DEFAULT_BINDING, true)
        }
        Err(error) => return Err(error),
    };
    let built = plan.build(&tuning)?;
    let schedule = &built.program.schedules[built.train.unwrap_or(0)];
    if console.json {
        return console.result_json(&explained(&plan, &built.program, schedule, tuning.class));
    }
    let network = show::network(&plan.network, &plan.layout);
    let (table, memory) = (show::table(&built.program, schedule), show::memory(&built.program));
    let fusion = show::fusion(&plan.network, &tuning, schedule);
    let graph = drawing::graph(&plan.network, &plan.layout);
    let sharing = drawing::sharing(&plan.network, &plan.layout);
    let text = format!(
        "class {}\n\n{network}\n{graph}\n{sharing}\n{table}\n{fusion}\n{memory}",
        tuning.class
    );
    console.result(&text)
}

/// What `explain` shows, as JSON.
fn explained(plan: &Plan, program: &Program, schedule: &Schedule, class: Class) -> Value {
    let line = |d: &Dispatch| {
        json!({
            "kernel": d.kernel.name,
            "for": d.label,
            "grid": d.grid,
            "flop": d.flop,
        })
    };
    let block = |b: &Block| json!({"name": b.name, "shape": b.shape, "offset": b.offset});
    json!({
        "class": class,
        "network": plan.network,
        "parameters": plan.layout.parameters(),
        "sharing": Sharing::of(&plan.network, &plan.layout).json(&plan.network),
        "blocks": plan.layout.blocks.iter().map(block).collect::<Vec<_>>(),
        "rows_per_step": plan.rows_per_step(),
        "buffer_bytes": program.bytes(),
        "dispatches": schedule.dispatches.iter().map(line).collect::<Vec<_>>(),
    })
}

pub(super) fn devices(common: &Common, console: &Console) -> Result<()> {
    let wish = common.wish();
    let machine = Machine::open(&wish)?;
    let entries = adapter::list(&wish)?;
    let chosen = match &machine {
        Machine::Device(gpu) => json!(gpu.entry.index),
        _ => json!(machine.names().0),
    };
    if console.json {
        let cpu = json!({"instructions": cpu::instructions(), "threads": cpu::processors()});
        return console.result_json(&json!({
            "adapters": entries,
            "cpu": cpu,
            "chosen": chosen,
            "reason": machine.reason(),
        }));
    }
    let mark = |is_chosen: bool| if is_chosen { '*' } else { ' ' };
    let mut text = String::new();
    for e in &entries {
        text += &format!("{} {}", mark(chosen == json!(e.index)), adapter_text(e));
    }
    text += &format!(
        "{} cpu: the processor ({})\n",
        mark(matches!(machine, Machine::Cpu(_))),
        cpu::in_words(cpu::processors()),
    );
    text += &format!("a run takes {}\n", machine.describe());
    let tuning = machine.tuning();
    let products =
        [tuning.forward, tuning.backward_input, tuning.backward_weight].map(|p| p.kernel.name);
    let mirrors = match (tuning.direct, tuning.shared_mirrors) {
        (false, _) => "",
        (true, true) => "; their mirrors share the memory of the buffers",
        (true, false) => {
            "; their mirrors are copies, since this driver shares no memory between textures and \
             buffers"
        }
    };
    if matches!(machine, Machine::Device(_)) {
        text += &format!("kernels of class {}: {}{mirrors}", tuning.class, products.join(", "));
    }
    console.result(&text)
}

/// An adapter and what it offers, in two or three lines.
fn adapter_text(e: &AdapterEntry) -> String {
    let mib = |bytes: u64| bytes >> 20;
    let mut text = format!("{} {} ({}, {}, {})\n", e.index, e.name, e.class, e.backend, e.driver);
    text += &format!(
        "      storage binding {} MiB, buffer {} MiB, {} storage bindings, \
         workgroup memory {} KiB, {} invocations, subgroups {}..{}; {}\n",
        mib(e.binding_bytes),
        mib(e.buffer_bytes),
        e.storage_bindings,
        e.workgroup_bytes >> 10,
        e.invocations,
        e.subgroup[0],
        e.subgroup[1],
        e.features.join(", ")
    );
    if !e.units.is_empty() {
        let units: Vec<String> = e.units.iter().map(ToString::to_string).collect();
        let units = units.join(", ");
        text += &format!("      matrix units, where train.precision asks for them: {units}\n");
    }
    text
}

pub(super) fn doctor(all: bool, common: &Common, console: &Console) -> Result<Option<Exit>> {
    let begun = Instant::now();
    let machine = Machine::open(&Wish { units: true, ..common.wish() })?;
    if matches!(machine, Machine::Reference) {
        let message = "--device reference: doctor compares others with the float64 reference";
        let hint = "name an adapter (see tandem devices) or cpu";
        return Err(Fault::new(Exit::Usage, message).hint(hint).into());
    }
    let verdicts = doctor::doctor(&machine, all)?;
    let seconds = begun.elapsed().as_secs_f64();
    let passed = verdicts.iter().all(doctor::Verdict::passed);
    if console.json {
        let entry = |v: &doctor::Verdict| {
            json!({
                "kernel": v.kernel.name,
                "dispatches": v.dispatches,
                "elements": v.elements,
                "worst": v.worst,
                "bound": v.kernel.bound,
                "failure": v.failure,
                "on_this_adapter": v.dispatches > 0,
            })
        };
        let kernels: Vec<_> = verdicts.iter().map(entry).collect();
        console.result_json(&json!({
            "adapter": match &machine {
                Machine::Device(gpu) => json!(gpu.entry),
                _ => json!(machine.name()),
            },
            "passed": passed,
            "seconds": seconds,
            "kernels": kernels,
        }))?;
    } else {
        console.result(&report(&machine, &verdicts, seconds))?;
    }
    if passed {
        return Ok(None);
    }
    let bad: Vec<&str> = verdicts.iter().filter(|v| !v.passed()).map(|v| v.kernel.name).collect();
    let fault = Fault::new(
        Exit::Unavailable,
        format!("{}: {} fails its check", machine.names().0, bad.join(", ")),
    );
    Err(fault
        .hint("do not train on this adapter; update its driver or choose another one with --device")
        .into())
}

/// One line per kernel, with its errors or the feature that the adapter lacks.
fn report(machine: &Machine, verdicts: &[doctor::Verdict], seconds: f64) -> String {
    let mut text = format!("{}\n", machine.name());
    text += &format!(
        "{:30} {:>10} {:>10} {:>8} {:>6}\n",
        "kernel", "dispatches", "elements", "worst", "bound"
    );
    // The processor runs the formulas that the kernels of one name have in common.
    let is_cpu = matches!(machine, Machine::Cpu(_));
    let is_direct = machine.tuning().direct;
    for v in verdicts.iter().filter(|v| v.dispatches > 0 || !is_cpu) {
        if v.dispatches == 0 {
            let missing = match v.kernel.unit {
                None if is_direct && !v.kernel.direct => {
                    text += &format!("{:30} not taken here; --all checks it\n", v.kernel.name);
                    continue;
                }
                _ if v.kernel.direct => "no subgroups of 8 lanes",
                Some(_) => "no matrix units of this kind",
                None => "no step here uses it",
            };
            text += &format!("{:30} not on this adapter: {missing}\n", v.kernel.name);
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
