//! Messages between ranks.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::fault::{Exit, Fault, FaultKind};

/// The ranks of a program, and their messages. Messages from one rank to another keep their order.
pub trait Net: Debug + Send + Sync {
    /// The number of this rank, from 0; 0 leads.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// The number of this rank among those of its machine, and how many these are.
    fn local(&self) -> (usize, usize);

    /// Sends a message to a rank, and does not wait until it has arrived.
    ///
    /// # Errors
    /// A rank that is gone.
    fn send(&self, to: usize, message: Vec<u8>) -> Result<()>;

    /// The next message of a rank, if one has arrived.
    ///
    /// # Errors
    /// A rank that is gone.
    fn poll(&self, from: usize) -> Result<Option<Vec<u8>>>;

    /// The time after which a rank that does not answer is given up.
    fn patience(&self) -> Duration;

    /// The ranks that were given up.
    fn lost(&self) -> &Lost;
}

/// Ranks that were given up.
#[derive(Debug, Default)]
pub struct Lost(Mutex<BTreeSet<usize>>);

impl Lost {
    fn ranks(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a rank was given up.
    pub fn has(&self, rank: usize) -> bool {
        self.ranks().contains(&rank)
    }

    /// True if no rank was given up.
    pub fn is_empty(&self) -> bool {
        self.ranks().is_empty()
    }

    /// Gives ranks up: the fault of that.
    pub(super) fn give_up(&self, ranks: &[usize], why: &str) -> Fault {
        self.ranks().extend(ranks);
        let names: Vec<String> = ranks.iter().map(usize::to_string).collect();
        let (word, verb) = if names.len() == 1 { ("rank", "has") } else { ("ranks", "have") };
        let fault = Fault::new(Exit::Internal, format!("{word} {} {verb} {why}", names.join(", ")))
            .hint("look at that process and its machine; TANDEM_WATCHDOG=SECONDS waits longer");
        Fault { kind: FaultKind::Gone, ..fault }
    }
}

/// The only byte of a message by which the leader says that it is there.
pub(super) const BEAT: u8 = 255;

/// Whether a message only says that the leader is there.
pub(super) fn is_beat(message: &[u8]) -> bool {
    message == [BEAT]
}

/// The pauses of who polls.
#[derive(Debug, Default)]
pub(super) struct Pause {
    turns: u32,
}

/// Polls after which pauses become longer.
const EAGER: u32 = 2000;

/// A long pause.
const PAUSE: Duration = Duration::from_micros(20);

impl Pause {
    /// Lets others work for a moment.
    pub(super) fn make(&mut self) {
        self.turns = self.turns.saturating_add(1);
        match self.turns {
            ..EAGER => std::thread::yield_now(),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// A wait for messages.
#[derive(Debug)]
pub struct Patience {
    since: Instant,
    /// When this process looked last.
    looked: Instant,
    pause: Pause,
}

impl Default for Patience {
    fn default() -> Patience {
        let now = Instant::now();
        Patience { since: now, looked: now, pause: Pause::default() }
    }
}

impl Patience {
    /// Lets others work for a moment.
    ///
    /// # Errors
    /// 70 with the ranks of which no message has come, when they are to be given up.
    pub fn wait(&mut self, net: &dyn Net, missing: impl Fn() -> Vec<usize>) -> Result<()> {
        self.wait_for(net, net.patience(), missing)
    }

    /// Lets others work for a moment, in a wait that has another end.
    fn wait_for(
        &mut self,
        net: &dyn Net,
        patience: Duration,
        missing: impl Fn() -> Vec<usize>,
    ) -> Result<()> {
        self.pause.make();
        let looked = std::mem::replace(&mut self.looked, Instant::now());
        if self.looked - looked > patience / 2 {
            // This process itself was stopped for that long.
            self.since = self.looked;
        }
        if self.since.elapsed() <= patience {
            return Ok(());
        }
        let why = format!("not answered for {} s", patience.as_secs());
        Err(net.lost().give_up(&missing(), &why).into())
    }
}

/// Waits for the next message of a rank; as long as it says that it is there, for any time, else so
/// long.
///
/// # Errors
/// 70 if none comes.
pub(super) fn receive(net: &dyn Net, from: usize, time: Duration) -> Result<Vec<u8>> {
    let mut patience = Patience::default();
    loop {
        match net.poll(from)? {
            Some(message) if is_beat(&message) => patience = Patience::default(),
            Some(message) => return Ok(message),
            None => patience.wait_for(net, time, || vec![from])?,
        }
    }
}

/// Gives each rank what all ranks have, in the order of ranks.
///
/// # Errors
/// 70 with the ranks that do not answer.
pub(super) fn all_gather(net: &dyn Net, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
    all_to_all(net, vec![own; net.size()])
}

/// Sends each rank its message, by rank, and gives what all ranks have sent to this one; its own
/// message to itself is one of them.
///
/// # Errors
/// 70 with the ranks that do not answer.
pub(super) fn all_to_all(net: &dyn Net, mut messages: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    let (rank, size) = (net.rank(), net.size());
    for other in (1..size).map(|apart| (rank + apart) % size) {
        net.send(other, std::mem::take(&mut messages[other]))?;
    }
    let mut found: Vec<Option<Vec<u8>>> = vec![None; size];
    found[rank] = messages.into_iter().nth(rank);
    let mut patience = Patience::default();
    loop {
        for (from, place) in found.iter_mut().enumerate() {
            if place.is_none() {
                *place = net.poll(from)?.filter(|message| !is_beat(message));
            }
        }
        let missing = || (0..size).filter(|r| found[*r].is_none()).collect::<Vec<_>>();
        if missing().is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        patience.wait(net, missing)?;
    }
}

/// The pace of messages that all ranks send each other at once: mean seconds for some numbers of
/// bytes, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace(Vec<(f64, f64)>);

/// Bytes of the messages by which a pace is measured.
const SIZES: [usize; 4] = [1 << 12, 1 << 15, 1 << 18, 1 << 21];

/// Times that each is measured.
const TIMES: usize = 10;

/// The time from one to the next.
const APART: Duration = Duration::from_millis(3);

/// Measures the pace of messages; all ranks take part.
///
/// # Errors
/// 70 with the ranks that do not answer.
pub fn measure(net: &dyn Net) -> Result<Pace> {
    let mean = |bytes: usize| {
        let mut seconds = 0.0;
        for _ in 0..TIMES {
            let messages = vec![vec![1; bytes]; net.size()];
            // As behind a step: those who send and receive sleep.
            std::thread::sleep(APART);
            all_gather(net, Vec::new())?;
            let begun = Instant::now();
            all_to_all(net, messages)?;
            seconds += begun.elapsed().as_secs_f64() / TIMES as f64;
        }
        anyhow::Ok((bytes as f64, seconds))
    };
    SIZES.into_iter().map(mean).collect::<Result<_>>().map(Pace)
}

impl Pace {
    /// Seconds for messages of so many bytes: on the line between the two measured numbers of bytes
    /// beside it, and beyond them on the line through the last two.
    pub fn seconds(&self, bytes: f64) -> f64 {
        let beyond = self.0.iter().position(|(size, _)| *size >= bytes);
        let right = beyond.unwrap_or(self.0.len().saturating_sub(1)).max(1);
        let Some([(x, y), (u, v)]) = self.0.get(right - 1..right + 1) else { return 0.0 };
        (y + (bytes - x) * (v - y) / (u - x)).max(0.0)
    }
}

/// A thread of the leader that tells the others again and again that it is there.
#[derive(Debug)]
pub struct Beats {
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beats {
    /// Begins to tell them.
    pub fn begin(net: &Arc<dyn Net>) -> Beats {
        let (net, stops) = (Arc::clone(net), Arc::new(AtomicBool::new(false)));
        let until = Arc::clone(&stops);
        let thread = std::thread::spawn(move || {
            let mut told = Instant::now();
            while !until.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                if told.elapsed() >= net.patience() / 4 {
                    told = Instant::now();
                    for to in 1..net.size() {
                        let _ = net.send(to, vec![BEAT]);
                    }
                }
            }
        });
        Beats { stops, thread: Some(thread) }
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A rank that is a thread of this process.
#[derive(Debug)]
struct Local {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
    patience: Duration,
    lost: Lost,
}

/// So many ranks in one process, for a thread each.
pub fn local(size: usize, patience: Duration) -> Vec<Arc<dyn Net>> {
    let mut to: Vec<Vec<Sender<Vec<u8>>>> = vec![Vec::new(); size];
    let mut from: Vec<Vec<Mutex<Receiver<Vec<u8>>>>> = (0..size).map(|_| Vec::new()).collect();
    for sender in &mut to {
        for receiver in &mut from {
            let (send, receive) = channel();
            sender.push(send);
            receiver.push(Mutex::new(receive));
        }
    }
    let ranks = to.into_iter().zip(from).enumerate();
    let local = |(rank, (to, from))| Local { rank, to, from, patience, lost: Lost::default() };
    ranks.map(local).map(|rank| Arc::new(rank) as _).collect()
}

impl Net for Local {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn local(&self) -> (usize, usize) {
        (self.rank, self.size())
    }

    fn send(&self, to: usize, message: Vec<u8>) -> Result<()> {
        let sent = self.to[to].send(message);
        Ok(sent.map_err(|_| self.lost.give_up(&[to], "gone"))?)
    }

    fn poll(&self, from: usize) -> Result<Option<Vec<u8>>> {
        let messages = self.from[from].lock().unwrap_or_else(PoisonError::into_inner);
        match messages.try_recv() {
            Ok(message) => Ok(Some(message)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.lost.give_up(&[from], "gone").into()),
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn lost(&self) -> &Lost {
        &self.lost
    }
}
