//! Ranks that are processes of MPI.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use ferrompi::{Communicator, Mpi, ThreadLevel};

use super::net::{Lost, Net, Pause};
use crate::fault::{Exit, Fault};

/// The time in which the last messages leave.
const LEAVING: Duration = Duration::from_secs(1);

/// The tag of all messages.
const TAG: i32 = 7;

/// This process as one of those that an MPI launcher started.
struct Process {
    world: Arc<Communicator>,
    rank: usize,
    size: usize,
    local_rank: usize,
    local_size: usize,
    patience: Duration,
    lost: Lost,
    /// What each rank is to be sent, by a thread of its own: a send may wait for its receiver.
    queues: Vec<Option<Sender<Vec<u8>>>>,
}

/// MPI, from its beginning to its end.
pub struct Session {
    net: Option<Arc<Process>>,
    senders: Vec<JoinHandle<()>>,
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
    /// Begins MPI.
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
        let (mut queues, mut senders) = (Vec::new(), Vec::new());
        for to in 0..size {
            if to == rank {
                queues.push(None);
                continue;
            }
            let (queue, messages) = channel::<Vec<u8>>();
            let world = Arc::clone(&world);
            queues.push(Some(queue));
            senders.push(std::thread::spawn(move || {
                while let Ok(message) = messages.recv() {
                    if send(&world, &message, to).is_err() {
                        return;
                    }
                }
            }));
        }
        let lost = Lost::default();
        let net = Process { world, rank, size, local_rank, local_size, patience, lost, queues };
        Ok(Session { net: Some(Arc::new(net)), senders, mpi })
    }

    /// The ranks.
    pub fn net(&self) -> Option<Arc<dyn Net>> {
        self.net.clone().map(|net| net as Arc<dyn Net>)
    }

    /// Ends MPI, when all ranks do.
    pub fn end(mut self) {
        // Senders end when nobody can ask them for anything.
        self.net = None;
        let _: Vec<_> = self.senders.drain(..).map(JoinHandle::join).collect();
        drop(self.mpi);
    }

    /// Leaves MPI as it is, after a moment in which messages leave: the launcher ends the other
    /// ranks with this process.
    pub fn leave(mut self) {
        self.net = None;
        let begun = Instant::now();
        while begun.elapsed() < LEAVING && !self.senders.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::mem::forget(self);
    }
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
        let queue = self.queues.get(to).and_then(Option::as_ref).ok_or_else(gone)?;
        Ok(queue.send(message).map_err(|_| gone())?)
    }

    fn poll(&self, from: usize) -> Result<Option<Vec<u8>>> {
        let Some(status) = self.world.iprobe::<u8>(from as i32, TAG).map_err(fault)? else {
            return Ok(None);
        };
        let mut message = vec![0; status.count.unwrap_or(0)];
        self.world.recv(&mut message, from as i32, TAG).map_err(fault)?;
        Ok(Some(message))
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn lost(&self) -> &Lost {
        &self.lost
    }
}
