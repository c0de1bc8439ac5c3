//! A *pack*: runs that are trained in the same dispatches, each with the bits that it has alone.
//!
//! Each run has a thread with the loop that it has alone, and as its engine a [`member`] of the
//! pack, which hands uploads, steps and read-backs to one thread, the [`driver`]. When the members
//! wait for their results, the driver takes those whose next steps are of one schedule and submits
//! the steps that they have in common. Members whose programs have the same dispatches are of one
//! [`kind`]: each of their buffers is a region of one [`store`], and the kernels are those of
//! [`crate::kernels::packed`].
//!
//! A run comes and goes at any time; who is there when changes no bit of the others. A program that
//! finds no room runs alone on the same device.

mod driver;
mod kind;
mod member;
mod store;

use std::sync::Arc;
use std::sync::mpsc::channel;

use anyhow::Result;

use super::asked::{Command, Pack, Tally, ended};
use super::gpu::Gpu;
use super::session::Session;
use crate::schedule::{Engine, Program};
use driver::Driver;

pub use member::Member;

/// The largest number of members: their records fit into the tables of all kernels.
pub const MOST: usize = 64;

/// Begins a pack of up to `most` members, [`MOST`] at most.
///
/// # Errors
/// A system that starts no more threads.
pub fn begin(gpu: &Gpu, most: usize) -> Result<Arc<Pack>> {
    let (commands, taken) = channel();
    let tally = Arc::new(Tally::default());
    let driver = Driver::new(gpu.alone(), most.clamp(1, MOST), taken, Arc::clone(&tally));
    std::thread::Builder::new().name("pack".into()).spawn(move || driver.run())?;
    Ok(Arc::new(Pack { commands, tally }))
}

/// The engine of a member with a program on the device of the pack; `None` where there is no
/// room for it, or where it cannot be packed.
///
/// # Errors
/// A device that is lost; a kernel that cannot be rewritten.
pub fn join(pack: &Pack, gpu: &Gpu, program: Program) -> Result<Option<Member>> {
    if !kind::can_be_packed(gpu, &program) {
        return Ok(None);
    }
    let (program, (landed, results)) = (Arc::new(program), channel());
    let (reply, answer) = channel();
    let join = Command::Join { program: Arc::clone(&program), landed, reply };
    pack.commands.send(join).map_err(|_| ended())?;
    let number = answer.recv().map_err(|_| ended())??;
    Ok(number.map(|number| Member::new(number, program, pack.commands.clone(), results)))
}

/// An engine for a program on a device: a member of its pack where it has one with room, else a
/// [`Session`].
///
/// # Errors
/// As [`Session::new`].
pub fn engine(gpu: Gpu, program: Program) -> Result<Box<dyn Engine>> {
    if let Some(pack) = gpu.pack.clone()
        && let Some(member) = join(&pack, &gpu, program.clone())?
    {
        return Ok(Box::new(member));
    }
    Ok(Box::new(Session::new(gpu.alone(), program)?))
}
