//! The check of kernels on this machine's adapter: it looks at every kernel, and every kernel keeps
//! its bound.

use crate::common::{cpu, open};
use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::kernels::KERNELS;
use tandem::measure::doctor;
use tandem::measure::doctor::Verdict;
use tandem::run::machine::Machine;

fn print(gpu: &Gpu, verdicts: &[Verdict]) {
    println!("{} ({}, {})", gpu.entry.name, gpu.entry.backend, gpu.entry.driver);
    for v in verdicts {
        let state = v.failure.as_deref().unwrap_or("ok");
        println!(
            "{:30} {:4} dispatches {:7} elements, worst {:.3} of {} {state}",
            v.kernel.name, v.dispatches, v.elements, v.worst, v.kernel.bound
        );
    }
}

/// Asserts that every kernel passes. Only kernels that need subgroups of 8 lanes or a matrix unit
/// may be missing, and only on an adapter without them.
fn check(gpu: &Gpu, verdicts: &[Verdict]) {
    print(gpu, verdicts);
    let has_subgroups = doctor::tunings(gpu).iter().any(|tuning| tuning.forward.kernel.direct);
    let names: Vec<&str> = verdicts.iter().map(|v| v.kernel.name).collect();
    assert_eq!(names, KERNELS.iter().map(|k| k.name).collect::<Vec<_>>());
    for v in verdicts {
        assert!(v.passed(), "{}: {:?}", v.kernel.name, v.failure);
        let has_unit = v.kernel.unit.is_none_or(|unit| gpu.unit(unit.is_half()) == Some(unit));
        let is_exempt = (v.kernel.direct && !has_subgroups) || !has_unit;
        assert!(
            is_exempt || (v.dispatches > 0 && v.elements > 0),
            "{}: never looked at",
            v.kernel.name
        );
    }
}

#[test]
fn every_kernel_keeps_its_bound() {
    let gpu = open(&Wish { units: true, ..Wish::default() });
    let machine = Machine::Device(Box::new(gpu.clone()));
    check(&gpu, &doctor::doctor(&machine, true).unwrap());
}

#[test]
fn every_twin_keeps_the_bound_of_its_kernel_in_f32() {
    let verdicts = doctor::doctor(&cpu(2), false).unwrap();
    let failed: Vec<_> = verdicts.iter().filter(|v| !v.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // The fused kernel of software adapters is the only one that no step of the processor takes.
    let is_own = |v: &&Verdict| v.kernel.name == v.kernel.twin;
    let unseen = verdicts.iter().filter(is_own).filter(|v| v.elements == 0);
    let unseen: Vec<&str> = unseen.map(|v| v.kernel.name).collect();
    assert_eq!(unseen, ["heads_cross_entropy"]);
}

/// Runs some of the cases, which together use all kernels.
#[test]
fn kernels_keep_their_bounds_within_the_default_limits_of_webgpu() {
    let gpu = open(&Wish { default_limits: true, ..Wish::default() });
    assert!(gpu.limits.max_storage_buffer_binding_size <= 128 << 20, "{:?}", gpu.limits);
    assert!(gpu.limits.max_compute_workgroup_storage_size <= 16_384, "{:?}", gpu.limits);
    let mut verdicts: Vec<Verdict> = KERNELS
        .iter()
        .map(|&kernel| Verdict { kernel, dispatches: 0, elements: 0, worst: 0.0, failure: None })
        .collect();
    let cases = doctor::all_cases(&gpu).unwrap();
    let some = [
        "around the tile",
        "mixed towers",
        "experts and gates",
        "stitches in chunks",
        "shards, in chunks",
        "chunks and segments",
        "categories and blanks in segments and chunks",
        "embeddings under heads alone, in segments and chunks",
        "windows of tokens, in segments and chunks",
        "pooled sentences",
        "colours in segments and chunks",
        "famo in chunks",
        "upgrad, exact, observed",
        "products of rows, observed",
        "gradvac, exact",
        "excess_mtl, blanks",
        "cagrad",
        "imtl_g",
        "fairgrad",
        "graddrop",
        "graddrop, exact",
    ];
    for case in cases.iter().filter(|c| some.contains(&c.name)) {
        doctor::check_case(&gpu, case, |kernel| kernel.module(), &mut verdicts).unwrap();
    }
    check(&gpu, &verdicts);
}
