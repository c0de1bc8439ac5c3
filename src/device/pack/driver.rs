//! The thread of a pack, which alone drives its device.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use wgpu::BufferUsages;

use super::kind::{Kind, Share};
use super::store::{NoRoom, Room};
use crate::device::asked::{Command, Landing, Tally, Task};
use crate::device::awake::Awake;
use crate::device::buffer::{PENDING, UPLOAD, buffer, map, read, read_back};
use crate::device::gpu::Gpu;
use crate::fault::{Exit, Fault, FaultKind, exit_of, hint_of};
use crate::kernels::MAX_GROUPS;
use crate::kernels::params::Step;
use crate::schedule::{IN_FLIGHT, Program, SLOTS, Slice, Work};

/// The longest time for which members with steps wait for those that are busy on the host.
const PATIENCE: Duration = Duration::from_millis(20);

/// The number of submissions of larger groups after which a group goes first.
const PASSED_OVER: usize = 4;

/// A member, as the driver sees it.
struct Rider {
    kind: usize,
    seat: usize,
    /// What it asked for and is not done; the first is steps, or there is nothing.
    queue: VecDeque<Asked>,
    /// The number of submissions of others since its steps could have been submitted.
    passed_over: usize,
    landed: Sender<Result<Landing, Fault>>,
}

impl Rider {
    /// Answers a task with a fault.
    fn refuse(&self, task: Task, fault: &Fault) {
        // A member that does not wait for the reply hears of it with its results.
        let heard = match task {
            Task::Upload { reply: None, .. } => false,
            Task::Upload { reply: Some(reply), .. } => reply.send(Err(fault.clone())).is_ok(),
            Task::Read { reply, .. } => reply.send(Err(fault.clone())).is_ok(),
            Task::Steps { .. } => false,
        };
        if !heard {
            let _ = self.landed.send(Err(fault.clone()));
        }
    }
}

/// Work that waits.
enum Asked {
    Steps { work: VecDeque<Work>, slices: Vec<Slice> },
    Other(Task),
}

/// The part of a member in a submission.
struct Part {
    member: u64,
    steps: Vec<Step>,
    submissions: usize,
    /// u32 of a row of metrics, of the flags, and of what was asked for.
    words: [usize; 3],
}

/// A submission whose results have not been read back.
struct Flight {
    staging: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: Arc<AtomicU8>,
    parts: Vec<Part>,
    begun: Instant,
    _awake: Option<Awake>,
}

/// The driver of a pack.
pub(super) struct Driver {
    gpu: Gpu,
    /// The largest number of members of a kind.
    most: usize,
    /// The largest number of floating-point operations of a dispatch.
    most_flop: u64,
    commands: Receiver<Command>,
    kinds: Vec<Option<Kind>>,
    members: BTreeMap<u64, Rider>,
    joined: u64,
    flights: VecDeque<Flight>,
    /// The fault after which the pack does nothing any more.
    failed: Option<Fault>,
    /// The time from which on members wait for those that are busy on the host.
    since: Instant,
    /// The time of the last submission.
    took: Duration,
    pending_upload: usize,
    tally: Arc<Tally>,
}

/// What is to be done next.
enum Next {
    Submit,
    Land,
    Wait(Duration),
    Sleep,
}

/// The fault of an upload for which there is no room beside others.
pub(super) fn no_room() -> Fault {
    let message = "there is no room for the data of one more run beside the others";
    let fault = Fault::new(Exit::Unavailable, message).hint("train them one after the other");
    Fault { kind: FaultKind::NoRoom, ..fault }
}

/// The fault that an error is for a member.
fn fault_of(error: &Error) -> Fault {
    let fault = Fault::new(exit_of(error), format!("{error:#}"));
    Fault { hint: hint_of(error).map(str::to_owned), ..fault }
}

impl Driver {
    pub(super) fn new(
        gpu: Gpu,
        most: usize,
        commands: Receiver<Command>,
        tally: Arc<Tally>,
    ) -> Driver {
        Driver {
            most_flop: gpu.tuning().flop_per_dispatch,
            gpu,
            most,
            commands,
            kinds: Vec::new(),
            members: BTreeMap::new(),
            joined: 0,
            flights: VecDeque::new(),
            failed: None,
            since: Instant::now(),
            took: Duration::ZERO,
            pending_upload: 0,
            tally,
        }
    }

    /// Serves members until nobody holds the pack.
    pub(super) fn run(mut self) {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(command) => self.take(command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let done = match self.next() {
                Next::Submit => self.submit(),
                Next::Land => self.land(),
                Next::Wait(time) => match self.commands.recv_timeout(time) {
                    Ok(command) => {
                        self.take(command);
                        Ok(())
                    }
                    Err(RecvTimeoutError::Timeout) => Ok(()),
                    Err(RecvTimeoutError::Disconnected) => return,
                },
                Next::Sleep => match self.commands.recv() {
                    Ok(command) => {
                        self.take(command);
                        Ok(())
                    }
                    Err(_) => return,
                },
            };
            if let Err(error) = done {
                self.fail(&error);
            }
        }
    }

    /// Ends the work of all members.
    fn fail(&mut self, error: &Error) {
        let fault = fault_of(error);
        self.flights.clear();
        for rider in self.members.values_mut() {
            for asked in std::mem::take(&mut rider.queue) {
                match asked {
                    Asked::Other(task) => rider.refuse(task, &fault),
                    Asked::Steps { .. } => {}
                }
            }
            let _ = rider.landed.send(Err(fault.clone()));
        }
        self.failed = Some(fault);
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Join { program, landed, reply } => {
                let joined = match &self.failed {
                    Some(fault) => Err(fault.clone()),
                    None => self.join(&program, landed).map_err(|error| fault_of(&error)),
                };
                let _ = reply.send(joined);
            }
            Command::Leave(member) => {
                if let Some(rider) = self.members.remove(&member)
                    && let Some(kind) = &mut self.kinds[rider.kind]
                {
                    kind.leave(rider.seat);
                }
            }
            Command::Do(member, task) => {
                let Some(rider) = self.members.get_mut(&member) else { return };
                if let Some(fault) = &self.failed {
                    return rider.refuse(task, fault);
                }
                rider.queue.push_back(match task {
                    Task::Steps { work, slices } => Asked::Steps { work: work.into(), slices },
                    other => Asked::Other(other),
                });
                if let Err(error) = self.advance(member) {
                    self.fail(&error);
                }
            }
        }
    }

    fn join(
        &mut self,
        program: &Arc<Program>,
        landed: Sender<Result<Landing, Fault>>,
    ) -> Result<Option<u64>> {
        let is_of = |kind: &Option<Kind>| kind.as_ref().is_some_and(|kind| kind.is_of(program));
        let number = match self.kinds.iter().position(is_of) {
            Some(number) => number,
            None => {
                // Kinds without members give their memory back.
                let left = self.kinds.iter_mut();
                left.filter(|k| k.as_ref().is_some_and(Kind::is_empty)).for_each(|k| *k = None);
                self.kinds.push(Some(Kind::new(&self.gpu, program, self.most)?));
                self.kinds.len() - 1
            }
        };
        let Some(kind) = &mut self.kinds[number] else { return Ok(None) };
        let Ok(seat) = kind.join(program)? else {
            // Nobody may come who finds the room that this member did not find.
            if kind.is_empty() {
                self.kinds[number] = None;
            }
            return Ok(None);
        };
        self.joined += 1;
        let rider = Rider { kind: number, seat, queue: VecDeque::new(), passed_over: 0, landed };
        self.members.insert(self.joined, rider);
        Ok(Some(self.joined))
    }

    /// Does what a member asked for, up to its next steps.
    fn advance(&mut self, member: u64) -> Result<()> {
        while let Some(rider) = self.members.get_mut(&member) {
            match rider.queue.pop_front() {
                Some(Asked::Other(task)) => {
                    let (kind, seat) = (rider.kind, rider.seat);
                    let fault = match self.execute(kind, seat, &task) {
                        Ok(Ok(())) => continue,
                        Ok(Err(NoRoom)) => no_room(),
                        Err(error) => {
                            self.members[&member].refuse(task, &fault_of(&error));
                            return Err(error);
                        }
                    };
                    self.members[&member].refuse(task, &fault);
                }
                Some(steps) => {
                    rider.queue.push_front(steps);
                    break;
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Does what a member waits for, and tells it so.
    fn execute(&mut self, kind: usize, seat: usize, task: &Task) -> Room<()> {
        let Some(kind) = &mut self.kinds[kind] else { return Ok(Ok(())) };
        match task {
            Task::Upload { buffer, first, words, reply } => {
                if let Err(NoRoom) = kind.upload(seat, *buffer, *first, words)? {
                    return Ok(Err(NoRoom));
                }
                self.pending_upload += 4 * words.len();
                if self.pending_upload >= UPLOAD {
                    self.pending_upload = 0;
                    let submission = self.gpu.submit(None);
                    self.gpu.wait(&submission)?;
                }
                if let Some(reply) = reply {
                    let _ = reply.send(Ok(()));
                }
            }
            Task::Read { slice, reply } => {
                let words = read_back(&self.gpu, kind.slice(seat, *slice)?)?;
                let _ = reply.send(Ok(words));
            }
            Task::Steps { .. } => {}
        }
        Ok(Ok(()))
    }

    /// The schedule of the next steps of a member.
    fn schedule(rider: &Rider) -> Option<usize> {
        match rider.queue.front()? {
            Asked::Steps { work, .. } => Some(work.front()?.schedule),
            Asked::Other(_) => None,
        }
    }

    fn next(&mut self) -> Next {
        let ready = self.members.values().filter(|r| Driver::schedule(r).is_some()).count();
        let (flies, is_full) = (!self.flights.is_empty(), self.flights.len() >= IN_FLIGHT);
        if ready == 0 || is_full {
            self.since = Instant::now();
            return if flies { Next::Land } else { Next::Sleep };
        }
        if ready == self.members.len() {
            return Next::Submit;
        }
        if flies {
            self.since = Instant::now();
            return Next::Land;
        }
        let patience = (self.took / 2).min(PATIENCE);
        match patience.checked_sub(self.since.elapsed()) {
            Some(left) if !left.is_zero() => Next::Wait(left),
            _ => Next::Submit,
        }
    }

    /// The members whose next steps are submitted together, their kind, and the schedule: those
    /// that were passed over for too long, else as many as possible; of groups of equal size the
    /// one of the first schedule, which trains.
    fn group(&self) -> Option<(usize, usize, Vec<u64>)> {
        let mut groups: BTreeMap<(usize, usize), Vec<u64>> = BTreeMap::new();
        for (member, rider) in &self.members {
            if let Some(schedule) = Driver::schedule(rider) {
                groups.entry((schedule, rider.kind)).or_default().push(*member);
            }
        }
        let waited = |members: &[u64]| {
            let longest = members.iter().map(|m| self.members[m].passed_over).max();
            longest.filter(|passed_over| *passed_over >= PASSED_OVER)
        };
        let weight = |members: &[u64]| (waited(members), members.len());
        let first = groups.into_iter().rev().max_by_key(|(_, members)| weight(members));
        let ((schedule, kind), members) = first?;
        let of_kind = self.kinds[kind].as_ref()?;
        // No dispatch may take too long, and a grid has an end.
        let (mut flop, mut taken, mut depth) = (0u64, Vec::new(), 1);
        for member in members {
            let seat = self.members[&member].seat;
            flop = flop.saturating_add(of_kind.flop(seat, schedule));
            depth = depth.max(of_kind.depth(seat, schedule));
            let is_deep = u64::from(depth) * (taken.len() as u64 + 1) > u64::from(MAX_GROUPS);
            if !taken.is_empty() && (flop > self.most_flop || is_deep) {
                break;
            }
            taken.push(member);
        }
        Some((kind, schedule, taken))
    }

    /// Submits the steps that the members of a group have in common.
    fn submit(&mut self) -> Result<()> {
        let Some((kind, schedule, members)) = self.group() else { return Ok(()) };
        let begun = Instant::now();
        let most = members.iter().map(|member| ahead(&self.members[member].queue, schedule));
        let count = most.min().unwrap_or(0);
        self.tally.steps.fetch_add(count as u64, Ordering::Relaxed);
        self.tally.of_members.fetch_add((count * members.len()) as u64, Ordering::Relaxed);
        for (number, rider) in &mut self.members {
            let waits = Driver::schedule(rider).is_some() && !members.contains(number);
            rider.passed_over = if waits { rider.passed_over + 1 } else { 0 };
        }
        let (mut shares, mut parts) = (Vec::new(), Vec::new());
        let Some(of_kind) = &mut self.kinds[kind] else { return Ok(()) };
        for member in &members {
            let Some(rider) = self.members.get_mut(member) else { continue };
            let Taken { steps, slices, submissions } = take_steps(&mut rider.queue, count);
            let program = of_kind.program(rider.seat)?;
            let more = slices.iter().map(|slice| slice.len).sum();
            let words = [program.metrics_stride(), 1 + program.flags.len(), more];
            parts.push(Part { member: *member, steps: steps.clone(), submissions, words });
            shares.push(Share { seat: rider.seat, steps, slices });
        }
        let words: usize =
            parts.iter().map(|p| p.steps.len() * p.words[0] + p.words[1] + p.words[2]).sum();
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let staging = buffer(&self.gpu, "metrics read-back", 4 * words as u64, usage)?;
        let commands = of_kind.encode(schedule, &shares, &staging)?;
        let awake = self.gpu.awake();
        let submission = self.gpu.submit(Some(commands));
        self.pending_upload = 0;
        let mapped = map(&staging);
        self.flights.push_back(Flight { staging, submission, mapped, parts, begun, _awake: awake });
        self.gpu.check()?;
        // What is behind the steps goes on at once.
        members.iter().try_for_each(|member| self.advance(*member))
    }

    /// Waits for the oldest submission in flight and hands out its results.
    fn land(&mut self) -> Result<()> {
        let Some(flight) = self.flights.pop_front() else { return Ok(()) };
        let arrived = || flight.mapped.load(Ordering::Acquire) != PENDING;
        self.gpu.wait_until(&flight.submission, arrived)?;
        let words = read(&flight.staging, &flight.mapped)?;
        self.gpu.poll()?;
        self.took = flight.begun.elapsed();
        let mut rest = &words[..];
        for part in flight.parts {
            let [stride, flags, more] = part.words;
            let (metrics, behind) = rest.split_at(part.steps.len() * stride);
            let (flags, behind) = behind.split_at(flags);
            let (numbers, behind) = behind.split_at(more);
            rest = behind;
            let mut results = self.gpu.results(&part.steps, metrics, stride)?;
            if let Some(last) = results.last_mut() {
                last.numbers = numbers.iter().copied().map(f32::from_bits).collect();
            }
            let (flags, submissions) = (flags.to_vec(), part.submissions);
            if let Some(rider) = self.members.get(&part.member) {
                let _ = rider.landed.send(Ok(Landing { results, flags, submissions }));
            }
        }
        self.since = Instant::now();
        Ok(())
    }
}

/// Steps of a member that are submitted.
struct Taken {
    steps: Vec<Step>,
    slices: Vec<Slice>,
    /// The submissions of the member that end with them.
    submissions: usize,
}

/// The number of steps of a schedule at the front of a queue. What is read behind a step ends a
/// submission.
fn ahead(queue: &VecDeque<Asked>, schedule: usize) -> usize {
    let mut count = 0;
    for asked in queue {
        let Asked::Steps { work, slices } = asked else { break };
        let of_schedule = work.iter().take_while(|work| work.schedule == schedule).count();
        count += of_schedule;
        if of_schedule < work.len() || !slices.is_empty() {
            break;
        }
    }
    count.min(SLOTS)
}

/// Takes steps from the front of a queue.
fn take_steps(queue: &mut VecDeque<Asked>, count: usize) -> Taken {
    let mut taken = Taken { steps: Vec::new(), slices: Vec::new(), submissions: 0 };
    while taken.steps.len() < count {
        let Some(Asked::Steps { work, slices }) = queue.front_mut() else { break };
        let left = count - taken.steps.len();
        taken.steps.extend(work.drain(..left.min(work.len())).map(|work| work.step));
        if work.is_empty() {
            taken.slices = std::mem::take(slices);
            taken.submissions += 1;
            queue.pop_front();
        }
    }
    taken
}
