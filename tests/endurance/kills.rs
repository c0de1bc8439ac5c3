//! Runs of the program are ended at any time, by a kill that cannot be caught or by a signal that
//! can, and go on. Nothing that was committed is lost, and in the end the files equal those of a
//! run that was not interrupted, byte by byte.
//!
//! Two of three kills wait until a checkpoint is being written. Whether a kill really came in the
//! middle of that is seen from the files that it left.

#![cfg(unix)]

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::program::{Draws, NET, Room, STEPS, signal, wait};
use tandem::run::checkpoint::load;

/// Steps between checkpoints. Up to two checkpoints may be on their way to the disk.
const EVERY: u64 = 5;

/// A run that is started and ended again and again.
struct Life {
    room: Room,
    device: &'static str,
    /// The seconds that a run takes without interruption.
    whole: f64,
    draws: Draws,
    count: Count,
}

/// What happened so far.
#[derive(Debug, Default)]
struct Count {
    kills: u64,
    /// The kills that came while a checkpoint was being written.
    writing: u64,
    /// The runs that came to their end.
    finished: u64,
    /// The steps that had to be done again after a kill: the most after one kill, and all together.
    most_lost: u64,
    lost: u64,
    /// The checkpoints that were read after a kill.
    read: u64,
}

impl Life {
    fn new(device: &'static str, seed: u64) -> Life {
        // On a disk, where writing a checkpoint takes a while.
        let room =
            Room::on(tempfile::tempdir().unwrap(), &NET.replace("epochs = 12", "epochs = 8"));
        // The first run fills the cache of kernels, the second one is timed.
        room.run(&["train", "net.toml", "--out", "first", "--max-steps", "1", "--device", device])
            .expect(0);
        let begun = Instant::now();
        room.run(&["train", "net.toml", "--out", "whole", "--device", device]).expect(0);
        let whole = begun.elapsed().as_secs_f64();
        assert_eq!(room.last_step("whole"), 8 * STEPS / 12);
        Life { room, device, whole, draws: Draws::new(seed), count: Count::default() }
    }

    /// Starts a process that begins the run or goes on with it.
    fn start(&self) -> Child {
        let goes_on = self.room.path("run/config.toml").exists();
        if !goes_on {
            let _ = fs::remove_dir_all(self.room.path("run"));
        }
        let args = if goes_on {
            ["train", "--resume", "run"].as_slice()
        } else {
            &["train", "net.toml", "--out", "run"]
        };
        let err = File::create(self.room.path("err")).unwrap();
        self.room
            .command(args)
            .args(["--device", self.device])
            .stdout(Stdio::null())
            .stderr(err)
            .spawn()
            .unwrap()
    }

    fn newest(&self) -> Option<u64> {
        self.room.checkpoints("run").first().copied()
    }

    /// Whether a process is writing a checkpoint, or was when it ended.
    fn is_writing(&self, child: &Child) -> bool {
        let (names, owner) =
            (fs::read_dir(self.room.path("run/checkpoints")), format!("-{}", child.id()));
        let step =
            |name: &str| name.strip_prefix(".tmp-")?.strip_suffix(&owner)?.parse::<u64>().ok();
        names
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.file_name().to_str().and_then(step).is_some())
    }

    /// Lets a process run for a random time; returns false if it came to its end.
    fn let_live(&mut self, child: &mut Child) -> bool {
        let until = Duration::from_secs_f64(self.draws.uniform() * self.whole);
        wait(child, until).is_none()
    }

    /// Lets a process run until it is writing one of its next checkpoints, and up to 3 ms longer;
    /// returns false if it came to its end.
    fn let_write(&mut self, child: &mut Child) -> bool {
        let next = self.newest().unwrap_or(0) + EVERY * self.draws.below(6);
        while self.newest().unwrap_or(0) < next || !self.is_writing(child) {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
        }
        let (begun, more) = (Instant::now(), Duration::from_micros(self.draws.below(3000)));
        while begun.elapsed() < more && self.is_writing(child) {}
        child.try_wait().unwrap().is_none()
    }

    /// Checks that a finished run equals the one that was not interrupted, and removes it, so that
    /// the next one begins.
    fn finished(&mut self) {
        self.room.same("run", "whole");
        self.room.is_tidy("run");
        self.count.finished += 1;
        fs::remove_dir_all(self.room.path("run")).unwrap();
    }

    /// Checks that every checkpoint can be read, that the newest one is not older than `before`,
    /// and that few steps were lost.
    fn look(&mut self, before: Option<u64>) {
        let newest = self.newest();
        assert!(newest >= before, "checkpoint {before:?} was there, now the newest is {newest:?}");
        for step in self.room.checkpoints("run") {
            let path = self.room.path("run/checkpoints").join(format!("step-{step}"));
            let loaded = load(&path).unwrap_or_else(|e| panic!("unreadable after a kill: {e:#}"));
            assert_eq!(loaded.snapshot.steps, step);
            self.count.read += 1;
        }
        let lost = self.room.last_step("run").saturating_sub(newest.unwrap_or(0));
        assert!(lost <= 2 * EVERY, "{lost} steps were lost");
        (self.count.most_lost, self.count.lost) =
            (self.count.most_lost.max(lost), self.count.lost + lost);
    }

    fn goes_on_from(&self, newest: Option<u64>) {
        let said = self.room.text("err");
        let expected = newest.map_or("the run has no checkpoint yet".into(), |step| {
            format!("going on after step {step} (")
        });
        assert!(said.contains(&expected), "expected \"{expected}\", found: {said}");
    }

    fn kill(&mut self, number: u64) {
        let goes_on = self.room.path("run/config.toml").exists();
        let before = self.newest();
        let mut child = self.start();
        let lives = if number.is_multiple_of(3) {
            self.let_live(&mut child)
        } else {
            self.let_write(&mut child)
        };
        if !lives {
            assert_eq!(child.wait().unwrap().code(), Some(0), "{}", self.room.text("err"));
            if goes_on {
                self.goes_on_from(before);
            }
            return self.finished();
        }
        let last = self.newest().max(before);
        child.kill().unwrap();
        child.wait().unwrap();
        self.count.kills += 1;
        self.count.writing += u64::from(self.is_writing(&child));
        self.look(last);
    }

    fn kills(device: &'static str, seed: u64, kills: u64) {
        let mut life = Life::new(device, seed);
        let mut number = 0;
        // On quick disks more kills miss the writing of a checkpoint; the loop goes on until a
        // third did not.
        while life.count.kills < kills || 3 * life.count.writing < life.count.kills.max(kills) {
            number += 1;
            life.kill(number);
            assert!(life.count.kills < 10 * kills, "{:?}", life.count);
        }
        if life.room.path("run").exists() {
            let mut child = life.start();
            assert_eq!(child.wait().unwrap().code(), Some(0), "{}", life.room.text("err"));
            life.finished();
        }
        eprintln!("{device}, {:.1} s a run: {:?}", life.whole, life.count);
    }

    /// Sends a signal at a random time after the process has taken the run directory.
    fn stop(&mut self, name: &str, code: i32) {
        let mut child = self.start();
        let id = child.id().to_string();
        while fs::read_to_string(self.room.path("run/.lock"))
            .map_or(true, |owner| owner.trim() != id)
        {
            assert!(child.try_wait().unwrap().is_none(), "{}", self.room.text("err"));
        }
        if !self.let_live(&mut child) {
            assert_eq!(child.wait().unwrap().code(), Some(0), "{}", self.room.text("err"));
            return self.finished();
        }
        signal(&child, name);
        let sent = self.room.last_step("run");
        let status = wait(&mut child, Duration::from_secs(60)).expect("the process goes on");
        if status.code() == Some(0) {
            return self.finished();
        }
        assert_eq!(status.code(), Some(code), "{}", self.room.text("err"));
        // The steps that were submitted are finished, and a submission never goes beyond the next
        // checkpoint.
        let more = self.room.last_step("run") - sent;
        assert!(more <= EVERY, "{name}: {more} steps after the signal");
        self.count.kills += 1;
        self.look(None);
        self.room.is_tidy("run");
        let (newest, last) = (self.newest().unwrap(), self.room.last_step("run"));
        assert_eq!(newest, last, "steps were lost");
        let said = self.room.text("err");
        assert!(
            said.contains(&format!(
                "stopped by a signal after step {newest}; go on with: tandem train --resume run"
            )),
            "{said}"
        );
        assert!(self.room.path("run/last/model.safetensors").exists());
    }

    fn stops(device: &'static str, seed: u64, each: u64) {
        let mut life = Life::new(device, seed);
        for (name, code) in [("-INT", 130), ("-TERM", 143)] {
            life.count.kills = 0;
            while life.count.kills < each {
                life.stop(name, code);
            }
        }
        if life.room.path("run").exists() {
            assert_eq!(life.start().wait().unwrap().code(), Some(0), "{}", life.room.text("err"));
            life.finished();
        }
        eprintln!("{device}: {:?}", life.count);
    }
}

#[test]
fn kills_on_the_reference() {
    Life::kills("reference", 1, 22);
}

#[test]
fn kills_on_the_adapter() {
    Life::kills("auto", 2, 8);
}

#[test]
fn kills_on_the_processor() {
    Life::kills("cpu", 7, 16);
}

#[test]
fn signals_on_the_reference() {
    Life::stops("reference", 3, 8);
}

#[test]
fn signals_on_the_adapter() {
    Life::stops("auto", 4, 2);
}

#[test]
fn signals_on_the_processor() {
    Life::stops("cpu", 8, 4);
}

#[test]
#[ignore = "takes minutes: make soak"]
fn five_hundred_kills() {
    Life::kills("reference", 5, 400);
    Life::kills("auto", 6, 100);
}
