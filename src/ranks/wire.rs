//! Programs and numbers as bytes, little-endian. Both ends are of one version of this program, so
//! there is nothing to be read that was not written here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};

use crate::kernels;
use crate::schedule::{
    Buffer, BufferSpec, Dispatch, Effect, Flag, FlagKind, Kind, MetricKind, Peer, Program,
    Schedule, Slice,
};

/// A writer of bytes.
#[derive(Debug, Default)]
pub(super) struct Pen(pub(super) Vec<u8>);

impl Pen {
    pub(super) fn number(&mut self, number: usize) {
        self.0.extend((number as u64).to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn words(&mut self, words: &[u32]) {
        self.number(words.len());
        self.0.extend(bytemuck::cast_slice::<u32, u8>(words));
    }

    pub(super) fn doubles(&mut self, numbers: &[f64]) {
        self.number(numbers.len());
        numbers.iter().for_each(|number| self.0.extend(number.to_le_bytes()));
    }

    pub(super) fn list<T>(&mut self, list: &[T], mut each: impl FnMut(&mut Pen, &T)) {
        self.number(list.len());
        list.iter().for_each(|item| each(self, item));
    }

    pub(super) fn slice(&mut self, slice: &Slice) {
        [slice.buffer.0, slice.first, slice.len].iter().for_each(|number| self.number(*number));
    }

    fn dispatch(&mut self, dispatch: &Dispatch) {
        self.text(dispatch.kernel.name);
        self.text(&dispatch.label);
        self.words(&dispatch.params);
        self.list(&dispatch.constants, |pen, (name, value)| {
            pen.text(name);
            pen.doubles(&[*value]);
        });
        self.list(&dispatch.bindings, |pen, (name, buffer)| {
            pen.text(name);
            pen.number(buffer.0);
        });
        self.words(&dispatch.grid);
        self.list(&dispatch.effects, |pen, (effect, slice)| {
            pen.number(*effect as usize);
            pen.slice(slice);
        });
        self.number(dispatch.flop as usize);
        self.number(usize::from(dispatch.in_part));
        self.list(&dispatch.exchange, |pen, peer| {
            pen.number(peer.rank);
            pen.slice(&peer.sends);
            pen.slice(&peer.gets);
        });
    }

    pub(super) fn program(&mut self, program: &Program) {
        self.list(&program.buffers, |pen, spec| {
            pen.text(&spec.name);
            pen.number(spec.len);
            pen.number(usize::from(spec.kind == Kind::F32));
            pen.words(&spec.initial);
        });
        self.list(&program.schedules, |pen, schedule| {
            pen.text(&schedule.name);
            pen.list(&schedule.dispatches, Pen::dispatch);
            pen.list(&schedule.given, Pen::slice);
            pen.list(&schedule.wanted, Pen::slice);
            pen.list(&schedule.spare, Pen::slice);
            pen.number(schedule.rows);
        });
        // Names of metrics and flags are for the leader, but their numbers are places.
        self.number(program.metrics.len());
        self.number(program.flags.len());
        self.list(&program.data, |pen, buffer| pen.number(buffer.0));
        let handles = [program.gradients_buffer, program.metrics_buffer, program.flags_buffer];
        handles.iter().for_each(|buffer| self.number(buffer.0));
        self.number(usize::from(program.shared_mirrors));
    }
}

/// A reader of bytes.
#[derive(Debug)]
pub(super) struct Eye<'b>(pub(super) &'b [u8]);

impl<'b> Eye<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        ensure!(len <= self.0.len(), "a message between ranks ends too early");
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<usize> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into()?) as usize)
    }

    pub(super) fn bytes(&mut self) -> Result<&'b [u8]> {
        let len = self.number()?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<String> {
        Ok(String::from_utf8(self.bytes()?.to_vec())?)
    }

    pub(super) fn words(&mut self) -> Result<Vec<u32>> {
        let len = self.number()?;
        Ok(bytemuck::pod_collect_to_vec(self.take(4 * len)?))
    }

    pub(super) fn doubles(&mut self) -> Result<Vec<f64>> {
        let len = self.number()?;
        Ok(bytemuck::pod_collect_to_vec(self.take(8 * len)?))
    }

    pub(super) fn list<T>(
        &mut self,
        mut each: impl FnMut(&mut Eye<'b>) -> Result<T>,
    ) -> Result<Vec<T>> {
        (0..self.number()?).map(|_| each(self)).collect()
    }

    fn buffer(&mut self) -> Result<Buffer> {
        self.number().map(Buffer)
    }

    pub(super) fn slice(&mut self) -> Result<Slice> {
        Ok(Slice { buffer: self.buffer()?, first: self.number()?, len: self.number()? })
    }

    fn dispatch(&mut self) -> Result<Dispatch> {
        let name = self.text()?;
        let kernel =
            kernels::by_name(&name).with_context(|| format!("there is no kernel {name}"))?;
        Ok(Dispatch {
            kernel,
            label: self.text()?,
            params: self.words()?,
            constants: self.list(|eye| {
                let name = lasting(&eye.text()?);
                let value = eye.doubles()?;
                Ok((name, *value.first().ok_or_else(|| anyhow!("{name} has no value"))?))
            })?,
            bindings: self.list(|eye| Ok((lasting(&eye.text()?), eye.buffer()?)))?,
            grid: self.words()?.try_into().map_err(|_| anyhow!("a grid has three sides"))?,
            effects: self.list(|eye| {
                let effect = match eye.number()? {
                    0 => Effect::Read,
                    1 => Effect::Overwrite,
                    _ => Effect::Update,
                };
                Ok((effect, eye.slice()?))
            })?,
            flop: self.number()? as u64,
            in_part: self.number()? == 1,
            exchange: self.list(|eye| {
                Ok(Peer { rank: eye.number()?, sends: eye.slice()?, gets: eye.slice()? })
            })?,
        })
    }

    pub(super) fn program(&mut self) -> Result<Program> {
        let buffers = self.list(|eye| {
            Ok(BufferSpec {
                name: eye.text()?,
                len: eye.number()?,
                kind: if eye.number()? == 1 { Kind::F32 } else { Kind::U32 },
                initial: eye.words()?,
            })
        })?;
        let schedules = self.list(|eye| {
            Ok(Schedule {
                name: eye.text()?,
                dispatches: eye.list(Eye::dispatch)?,
                given: eye.list(Eye::slice)?,
                wanted: eye.list(Eye::slice)?,
                spare: eye.list(Eye::slice)?,
                rows: eye.number()?,
            })
        })?;
        let flag = Flag { kind: FlagKind::Loss, name: String::new(), task: None };
        Ok(Program {
            buffers,
            schedules,
            metrics: vec![MetricKind::SquaredNorm; self.number()?],
            flags: vec![flag; self.number()?],
            data: self.list(Eye::buffer)?,
            gradients_buffer: self.buffer()?,
            metrics_buffer: self.buffer()?,
            flags_buffer: self.buffer()?,
            shared_mirrors: self.number()? == 1,
        })
    }
}

/// The name of a binding or a constant for as long as the program runs: there are few of them.
fn lasting(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let known: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(known);
    known
}
