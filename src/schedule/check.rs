//! The laws of a schedule, checked without a GPU. The statements of dispatches are compared with
//! the declarations of the WGSL. Then the flow of data is followed, forwards (what is read must
//! have been written) and backwards (what is written must be read).
//!
//! Tests show that kernels do what their dispatches state: twins run on buffers that hold NaN.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{Buffer, Dispatch, Effect, Program, Schedule, Slice};
use crate::kernels::signature::{Access, Signature};
use crate::kernels::{self, MAX_GROUPS};
use crate::model::layout::ALIGN;

/// Storage bindings of a kernel that all WebGPU adapters grant.
pub const MAX_STORAGE: usize = 8;
/// Bytes of workgroup memory that all WebGPU adapters grant.
pub const MAX_WORKGROUP_BYTES: u32 = 16 << 10;
/// Invocations of a workgroup that all WebGPU adapters grant.
pub const MAX_INVOCATIONS: u32 = 256;

/// Checks all schedules of a program.
///
/// # Errors
/// All violations in the first schedule that has any.
pub fn check(program: &Program) -> Result<()> {
    let mut signatures = Signatures::new();
    for schedule in &program.schedules {
        let found = violations(program, schedule, &mut signatures);
        ensure!(
            found.is_empty(),
            "schedule \"{}\" breaks {} laws:\n  {}",
            schedule.name,
            found.len(),
            found.join("\n  ")
        );
    }
    Ok(())
}

/// The signatures of kernels whose WGSL was read already, by name.
type Signatures = BTreeMap<&'static str, Result<Signature>>;

/// All violations in a schedule, one line each.
fn violations(program: &Program, schedule: &Schedule, signatures: &mut Signatures) -> Vec<String> {
    let mut found = handles_apart(program);
    found.extend(ends_inside(program, schedule));
    for (number, dispatch) in schedule.dispatches.iter().enumerate() {
        let signature = signatures
            .entry(dispatch.kernel.name)
            .or_insert_with(|| Signature::of(dispatch.kernel));
        let broken = match signature {
            Ok(signature) => dispatch_alone(program, dispatch, signature),
            Err(error) => vec![format!("{error:#}")],
        };
        found.extend(broken.into_iter().map(|line| format!("{}: {line}", place(number, dispatch))));
    }
    found.extend(known_before_read(program, schedule));
    found.extend(used_after_write(program, schedule));
    found.extend(gradients_once(program, schedule));
    found
}

/// A dispatch as messages name it.
fn place(number: usize, dispatch: &Dispatch) -> String {
    format!("dispatch {number}, {} ({})", dispatch.kernel.name, dispatch.label)
}

fn name(program: &Program, buffer: Buffer) -> String {
    program
        .buffers
        .get(buffer.0)
        .map_or_else(|| format!("buffer {}", buffer.0), |spec| spec.name.clone())
}

/// A slice as messages name it.
fn text(program: &Program, slice: &Slice) -> String {
    format!("{}[{}..{}]", name(program, slice.buffer), slice.first, slice.first + slice.len)
}

fn inside(program: &Program, slice: &Slice) -> bool {
    program
        .buffers
        .get(slice.buffer.0)
        .is_some_and(|spec| slice.len > 0 && slice.first + slice.len <= spec.len)
}

/// The handles of gradients, metrics and flags are three buffers of the program: a law that follows
/// a handle would be silent if it named another buffer.
fn handles_apart(program: &Program) -> Vec<String> {
    let handles = [
        ("gradients", program.gradients_buffer),
        ("metrics", program.metrics_buffer),
        ("flags", program.flags_buffer),
    ];
    let count = program.buffers.len();
    let missing = handles.iter().filter(|(_, buffer)| buffer.0 >= count);
    let mut found: Vec<String> = missing
        .map(|(what, b)| format!("the handle of {what} is buffer {}, but there are {count}", b.0))
        .collect();
    for (i, (what, buffer)) in handles.iter().enumerate() {
        let others = handles[..i].iter().filter(|(_, other)| other == buffer);
        found.extend(others.map(|(other, _)| format!("{other} and {what} have one handle")));
    }
    found
}

/// The slices that are given and wanted lie inside their buffers.
fn ends_inside(program: &Program, schedule: &Schedule) -> Vec<String> {
    let outside = schedule.given.iter().chain(&schedule.wanted).filter(|s| !inside(program, s));
    outside
        .map(|s| {
            format!(
                "{}, given or wanted, is empty or does not lie inside a buffer",
                text(program, s)
            )
        })
        .collect()
}

/// The laws that concern one dispatch alone.
fn dispatch_alone(program: &Program, dispatch: &Dispatch, signature: &Signature) -> Vec<String> {
    let mut found = bound_as_declared(program, dispatch, signature);
    found.extend(no_alias(program, dispatch));
    found.extend(effects_inside(program, dispatch, signature));
    found.extend(writes_apart(program, dispatch));
    found.extend(within_limits(dispatch, signature));
    found
}

/// Every buffer binding of the WGSL is bound once, by name, and nothing else is.
fn bound_as_declared(program: &Program, dispatch: &Dispatch, signature: &Signature) -> Vec<String> {
    let mut found = Vec::new();
    for binding in signature.buffers() {
        let times = dispatch.bindings.iter().filter(|(n, _)| *n == binding.name).count();
        if times != 1 {
            found.push(format!("binding {} is bound {times} times, expected once", binding.name));
        }
    }
    for (bound, buffer) in &dispatch.bindings {
        if !signature.buffers().any(|b| b.name == *bound) {
            found.push(format!("{bound} is bound, but the kernel declares no such binding"));
        }
        if buffer.0 >= program.buffers.len() {
            found.push(format!(
                "{bound} is bound to buffer {}, but there are {}",
                buffer.0,
                program.buffers.len()
            ));
        }
    }
    found
}

/// No buffer is bound twice: wgpu refuses a buffer that is bound as read and as read_write, and
/// does not notice one that is bound as read_write twice.
fn no_alias(program: &Program, dispatch: &Dispatch) -> Vec<String> {
    let pairs = dispatch
        .bindings
        .iter()
        .enumerate()
        .flat_map(|(i, a)| dispatch.bindings[..i].iter().map(move |b| (b, a)));
    pairs
        .filter(|(a, b)| a.1 == b.1)
        .map(|(a, b)| format!("{} is bound as {} and as {}", name(program, a.1), a.0, b.0))
        .collect()
}

/// Effects lie inside buffers that are bound, and slices that are written have a read_write
/// binding.
fn effects_inside(program: &Program, dispatch: &Dispatch, signature: &Signature) -> Vec<String> {
    let mut found = Vec::new();
    for (effect, slice) in &dispatch.effects {
        let what = text(program, slice);
        if !inside(program, slice) {
            found.push(format!("{what} is empty or does not lie inside its buffer"));
        }
        let Some((bound, _)) = dispatch.bindings.iter().find(|(_, b)| *b == slice.buffer) else {
            found.push(format!("{effect:?} of {what}, which is not bound"));
            continue;
        };
        let writable = signature.storage().any(|b| b.name == *bound && b.access == Access::Write);
        if *effect != Effect::Read && !writable {
            found.push(format!("{effect:?} of {what}, but the kernel declares {bound} read-only"));
        }
    }
    found
}

/// A slice that a dispatch writes overlaps no other slice that it writes or reads: workgroups run
/// in any order.
fn writes_apart(program: &Program, dispatch: &Dispatch) -> Vec<String> {
    let mut effects: Vec<&(Effect, Slice)> = dispatch.effects.iter().collect();
    effects.sort_by_key(|(_, s)| (s.buffer, s.first));
    let mut found = Vec::new();
    // The slices that reach furthest so far: of all slices, and of those that are written.
    let (mut any, mut written) = (None::<&Slice>, None::<&Slice>);
    for (effect, slice) in effects {
        let is_written = *effect != Effect::Read;
        if let Some(other) = if is_written { any } else { written }.filter(|o| o.overlaps(slice)) {
            found.push(format!(
                "{} overlaps {}, and one of the two is written",
                text(program, slice),
                text(program, other)
            ));
        }
        any = furthest(any, slice);
        written = if is_written { furthest(written, slice) } else { written };
    }
    found
}

/// The one of two slices that reaches further; the second one where they are in two buffers.
fn furthest<'a>(reached: Option<&'a Slice>, slice: &'a Slice) -> Option<&'a Slice> {
    reached
        .filter(|r| r.buffer == slice.buffer && r.first + r.len > slice.first + slice.len)
        .or(Some(slice))
}

/// The grid, the parameters and the kernel keep to the limits that all WebGPU adapters grant.
fn within_limits(dispatch: &Dispatch, signature: &Signature) -> Vec<String> {
    let (grid, words, fields) =
        (dispatch.grid, dispatch.params.len(), dispatch.kernel.params.len());
    let (storage, bytes) = (signature.storage().count(), signature.workgroup_bytes);
    let invocations: u32 = signature.workgroup_size.iter().product();
    let laws = [
        (
            grid.iter().all(|g| (1..=MAX_GROUPS).contains(g)),
            format!("grid {grid:?}, expected 1 to {MAX_GROUPS} in each dimension"),
        ),
        (words == fields, format!("{words} u32 of parameters, expected {fields}")),
        (storage <= MAX_STORAGE, format!("{storage} storage bindings, at most {MAX_STORAGE}")),
        (
            bytes <= MAX_WORKGROUP_BYTES,
            format!("{bytes} bytes of workgroup memory, at most {MAX_WORKGROUP_BYTES}"),
        ),
        (
            invocations <= MAX_INVOCATIONS,
            format!("{invocations} invocations per workgroup, at most {MAX_INVOCATIONS}"),
        ),
    ];
    laws.into_iter().filter(|(kept, _)| !kept).map(|(_, line)| line).collect()
}

/// Slices that are read, or changed in place, were given or were written by earlier dispatches.
fn known_before_read(program: &Program, schedule: &Schedule) -> Vec<String> {
    let mut known = Elements::of(&schedule.given);
    let mut found = Vec::new();
    for (number, dispatch) in schedule.dispatches.iter().enumerate() {
        for (_, slice) in dispatch.effects.iter().filter(|(e, _)| *e != Effect::Overwrite) {
            if let Some(missing) = known.missing(slice) {
                let (what, which) = (text(program, slice), text(program, &missing));
                found.push(format!(
                    "{}: reads {what}, but nothing has written {which}",
                    place(number, dispatch)
                ));
            }
        }
        dispatch
            .effects
            .iter()
            .filter(|(e, _)| *e != Effect::Read)
            .for_each(|(_, s)| known.insert(s));
        dispatch.exchange.iter().for_each(|peer| known.insert(&peer.gets));
    }
    found
}

/// Slices that are written are read before they are overwritten, or are wanted at the end, or are
/// spare. Spare slices are never read.
fn used_after_write(program: &Program, schedule: &Schedule) -> Vec<String> {
    let mut used = Elements::of(&schedule.wanted);
    let spare = Elements::of(&schedule.spare);
    let mut found = Vec::new();
    for (number, dispatch) in schedule.dispatches.iter().enumerate().rev() {
        dispatch.exchange.iter().for_each(|peer| used.remove(&peer.gets));
        dispatch.exchange.iter().for_each(|peer| used.insert(&peer.sends));
        let idle = dispatch
            .effects
            .iter()
            .filter(|_| !dispatch.in_part)
            .filter(|(e, s)| *e != Effect::Read && !used.overlap(s) && !spare.overlap(s));
        found.extend(idle.map(|(_, s)| {
            format!(
                "{}: nothing reads {} after it is written",
                place(number, dispatch),
                text(program, s)
            )
        }));
        dispatch
            .effects
            .iter()
            .filter(|(e, _)| *e == Effect::Overwrite)
            .for_each(|(_, s)| used.remove(s));
        dispatch
            .effects
            .iter()
            .filter(|(e, _)| *e != Effect::Overwrite)
            .for_each(|(_, s)| used.insert(s));
    }
    found.reverse();
    let reads = schedule
        .dispatches
        .iter()
        .flat_map(|d| &d.effects)
        .filter(|(e, s)| *e != Effect::Overwrite && spare.overlap(s));
    found.extend(
        reads.map(|(_, s)| format!("{} is spare, and read all the same", text(program, s))),
    );
    found
}

/// The first dispatch that writes a gradient overwrites it, and later ones add: there is no
/// clearing pass. Sums over shards begin anew behind a dispatch that keeps or adds one. The gradients that are given, as zeros, are the gaps between blocks, and blocks
/// that are not trained, which nobody writes. Blocks begin at multiples of [`ALIGN`]; a given slice
/// with such an element would excuse a block from being overwritten.
fn gradients_once(program: &Program, schedule: &Schedule) -> Vec<String> {
    let gradients = program.gradients_buffer;
    let of_gradients = |s: &&Slice| s.buffer == gradients;
    let begins_block = |s: &Slice| s.first.next_multiple_of(ALIGN) < s.first + s.len;
    let adds_shards = |d: &&Dispatch| d.kernel.name == kernels::sum_shards.name;
    let written = |s: &Slice| {
        let dispatches = schedule.dispatches.iter();
        dispatches
            .filter(|d| !adds_shards(d))
            .flat_map(|d| &d.effects)
            .any(|(e, w)| *e != Effect::Read && w.overlaps(s))
    };
    let given =
        schedule.given.iter().filter(of_gradients).filter(|s| begins_block(s) && written(s));
    let mut found: Vec<String> = given
        .map(|s| format!("{} is given, so that no dispatch has to overwrite it", text(program, s)))
        .collect();
    let mut written = Elements::default();
    for (number, dispatch) in schedule.dispatches.iter().enumerate() {
        let reads = dispatch.effects.iter().filter(|_| adds_shards(&dispatch));
        reads.for_each(|(_, slice)| written.remove(slice));
        for (_, slice) in
            dispatch.effects.iter().filter(|(e, s)| *e == Effect::Overwrite && of_gradients(&s))
        {
            if written.overlap(slice) {
                found.push(format!(
                    "{}: overwrites {} a second time",
                    place(number, dispatch),
                    text(program, slice)
                ));
            }
            written.insert(slice);
        }
    }
    found
}

/// A set of elements of buffers, as runs from the first element to the end; they neither overlap
/// nor touch.
#[derive(Default)]
struct Elements(BTreeMap<Buffer, BTreeMap<usize, usize>>);

impl Elements {
    fn of(slices: &[Slice]) -> Elements {
        let mut elements = Elements::default();
        slices.iter().for_each(|s| elements.insert(s));
        elements
    }

    fn insert(&mut self, slice: &Slice) {
        let runs = self.0.entry(slice.buffer).or_default();
        let (mut first, mut end) = (slice.first, slice.first + slice.len);
        while let Some((a, b)) =
            runs.range(..=end).next_back().map(|(a, b)| (*a, *b)).filter(|(_, b)| *b >= first)
        {
            runs.remove(&a);
            (first, end) = (first.min(a), end.max(b));
        }
        runs.insert(first, end);
    }

    fn remove(&mut self, slice: &Slice) {
        let Some(runs) = self.0.get_mut(&slice.buffer) else { return };
        let (first, end) = (slice.first, slice.first + slice.len);
        while let Some((a, b)) =
            runs.range(..end).next_back().map(|(a, b)| (*a, *b)).filter(|(_, b)| *b > first)
        {
            runs.remove(&a);
            runs.extend([(a, first), (end, b)].into_iter().filter(|(a, b)| a < b));
        }
    }

    fn overlap(&self, slice: &Slice) -> bool {
        let last = self
            .0
            .get(&slice.buffer)
            .and_then(|runs| runs.range(..slice.first + slice.len).next_back());
        last.is_some_and(|(_, end)| *end > slice.first)
    }

    /// The first run of a slice that is not in the set.
    fn missing(&self, slice: &Slice) -> Option<Slice> {
        let none = BTreeMap::new();
        let runs = self.0.get(&slice.buffer).unwrap_or(&none);
        let end = slice.first + slice.len;
        let first = runs
            .range(..=slice.first)
            .next_back()
            .map_or(slice.first, |(_, b)| slice.first.max(*b));
        let until = runs.range(first..).next().map_or(end, |(a, _)| end.min(*a));
        (first < end).then(|| Slice { buffer: slice.buffer, first, len: until - first })
    }
}
