//! Ranks that are processes of MPI.

use std::fmt::{self, Debug, Formatter};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use ferrompi::{Communicator, Mpi, ThreadLevel};

use super::net::{Lost, Net, Pause};
use crate::fault::{Exit, Fault};

/// The time in which the last messages leave.
const LEAVING: Duration = Duration::from_secs(1);

/// The time for which other ranks wait longer than the leader, who knows the command to go on with:
/// the launcher ends all when the first one gives up.
const LATER: Duration = Duration::from_secs(2);

/// The tag of all messages.
const TAG: i32 = 7;

/// Bytes of a message up to which it is there as soon as it is announced.
const SHORT: usize = 2048;

/// This process as one of those that an MPI launcher started.
struct Process {
    world: Arc<Communicator>,
    rank: usize,
    size: usize,
    local_rank: usize,
    local_size: usize,
    patience: Duration,
    lost: Lost,
    /// The other ranks, by rank.
    links: Vec<Option<Link>>,
}

/// Messages to and from another rank. Long ones are sent and received by threads of their own: each
/// waits for the other end, which may have stopped.
struct Link {
    /// What it is to be sent.
    queue: Sender<Vec<u8>>,
    inbox: Mutex<Inbox>,
}

/// Long messages that come from another rank.
struct Inbox {
    /// The bytes of the next one, once it is announced.
    announced: Sender<usize>,
    messages: Receiver<ferrompi::Result<Vec<u8>>>,
    /// Whether one is on its way.
    comes: bool,
}

/// MPI, from its beginning to its end.
pub struct Session {
    net: Option<Arc<Process>>,
    /// The threads that send, and those that receive.
    threads: [Vec<JoinHandle<()>>; 2],
    mpi: Mpi,
}

impl Debug for Process {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

fn fault(error: ferrompi::Error) -> anyhow::Error {
    Fault::new(Exit::Internal, format!("MPI: {error}"))
        .hint("look at what the other processes say")
        .into()
}

impl Session {
    /// Begins MPI. The leader gives up a rank that does not answer after `patience`, others a
    /// little later.
    ///
    /// # Errors
    /// 69 for an MPI that lets one thread alone send; 70 if it cannot begin.
    pub fn begin(patience: Duration) -> Result<Session> {
        let mpi = Mpi::init_thread(ThreadLevel::Multiple).map_err(fault)?;
        if mpi.thread_level() != ThreadLevel::Multiple {
            let found = "this MPI does not let several threads send (MPI_THREAD_MULTIPLE)";
            return Err(Fault::new(Exit::Unavailable, found)
                .hint("use an MPI that is built with it, such as Debian's Open MPI")
                .into());
        }
        let world = Arc::new(mpi.world());
        let here = world.split_shared().map_err(fault)?;
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let (local_rank, local_size) = (here.rank() as usize, here.size() as usize);
        let patience = if rank > 0 { patience + LATER } else { patience };
        let mut links = Vec::new();
        let mut threads = [Vec::new(), Vec::new()];
        for other in 0..size {
            links.push((other != rank).then(|| Link::to(other, &world, &mut threads)));
        }
        let lost = Lost::default();
        let net = Process { world, rank, size, local_rank, local_size, patience, lost, links };
        Ok(Session { net: Some(Arc::new(net)), threads, mpi })
    }

    /// The ranks.
    pub fn net(&self) -> Option<Arc<dyn Net>> {
        self.net.clone().map(|net| net as Arc<dyn Net>)
    }

    /// Ends MPI, when all ranks do.
    pub fn end(mut self) {
        // Threads end when nobody can ask them for anything.
        self.net = None;
        self.threads.into_iter().flatten().for_each(|thread| drop(thread.join()));
        drop(self.mpi);
    }

    /// Leaves MPI as it is, after a moment in which messages leave: the launcher ends the other
    /// ranks with this process.
    pub fn leave(mut self) {
        self.net = None;
        let begun = Instant::now();
        while begun.elapsed() < LEAVING && !self.threads[0].iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::mem::forget(self);
    }
}

impl Link {
    /// Messages to and from a rank, and two threads for them.
    fn to(other: usize, world: &Arc<Communicator>, threads: &mut [Vec<JoinHandle<()>>; 2]) -> Link {
        let (queue, messages) = channel::<Vec<u8>>();
        let sender = Arc::clone(world);
        threads[0].push(std::thread::spawn(move || {
            while let Ok(message) = messages.recv() {
                if send(&sender, &message, other).is_err() {
                    return;
                }
            }
        }));
        let (announced, lens) = channel();
        let (arrived, messages) = channel();
        let receiver = Arc::clone(world);
        threads[1].push(std::thread::spawn(move || {
            while let Ok(len) = lens.recv() {
                if arrived.send(receive(&receiver, len, other)).is_err() {
                    return;
                }
            }
        }));
        Link { queue, inbox: Mutex::new(Inbox { announced, messages, comes: false }) }
    }
}

/// Receives a message that was announced. MPI's own wait would take a core from those who compute.
fn receive(world: &Communicator, len: usize, from: usize) -> ferrompi::Result<Vec<u8>> {
    let mut message = vec![0; len];
    ferrompi::scope(|scope| {
        let mut received = world.irecv(scope, &mut message, from as i32, TAG)?;
        let mut pause = Pause::default();
        while received.test()?.is_none() {
            pause.make();
        }
        Ok(())
    })?;
    Ok(message)
}

/// Sends a message, and waits until it need not be kept any more. MPI's own wait would take a core
/// from those who compute.
fn send(world: &Communicator, message: &[u8], to: usize) -> ferrompi::Result<()> {
    ferrompi::scope(|scope| {
        let mut sent = world.isend(scope, message, to as i32, TAG)?;
        let mut pause = Pause::default();
        while sent.test()?.is_none() {
            pause.make();
        }
        Ok(())
    })
}

impl Net for Process {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local(&self) -> (usize, usize) {
        (self.local_rank, self.local_size)
    }

    fn send(&self, to: usize, message: Vec<u8>) -> Result<()> {
        let gone = || self.lost.give_up(&[to], "gone");
        let link = self.links.get(to).and_then(Option::as_ref).ok_or_else(gone)?;
        Ok(link.queue.send(message).map_err(|_| gone())?)
    }

    fn poll(&self, from: usize) -> Result<Option<Vec<u8>>> {
        let gone = || self.lost.give_up(&[from], "gone");
        let link = self.links.get(from).and_then(Option::as_ref).ok_or_else(gone)?;
        let mut inbox = link.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if !inbox.comes {
            let Some(status) = self.world.iprobe::<u8>(from as i32, TAG).map_err(fault)? else {
                return Ok(None);
            };
            let len = status.count.unwrap_or(0);
            if len <= SHORT {
                let mut message = vec![0; len];
                self.world.recv(&mut message, from as i32, TAG).map_err(fault)?;
                return Ok(Some(message));
            }
            inbox.announced.send(len).map_err(|_| gone())?;
            inbox.comes = true;
        }
        match inbox.messages.try_recv() {
            Ok(message) => {
                inbox.comes = false;
                Ok(Some(message.map_err(fault)?))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone().into()),
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn lost(&self) -> &Lost {
        &self.lost
    }
}
