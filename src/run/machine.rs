//! The machine that a run computes on: an adapter, the processor, or the float64 reference.

use std::num::NonZero;
use std::time::Instant;

use anyhow::Result;

use crate::cpu::{self, Threads};
use crate::device::adapter::{Wish, find, none_found};
use crate::device::{self, Gpu, RefusedMemory};
use crate::fault::{Exit, Fault};
use crate::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use crate::reference::Reference;
use crate::schedule::{Engine, Program};

/// An adapter, the processor, or the reference.
#[derive(Clone, Debug)]
pub enum Machine {
    /// An open adapter.
    Device(Box<Gpu>),
    /// The processor, in f32.
    Cpu(Processor),
    /// The reference: plain loops in f64 on the CPU.
    Reference,
}

/// The processor as an engine in f32.
#[derive(Clone, Debug)]
pub struct Processor {
    /// The threads that it computes with.
    pub threads: Threads,
    /// Why it was chosen, as the end of a sentence.
    pub reason: String,
}

impl Machine {
    /// Opens the machine that a wish names. Without a name that is an adapter, or where there is
    /// none the processor.
    ///
    /// # Errors
    /// 69 if there is no such adapter, or it cannot be used; 2 for threads without an engine that
    /// has them.
    pub fn open(wish: &Wish) -> Result<Machine> {
        Machine::opened(wish, false)
    }

    /// Like [`Machine::open`] for a run that trains nothing: without a name a software adapter
    /// gives way to the processor, which starts at once.
    ///
    /// # Errors
    /// The errors of [`Machine::open`].
    pub fn open_to_apply(wish: &Wish) -> Result<Machine> {
        Machine::opened(wish, true)
    }

    fn opened(wish: &Wish, applies: bool) -> Result<Machine> {
        let start = Instant::now();
        let asked = wish.asked();
        let machine = match &asked {
            Some((name, by)) if name == "cpu" => {
                return Machine::cpu(wish, format!("{by} asks for it"));
            }
            Some((name, _)) if name == "reference" => Machine::Reference,
            _ => match find(wish)? {
                None if asked.is_none() && wish.backend.is_none() => {
                    return Machine::cpu(wish, none_found(wish));
                }
                None => Machine::Device(Box::new(Gpu::open(wish)?)),
                Some(chosen)
                    if applies && asked.is_none() && chosen.entry.class == Class::Software =>
                {
                    let reason = format!("there is no GPU, {} aside", chosen.entry.name);
                    return Machine::cpu(wish, reason);
                }
                Some(chosen) => Machine::Device(Box::new(Gpu::open_chosen(chosen, wish, start)?)),
            },
        };
        if let Some(threads) = wish.threads {
            let message = format!(
                "--threads {threads}: only --device cpu has threads; this is {}",
                machine.name()
            );
            let hint = "add --device cpu, or leave --threads out";
            return Err(Fault::new(Exit::Usage, message).hint(hint).into());
        }
        Ok(machine)
    }

    /// The processor, with the reason of the choice.
    fn cpu(wish: &Wish, reason: String) -> Result<Machine> {
        Ok(Machine::Cpu(Processor { threads: Threads::new(wish.threads)?, reason }))
    }

    /// How many runs it does best at a time: the processor one per thread. For adapters
    /// [`crate::measure::pack`] finds it out.
    pub fn runs_at_a_time(&self) -> usize {
        match self {
            Machine::Device(_) => 1,
            Machine::Cpu(processor) => processor.threads.number(),
            Machine::Reference => cpu::processors(),
        }
    }

    /// The machine for one of several runs at a time; of the processor one thread. Numbers do not
    /// depend on that.
    ///
    /// # Errors
    /// A system that starts no more threads.
    pub fn beside_others(&self) -> Result<Machine> {
        let Machine::Cpu(Processor { reason, .. }) = self else { return Ok(self.clone()) };
        let threads = Threads::new(Some(NonZero::<usize>::MIN))?;
        Ok(Machine::Cpu(Processor { threads, reason: reason.clone() }))
    }

    /// The machine for up to `most` runs that are trained in the same dispatches where it is an
    /// adapter; each has the numbers that it has alone.
    ///
    /// # Errors
    /// A system that starts no more threads.
    pub fn packing(&self, most: usize) -> Result<Machine> {
        let Machine::Device(gpu) = self else { return Ok(self.clone()) };
        Ok(Machine::Device(Box::new(gpu.packing(device::begin_pack(gpu, most)?))))
    }

    /// Runs per step, on average over all steps of its pack so far; `None` where it has none.
    pub fn runs_per_step(&self) -> Option<f64> {
        match self {
            Machine::Device(gpu) => gpu.pack.as_ref()?.members_per_step(),
            _ => None,
        }
    }

    /// The machine for a run beside no other in its dispatches.
    pub fn alone(&self) -> Machine {
        match self {
            Machine::Device(gpu) => Machine::Device(Box::new(gpu.alone())),
            _ => self.clone(),
        }
    }

    /// The choices of kernels for it, without a measurement.
    pub fn tuning(&self) -> Tuning {
        match self {
            Machine::Device(gpu) => gpu.tuning(),
            Machine::Cpu(_) => Tuning::new(Class::Cpu, DEFAULT_BINDING, false),
            Machine::Reference => Tuning::new(Class::Reference, DEFAULT_BINDING, false),
        }
    }

    /// The most bytes of data that stay on it where the user does not decide; `None` = any number.
    pub fn most_data(&self) -> Option<u64> {
        match self {
            Machine::Device(gpu) => Some(2 * gpu.limits.max_buffer_size),
            Machine::Cpu(_) | Machine::Reference => None,
        }
    }

    /// The request for memory that it refused last.
    pub fn refused(&self) -> Option<RefusedMemory> {
        match self {
            Machine::Device(gpu) => gpu.refused(),
            Machine::Cpu(_) | Machine::Reference => None,
        }
    }

    /// Seconds that opening it took.
    pub fn open_seconds(&self) -> f64 {
        match self {
            Machine::Device(gpu) => gpu.open_seconds,
            Machine::Cpu(_) | Machine::Reference => 0.0,
        }
    }

    /// Its name, with backend and driver; for the processor the instructions instead.
    pub fn name(&self) -> String {
        match self {
            Machine::Device(gpu) => {
                format!("{} ({}, {})", gpu.entry.name, gpu.entry.backend, gpu.entry.driver)
            }
            Machine::Cpu(_) => format!("cpu (f32, {})", cpu::instructions()),
            Machine::Reference => "reference".into(),
        }
    }

    /// Where it is: the machine and the place of the adapter in its list; `None` for the processor.
    pub fn place(&self) -> Option<String> {
        let Machine::Device(gpu) = self else { return None };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Some(format!("{} of {}", gpu.entry.index, host.trim()))
    }

    /// The names of the adapter and of the driver, or what stands for them.
    pub fn names(&self) -> (String, String) {
        match self {
            Machine::Device(gpu) => (gpu.entry.name.clone(), gpu.entry.driver.clone()),
            Machine::Cpu(processor) => ("cpu".into(), cpu::in_words(processor.threads.number())),
            Machine::Reference => ("reference".into(), "float64 on the CPU".into()),
        }
    }

    /// Why it was chosen, as the end of a sentence.
    pub fn reason(&self) -> &str {
        match self {
            Machine::Device(gpu) => &gpu.reason,
            Machine::Cpu(processor) => &processor.reason,
            Machine::Reference => "as asked",
        }
    }

    /// One line for the user: name, backend, driver and class, and why it was chosen.
    pub fn describe(&self) -> String {
        let reason = self.reason();
        match self {
            Machine::Device(gpu) => {
                let e = &gpu.entry;
                format!("{} ({}, {}, {}): {reason}", e.name, e.backend, e.driver, e.class)
            }
            Machine::Cpu(_) => {
                let (name, how) = self.names();
                format!("{name} ({how}): {reason}")
            }
            Machine::Reference => format!("float64 reference on the CPU, {reason}"),
        }
    }

    /// An engine for a program.
    ///
    /// # Errors
    /// 69 if a limit of the adapter is too small; 70 if the device is lost or out of memory.
    pub fn engine(self, program: Program) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Machine::Device(gpu) => device::engine(*gpu, program)?,
            Machine::Cpu(cpu) => Box::new(cpu.threads.engine(program)),
            Machine::Reference => Box::new(Reference::<f64>::new(program)),
        })
    }
}
