//! Runs a dispatch on both engines and compares the results.

use anyhow::Result;

use crate::data::{NO_CODE, UNLABELLED};
use crate::kernels::params;
use crate::measure::doctor::Case;
use crate::measure::doctor::cases::LabelKind;
use crate::reference::Reference;
use crate::reference::real::{Bounded, Real};
use crate::rng::{Purpose, below, bits, normal, permutation, uniform};
use crate::schedule::{Buffer, Dispatch, Effect, Engine, Kind, Program, Slice};

/// The result of the check of a dispatch.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Number of elements that were compared.
    pub elements: usize,
    /// Largest error, in units of eps · magnitude.
    pub worst: f64,
    /// The first failure, if any.
    pub failure: Option<String>,
}

/// Runs a dispatch of a case on an engine and on the reference, on equal random contents, and
/// compares the results.
///
/// # Errors
/// A device that is lost.
pub fn check_dispatch(
    subject: &mut dyn Engine,
    reference: &mut Reference<Bounded>,
    case: &Case,
    schedule: usize,
    dispatch: usize,
) -> Result<Finding> {
    let program = case.built.program.clone();
    let launched = &program.schedules[schedule].dispatches[dispatch];
    let before: Vec<Vec<u32>> = (0..program.buffers.len())
        .map(|b| contents(case, launched, Buffer(b), (schedule, dispatch)))
        .collect();
    for (_, buffer) in &launched.bindings {
        subject.upload(*buffer, 0, &before[buffer.0])?;
        reference.upload(*buffer, 0, &before[buffer.0])?;
    }
    subject.launch(schedule, dispatch, &case.step, 1)?;
    reference.run_dispatch(schedule, dispatch, &case.step)?;
    let mut finding = Finding::default();
    // What a solver leaves in its work space is nobody's.
    let work = case.built.buffers.balance.work;
    for (_, buffer) in launched.bindings.iter().filter(|(_, buffer)| *buffer != work) {
        let found = subject.words(program.whole(*buffer))?;
        compare(&program, launched, *buffer, &before[buffer.0], &found, reference, &mut finding);
    }
    Ok(finding)
}

/// Random contents of a buffer: values that suit its role, and NaN where the dispatch overwrites.
pub fn contents(
    case: &Case,
    dispatch: &Dispatch,
    buffer: Buffer,
    stream: (usize, usize),
) -> Vec<u32> {
    let (program, b) = (&case.built.program, &case.built.buffers);
    let spec = &program.buffers[buffer.0];
    let stream = (buffer.0 + 1000 * stream.1 + 100_000 * stream.0) as u64;
    let is_data = |f: fn(&crate::plan::Segment) -> Buffer| {
        case.built.parts.iter().flat_map(|p| &p.segments).any(|s| f(s) == buffer)
    };
    let mut words: Vec<u32> = if buffer == b.order {
        permutation(case.rows, 7, Purpose::Synthetic, stream)
    } else if buffer == b.labels || is_data(|s| s.labels) {
        (0..spec.len).map(|i| label(case, stream, i)).collect()
    } else if is_data(|s| s.features) && !case.spread.is_empty() {
        (0..spec.len).map(|i| cell(case, stream, i)).collect()
    } else if is_data(|s| s.features) && case.built.parts[0].shape.bytes.is_some() {
        (0..spec.len).map(|i| bits(7, Purpose::Synthetic, stream, i as u64) as u32).collect()
    } else if [b.codes, b.next_cells, b.first_cells].contains(&buffer) {
        cells(case, dispatch, buffer, (stream - buffer.0 as u64, spec.len))
    } else if buffer == b.balance.balance {
        let draw = |i: usize| uniform(7, Purpose::Synthetic, stream, i as u64);
        (0..spec.len).map(|i| ((0.1 + 0.8 * draw(i)) as f32).to_bits()).collect()
    } else if buffer == b.balance.gramian {
        products(case, spec.len, stream)
    } else if !spec.initial.is_empty() && buffer != b.balance.memory {
        spec.initial.clone()
    } else {
        let positive =
            [b.second_moment, b.metrics, b.balance.memory, b.balance.next_memory].contains(&buffer);
        (0..spec.len).map(|i| number(case.scale, stream, i as u64, positive).to_bits()).collect()
    };
    let arena = program.buffers[b.parameters.0].len;
    if words.len() == arena
        && [b.parameters, b.gradients, b.first_moment, b.second_moment].contains(&buffer)
    {
        let mut gap = vec![true; words.len()];
        case.blocks.iter().for_each(|(first, len)| gap[*first..first + len].fill(false));
        words.iter_mut().zip(gap).filter(|(_, gap)| *gap).for_each(|(word, _)| *word = 0);
    }
    for (effect, slice) in &dispatch.effects {
        if *effect == Effect::Overwrite && slice.buffer == buffer {
            words[slice.first..slice.first + slice.len].fill(f32::NAN.to_bits());
        }
    }
    words
}

/// Products of the gradients of tasks as they could be: of random gradients along a common one or
/// against it, twice, and scales and losses above zero.
fn products(case: &Case, len: usize, stream: u64) -> Vec<u32> {
    let tasks = case.built.objectives;
    let random = |i: usize| normal(7, Purpose::Synthetic, stream, i as u64);
    let gradient = |task: usize, i: usize| {
        let common = random(2_000_000 + i) * if task % 3 == 1 { -1.0 } else { 1.0 };
        common + 0.3 * random(task * (tasks + 3) + i)
    };
    let product = |i: usize, j: usize| -> f64 {
        (0..tasks + 3).map(|e| gradient(i, e) * gradient(j, e)).sum()
    };
    let square = (0..tasks).flat_map(|i| (0..tasks).map(move |j| (i, j)));
    let square: Vec<f64> = square.map(|(i, j)| product(i, j)).collect();
    let positive = |i: usize| 0.5 + uniform(7, Purpose::Synthetic, stream, 1_000_000 + i as u64);
    let rest = (0..len).map(positive);
    let all = square.iter().chain(&square).copied().chain(rest);
    all.take(len).map(|x| (x as f32).to_bits()).collect()
}

/// A random label, or none.
fn label(case: &Case, stream: u64, index: usize) -> u32 {
    let draw = |below_this: usize| {
        below(below_this as u64, 7, Purpose::Synthetic, stream, index as u64) as usize
    };
    let blank = |drawn: Option<u32>| drawn.unwrap_or(UNLABELLED);
    match case.cells[index % case.cells.len()] {
        LabelKind::Class(classes) => blank(
            Some(draw(classes + 1)).filter(|drawn| *drawn < classes).map(|drawn| drawn as u32),
        ),
        LabelKind::Number => {
            blank((draw(7) > 0).then(|| number(case.scale, stream, index as u64, false).to_bits()))
        }
        LabelKind::Count => {
            blank(Some(draw(12)).filter(|drawn| *drawn < 11).map(|drawn| (drawn as f32).to_bits()))
        }
        LabelKind::Weight => (draw(5) as f32 / 2.0).to_bits(),
    }
}

/// A random cell of a row: the bits of a number, a code, or no code.
fn cell(case: &Case, stream: u64, index: usize) -> u32 {
    let slots: usize = case.spread.iter().map(|s| s.slots).sum();
    let mut columns = case.spread.iter();
    let of_slot = columns.find(|s| (s.slot..s.slot + s.slots).contains(&(index % slots)));
    if of_slot.is_some_and(|column| column.is_span) {
        let drawn = below(16, 7, Purpose::Synthetic, stream, index as u64) as u32;
        return (drawn % 4) | ((drawn / 4) << 16);
    }
    let Some(column) = of_slot.filter(|column| column.codes) else {
        return number(case.scale, stream, index as u64, false).to_bits();
    };
    let codes = if column.vectors > 0 { column.vectors } else { column.width };
    code(codes as u32, stream, index as u64)
}

/// A random code below `codes`, or no code.
fn code(codes: u32, stream: u64, index: u64) -> u32 {
    let drawn = below(u64::from(codes) + 1, 7, Purpose::Synthetic, stream, index) as u32;
    if drawn == codes { NO_CODE } else { drawn }
}

/// Contents of the buffers of learned vectors. `codes` gets random codes. The links between cells
/// of equal codes get those that belong to these codes where the dispatch reads them, else random
/// numbers, as an earlier step might have left them.
fn cells(
    case: &Case,
    dispatch: &Dispatch,
    buffer: Buffer,
    (stream, len): (u64, usize),
) -> Vec<u32> {
    let (program, b) = (&case.built.program, &case.built.buffers);
    let tables: &[params::Embedding] =
        bytemuck::cast_slice(&program.buffers[b.embeddings.0].initial);
    let mut codes = vec![NO_CODE; program.buffers[b.codes.0].len];
    for (number, table) in tables.iter().enumerate() {
        let own = table.codes as usize + case.capacity * table.slots as usize;
        let end = tables.get(number + 1).map_or(own, |next| next.codes as usize);
        (table.codes as usize..end).for_each(|i| codes[i] = code(table.values, stream, i as u64));
    }
    if let Some(first) = case.spans {
        spans(&mut codes[first..], case.step.rows as usize);
    }
    if buffer == b.codes {
        return codes;
    }
    let mut words: Vec<u32> =
        (0..len).map(|i| below(96, 9, Purpose::Synthetic, stream, i as u64) as u32).collect();
    let read = dispatch
        .effects
        .iter()
        .filter(|(effect, slice)| *effect == Effect::Read && slice.buffer == b.codes)
        .filter(|(_, slice)| case.spans.is_none_or(|first| slice.first < first));
    for (table, (_, slice)) in tables.iter().zip(read) {
        let codes = &codes[slice.first..slice.first + slice.len];
        for (i, code) in codes.iter().enumerate().filter(|_| buffer == b.next_cells) {
            let after = codes[i + 1..].iter().position(|c| c == code && *code != NO_CODE);
            words[slice.first + i] = after.map_or(NO_CODE, |after| (i + 1 + after) as u32);
        }
        for value in (0..table.values)
            .filter(|_| buffer == b.first_cells && dispatch.kernel.twin == "embedding_backward")
        {
            let first = codes.iter().position(|c| *c == value);
            first
                .into_iter()
                .for_each(|first| words[(table.first + value) as usize] = first as u32);
        }
    }
    words
}

/// Places of rows in sentences of one to five tokens, for the rows of a batch.
fn spans(places: &mut [u32], rows: usize) {
    let (mut first, mut length) = (0, 1);
    while first < rows {
        let end = (first + length).min(rows);
        for (row, place) in (first..end).zip(&mut places[first..end]) {
            *place = ((row - first) | ((end - 1 - row) << 16)) as u32;
        }
        (first, length) = (end, length % 5 + 1);
    }
}

/// Normal numbers over four orders of magnitude.
fn number(scale: f64, stream: u64, index: u64, positive: bool) -> f32 {
    let size = 10f64.powf(3.0 * uniform(11, Purpose::Synthetic, stream, index) - 2.5);
    let value = scale * size * normal(7, Purpose::Synthetic, stream, index);
    (if positive { value.abs() } else { value }) as f32
}

/// Compares a buffer, element by element. `before` is its contents before the dispatch.
fn compare(
    program: &Program,
    dispatch: &Dispatch,
    buffer: Buffer,
    before: &[u32],
    found: &[u32],
    reference: &Reference<Bounded>,
    finding: &mut Finding,
) {
    let spec = &program.buffers[buffer.0];
    let mut written = vec![false; spec.len];
    for (effect, slice) in &dispatch.effects {
        if *effect != Effect::Read && slice.buffer == buffer {
            written[slice.first..slice.first + slice.len].fill(true);
        }
    }
    let whole = Slice { buffer, first: 0, len: spec.len };
    let (words, numbers) = (reference.integers(whole), reference.numbers(whole));
    for i in 0..spec.len {
        let wrong = if spec.kind == Kind::U32 {
            finding.elements += usize::from(written[i]);
            (words[i] != found[i]).then(|| format!("found {}, expected {}", found[i], words[i]))
        } else if written[i] {
            finding.elements += 1;
            judge(f32::from_bits(found[i]), numbers[i], dispatch.kernel.bound, &mut finding.worst)
        } else {
            (before[i] != found[i]).then(|| "written, which it must not be".to_string())
        };
        if let Some(wrong) = wrong {
            finding.failure.get_or_insert_with(|| format!("{} [{i}]: {wrong}", spec.name));
        }
    }
}

/// The error that is always allowed: adapters may flush numbers below the normal range to zero,
/// also within a computation that multiplies them by weights afterwards.
const FLUSHED: f64 = 64.0 * f32::MIN_POSITIVE as f64;

/// What is wrong with an element: it is not finite where it should be, or too far away.
fn judge(found: f32, expected: Bounded, bound: f64, worst: &mut f64) -> Option<String> {
    let (value, found) = (expected.value(), f64::from(found));
    if value.is_nan() || !found.is_finite() {
        // Large values may overflow in f32, if not in the result then on the way to it.
        let passes = if value.is_nan() {
            found.is_nan()
        } else {
            found.is_infinite() && found.signum() * value > 1e30
        };
        return (!passes).then(|| format!("found {found}, expected {value}"));
    }
    if value.is_infinite() {
        return Some(format!("found {found:e}, expected {value}"));
    }
    let error = (found - value).abs();
    if error <= FLUSHED {
        return None;
    }
    let score = error / (f64::from(f32::EPSILON) * expected.magnitude());
    *worst = worst.max(score);
    (score > bound).then(|| {
        format!("found {found:e}, expected {value:e}: {score:.2} eps·magnitude, bound {bound}")
    })
}
