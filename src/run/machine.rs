//! The machine that a run computes on: an adapter, or the float64 reference.

use anyhow::Result;

use crate::device::adapter::Wish;
use crate::device::{Gpu, RefusedMemory, Session};
use crate::kernels::tuning::{Class, DEFAULT_BINDING, Tuning};
use crate::reference::Reference;
use crate::schedule::{Engine, Program};

/// An adapter, or the reference.
#[derive(Clone, Debug)]
pub enum Machine {
    /// An open adapter.
    Device(Box<Gpu>),
    /// The reference: plain loops in f64 on the CPU.
    Reference,
}

impl Machine {
    /// Opens the machine that a wish names; `reference` is the float64 engine.
    ///
    /// # Errors
    /// 69 if there is no such adapter, or it cannot be used.
    pub fn open(wish: &Wish) -> Result<Machine> {
        if wish.device.as_deref() == Some("reference") {
            return Ok(Machine::Reference);
        }
        Ok(Machine::Device(Box::new(Gpu::open(wish)?)))
    }

    /// The choices of kernels for it, without a measurement.
    pub fn tuning(&self) -> Tuning {
        match self {
            Machine::Device(gpu) => gpu.tuning(),
            Machine::Reference => Tuning::new(Class::Reference, DEFAULT_BINDING, false),
        }
    }

    /// The most bytes of data that stay on it where the user does not decide; `None` = any number.
    pub fn most_data(&self) -> Option<u64> {
        match self {
            Machine::Device(gpu) => Some(2 * gpu.limits.max_buffer_size),
            Machine::Reference => None,
        }
    }

    /// The request for memory that it refused last.
    pub fn refused(&self) -> Option<RefusedMemory> {
        match self {
            Machine::Device(gpu) => gpu.refused(),
            Machine::Reference => None,
        }
    }

    /// Seconds that opening it took.
    pub fn open_seconds(&self) -> f64 {
        match self {
            Machine::Device(gpu) => gpu.open_seconds,
            Machine::Reference => 0.0,
        }
    }

    /// Its name, with backend and driver.
    pub fn name(&self) -> String {
        match self {
            Machine::Device(gpu) => {
                format!("{} ({}, {})", gpu.entry.name, gpu.entry.backend, gpu.entry.driver)
            }
            Machine::Reference => "reference".into(),
        }
    }

    /// One line for the user: name, backend, driver and class, and why it was chosen.
    pub fn describe(&self) -> String {
        match self {
            Machine::Device(gpu) => {
                let e = &gpu.entry;
                format!("{} ({}, {}, {}): {}", e.name, e.backend, e.driver, e.class, gpu.reason)
            }
            Machine::Reference => "float64 reference on the CPU, as asked".into(),
        }
    }

    /// An engine for a program.
    ///
    /// # Errors
    /// 69 if a limit of the adapter is too small; 70 if the device is lost or out of memory.
    pub fn engine(self, program: Program) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Machine::Device(gpu) => Box::new(Session::new(*gpu, program)?),
            Machine::Reference => Box::new(Reference::<f64>::new(program)),
        })
    }
}
