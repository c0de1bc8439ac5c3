//! The engine that interprets a schedule by loops. In f64 it is the reference: kernels and whole
//! steps are compared with it, and `--device reference` runs it. `cpu` makes it an engine in f32.

pub mod matrix;
mod parts;
pub mod real;
pub(crate) mod sums;
mod twins;
pub(crate) mod widest;

use std::borrow::Cow;
use std::cell::{Ref, RefCell, RefMut};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use rayon::ThreadPool;

use crate::kernels::Unit;
use crate::kernels::params::{Record, Step};
use crate::model::arena::Numbers;
use crate::schedule::{
    Buffer, BufferSpec, Clock, Dispatch, Engine, Kind, NotFinite, Program, SLOTS, Slice,
    StepResult, Timings, Work, first_not_finite,
};
use real::Real;

/// The contents of a buffer.
#[derive(Clone, Debug)]
enum Store<T> {
    Numbers(RefCell<Vec<T>>),
    Integers(RefCell<Vec<u32>>),
}

/// Runs a program in f64, in [`real::Bounded`] for error bounds, or in f32 for speed.
#[derive(Debug)]
pub struct Reference<T: Real = f64> {
    program: Program,
    stores: Vec<Store<T>>,
    results: Vec<StepResult>,
    /// The threads that it runs on; `None` for as many as the process may run at once.
    pool: Option<Arc<ThreadPool>>,
    /// The times of dispatches since a profile was started.
    timings: Option<Timings>,
}

/// The arguments of a twin: buffers by the names of bindings, parameters, and the step.
pub(crate) struct Arguments<'a, T: Real> {
    dispatch: &'a Dispatch,
    stores: &'a [Store<T>],
    step: &'a Step,
}

/// The largest number that f16 holds.
const LARGEST_HALF: f64 = 65504.0;

impl<'a, T: Real> Arguments<'a, T> {
    fn store(&self, name: &str) -> &'a Store<T> {
        let found = self.dispatch.bindings.iter().find(|(n, _)| *n == name);
        // The laws of a schedule guarantee all bindings; a twin that asks for another one is a bug.
        let (_, buffer) = found.unwrap_or_else(|| {
            panic!("{}: the twin asks for binding {name}", self.dispatch.kernel.name)
        });
        &self.stores[buffer.0]
    }

    /// The numbers of a buffer, to be read.
    pub(crate) fn numbers(&self, name: &str) -> Ref<'a, Vec<T>> {
        match self.store(name) {
            Store::Numbers(cell) => cell.borrow(),
            Store::Integers(_) => panic!("{}: {name} holds integers", self.dispatch.kernel.name),
        }
    }

    /// The numbers of a buffer, to be written.
    pub(crate) fn numbers_mut(&self, name: &str) -> RefMut<'a, Vec<T>> {
        match self.store(name) {
            Store::Numbers(cell) => cell.borrow_mut(),
            Store::Integers(_) => panic!("{}: {name} holds integers", self.dispatch.kernel.name),
        }
    }

    /// The integers of a buffer, to be read.
    pub(crate) fn integers(&self, name: &str) -> Ref<'a, Vec<u32>> {
        match self.store(name) {
            Store::Integers(cell) => cell.borrow(),
            Store::Numbers(_) => panic!("{}: {name} holds numbers", self.dispatch.kernel.name),
        }
    }

    /// The integers of a buffer, to be written.
    pub(crate) fn integers_mut(&self, name: &str) -> RefMut<'a, Vec<u32>> {
        match self.store(name) {
            Store::Integers(cell) => cell.borrow_mut(),
            Store::Numbers(_) => panic!("{}: {name} holds numbers", self.dispatch.kernel.name),
        }
    }

    /// The structures of a table.
    pub(crate) fn table<S: Record>(&self, name: &str) -> Vec<S> {
        let words = self.integers(name);
        let whole = words.len() / (size_of::<S>() / 4) * (size_of::<S>() / 4);
        bytemuck::cast_slice(&words[..whole]).to_vec()
    }

    /// The parameters of the kernel.
    pub(crate) fn params<P: Record>(&self) -> P {
        bytemuck::cast_slice(&self.dispatch.params)[0]
    }

    /// A pipeline-overridable constant; 0 where the dispatch does not set it.
    pub(crate) fn constant(&self, name: &str) -> u32 {
        self.dispatch
            .constants
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(0, |(_, value)| *value as u32)
    }

    /// The step.
    pub(crate) fn step(&self) -> &'a Step {
        self.step
    }

    /// Gradients as a matrix unit reads them: infinite where they are beyond f16. The rounding to
    /// f16 is an error of the kernel, and no part of the formula.
    pub(crate) fn in_range<'d>(&self, deltas: &'d [T]) -> Cow<'d, [T]> {
        if !self.dispatch.kernel.unit.is_some_and(Unit::is_half) {
            return Cow::Borrowed(deltas);
        }
        let in_range = |delta: &T| {
            let size = delta.value().abs() * f64::from(self.step.delta_scale);
            if size > LARGEST_HALF { *delta * T::of(f64::INFINITY) } else { *delta }
        };
        deltas.iter().map(in_range).collect()
    }

    /// Raises a flag, and the latch: a value was not finite.
    pub(crate) fn raise(&self, flag: u32) {
        let mut flags = self.integers_mut("flags");
        for i in [0, flag as usize] {
            flags[i] = flags[i].min(self.step.number);
        }
    }
}

/// The initial contents of a buffer.
fn store<T: Real>(spec: &BufferSpec) -> Store<T> {
    let initial = spec.initial.iter().copied().chain(std::iter::repeat(0)).take(spec.len);
    match spec.kind {
        Kind::F32 => Store::Numbers(RefCell::new(
            initial.map(|bits| T::from(f32::from_bits(bits))).collect(),
        )),
        Kind::U32 => Store::Integers(RefCell::new(initial.collect())),
    }
}

impl<T: Real> Reference<T> {
    /// An engine with the program's initial contents.
    pub fn new(program: Program) -> Reference<T> {
        let stores = program.buffers.iter().map(store).collect();
        Reference { program, stores, results: Vec::new(), pool: None, timings: None }
    }

    /// The engine on the threads of a pool.
    pub fn on(self, pool: Arc<ThreadPool>) -> Reference<T> {
        Reference { pool: Some(pool), ..self }
    }

    /// Runs one dispatch of a schedule.
    pub fn run_dispatch(&mut self, schedule: usize, dispatch: usize, step: &Step) -> Result<()> {
        let dispatch = &self.program.schedules[schedule].dispatches[dispatch];
        twins::run(dispatch.kernel.twin, &Arguments { dispatch, stores: &self.stores, step })
    }

    /// Numbers of a buffer as the engine holds them.
    pub fn numbers(&self, slice: Slice) -> Vec<T> {
        match &self.stores[slice.buffer.0] {
            Store::Numbers(cell) => cell.borrow()[slice.first..slice.first + slice.len].to_vec(),
            Store::Integers(_) => Vec::new(),
        }
    }

    /// Overwrites numbers of a buffer.
    pub fn set_numbers(&mut self, buffer: Buffer, first: usize, values: &[T]) {
        if let Store::Numbers(cell) = &self.stores[buffer.0] {
            cell.borrow_mut()[first..first + values.len()].copy_from_slice(values);
        }
    }

    /// Integers of a buffer.
    pub fn integers(&self, slice: Slice) -> Vec<u32> {
        match &self.stores[slice.buffer.0] {
            Store::Integers(cell) => cell.borrow()[slice.first..slice.first + slice.len].to_vec(),
            Store::Numbers(_) => Vec::new(),
        }
    }

    /// Runs the schedules of steps, and reads slices as the last step leaves them.
    fn run_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        let stride = self.program.metrics_stride();
        for Work { schedule, step } in work {
            let schedule = *schedule;
            for dispatch in 0..self.program.schedules[schedule].dispatches.len() {
                let begun = Instant::now();
                self.run_dispatch(schedule, dispatch, step)?;
                if let Some(timings) = &mut self.timings {
                    timings.seconds[schedule][dispatch] += begun.elapsed().as_secs_f64();
                }
            }
            if let Some(timings) = &mut self.timings {
                timings.steps[schedule] += 1;
            }
            let first = step.slot as usize * stride + 1;
            let row =
                self.numbers(Slice { buffer: self.program.metrics_buffer, first, len: stride - 1 });
            let metrics = row.into_iter().map(Real::value).collect();
            let (number, rows, numbers) = (step.number, step.rows, Vec::new());
            self.results.push(StepResult { number, rows, metrics, numbers });
        }
        for slice in slices {
            let numbers = self.download(*slice)?;
            self.results.last_mut().into_iter().for_each(|last| last.numbers.extend(&numbers));
        }
        Ok(())
    }
}

impl<T: Real> Engine for Reference<T> {
    fn program(&self) -> &Program {
        &self.program
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.program.check_write(buffer, first, words.len())?;
        match &self.stores[buffer.0] {
            Store::Integers(cell) => {
                cell.borrow_mut()[first..first + words.len()].copy_from_slice(words)
            }
            Store::Numbers(cell) => {
                let mut numbers = cell.borrow_mut();
                for (to, bits) in numbers[first..].iter_mut().zip(words) {
                    *to = T::from(f32::from_bits(*bits));
                }
            }
        }
        Ok(())
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        ensure!(work.len() <= SLOTS, "{} steps in one submission, at most {SLOTS}", work.len());
        let pool = self.pool.clone();
        let mut run = || self.run_work(work, slices);
        match pool {
            Some(pool) => pool.install(run),
            None => run(),
        }
    }

    fn launch(
        &mut self,
        schedule: usize,
        dispatch: usize,
        step: &Step,
        times: usize,
    ) -> Result<()> {
        let pool = self.pool.clone();
        let mut run = || (0..times).try_for_each(|_| self.run_dispatch(schedule, dispatch, step));
        match pool {
            Some(pool) => pool.install(run),
            None => run(),
        }
    }

    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        Ok(match &self.stores[slice.buffer.0] {
            Store::Integers(_) => self.integers(slice),
            Store::Numbers(_) => self.download(slice)?.into_iter().map(f32::to_bits).collect(),
        })
    }

    fn start_profile(&mut self) -> Result<()> {
        let dispatches: Vec<usize> =
            self.program.schedules.iter().map(|s| s.dispatches.len()).collect();
        self.timings = Some(Timings::new(&dispatches, Clock::Host));
        Ok(())
    }

    fn profile(&self) -> Option<Timings> {
        self.timings.clone()
    }

    fn collect(&mut self, _wait: bool) -> Result<Vec<StepResult>> {
        Ok(std::mem::take(&mut self.results))
    }

    fn not_finite(&self) -> Option<NotFinite> {
        first_not_finite(&self.integers(self.program.whole(self.program.flags_buffer)))
    }

    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        Ok(self.numbers(slice).into_iter().map(|x| x.value() as f32).collect())
    }

    fn save(&mut self, buffer: Buffer) -> Result<Numbers> {
        Ok(T::saved(self.numbers(self.program.whole(buffer))))
    }

    fn restore(&mut self, buffer: Buffer, numbers: &Numbers) -> Result<()> {
        match numbers {
            Numbers::F64(numbers) => {
                self.set_numbers(buffer, 0, &numbers.iter().copied().map(T::of).collect::<Vec<T>>())
            }
            Numbers::F32(numbers) => self.set_numbers(
                buffer,
                0,
                &numbers.iter().copied().map(T::from).collect::<Vec<T>>(),
            ),
        }
        Ok(())
    }
}
