//! The kernels for GPUs, compiled for AMD's RDNA 2 and RDNA 3 by the driver's own compiler, which
//! needs no GPU for that. A change that lets a kernel spill, or that dilutes the inner loop of a
//! product, fails here. `make isa` prints the whole table.

#![cfg(target_os = "linux")]

mod assembly;
mod compiler;

use std::path::PathBuf;
use std::process::Command;

use assembly::densest;
use compiler::{Compiled, Compiler};
use tandem::kernels::{KERNELS, Kernel};

/// The GPUs: the name by which the driver knows one, and its architecture.
const GPUS: [(&str, &str); 2] = [("navi21", "RDNA 2"), ("gfx1100", "RDNA 3")];

/// Tells the kernels for GPUs, without those for matrix units, which Mesa 22.3 cannot compile.
fn is_for_gpus(kernel: &Kernel) -> bool {
    !kernel.direct && kernel.unit.is_none()
}

/// A line of the table: a kernel and its densest loop.
struct Line {
    compiled: Compiled,
    inner: assembly::Loop,
}

impl Line {
    fn number(&self, name: &str) -> f64 {
        let found = self.compiled.statistics.get(name);
        *found.unwrap_or_else(|| panic!("no {name}: {:?}", self.compiled.statistics))
    }
}

/// The file that names RADV to the Vulkan loader.
fn driver() -> PathBuf {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let files = folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten();
    let named =
        |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("radeon_icd"));
    files
        .map(|entry| entry.path())
        .find(named)
        .unwrap_or_else(|| panic!("no radeon_icd.*.json; install mesa-vulkan-drivers"))
}

/// Compiles all kernels in a process of its own: the driver asks the environment for which GPU.
fn compiled(gpu: &str) -> Vec<Line> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "compiles_for_the_gpu_of_the_environment", "--ignored", "--nocapture"])
        .env("RADV_FORCE_FAMILY", gpu)
        .env("VK_DRIVER_FILES", driver())
        .env("VK_ICD_FILENAMES", driver())
        .env("MESA_SHADER_CACHE_DISABLE", "true")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{gpu}: {text}\n{errors}");
    let line = |json: &str| {
        let compiled: Compiled = serde_json::from_str(json).unwrap();
        Line { inner: densest(&compiled.assembly), compiled }
    };
    let lines: Vec<Line> = text.lines().filter(|l| l.starts_with('{')).map(line).collect();
    assert_eq!(lines.len(), KERNELS.iter().filter(|k| is_for_gpus(k)).count(), "{text}");
    lines
}

/// Compiles for one GPU and prints a JSON object per kernel.
#[test]
#[ignore = "a part of kernels_keep_their_registers_and_their_loops"]
fn compiles_for_the_gpu_of_the_environment() {
    let compiler = Compiler::open().unwrap_or_else(|e| panic!("{e}"));
    println!();
    for kernel in KERNELS.iter().filter(|k| is_for_gpus(k)) {
        let compiled = compiler.compile(kernel).unwrap_or_else(|e| panic!("{e}"));
        println!("{}", serde_json::to_string(&compiled).unwrap());
    }
}

/// The least share of multiply-adds in the loop of a product.
const SHARES: [(&str, f64); 6] = [
    ("dense_forward_128x128", 0.88),
    ("dense_backward_input_128x128", 0.88),
    ("dense_backward_weight_128x128", 0.88),
    ("dense_forward_64x64", 0.88),
    ("dense_backward_input_64x64", 0.88),
    ("dense_backward_weight_64x64", 0.88),
];

#[test]
fn kernels_keep_their_registers_and_their_loops() {
    let mut wrong = Vec::new();
    for (gpu, architecture) in GPUS {
        println!(
            "\n{architecture} ({gpu})\n{:34} {:>5} {:>6} {:>7} {:>8} {:>5} {:>7} {:>9} {:>12}",
            "kernel",
            "VGPR",
            "spills",
            "scratch",
            "LDS",
            "waves",
            "code",
            "latency",
            "multiply-adds"
        );
        for line in compiled(gpu) {
            let name = line.compiled.kernel.as_str();
            let spills = line.number("Spilled VGPRs") + line.number("Spilled SGPRs");
            let (scratch, inner) = (line.number("Scratch size"), line.inner);
            let share = match inner.multiply_adds {
                0 => String::new(),
                n => format!("{n} of {} {:.0} %", inner.instructions, 100.0 * inner.share()),
            };
            println!(
                "{name:34} {:>5} {spills:>6} {scratch:>7} {:>8} {:>5} {:>7} {:>9} {share:>12}",
                line.number("VGPRs"),
                line.number("LDS size"),
                line.number("Subgroups per SIMD"),
                line.number("Code size"),
                line.number("Latency"),
            );
            if spills + scratch > 0.0 {
                wrong.push(format!("{gpu}: {name} spills {spills}, scratch {scratch}"));
            }
            let least = SHARES.iter().find(|(kernel, _)| *kernel == name).map_or(0.0, |(_, l)| *l);
            if inner.share() < least {
                wrong.push(format!("{gpu}: {name}: {share}, at least {:.0} %", 100.0 * least));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
