//! The default program, which is built without MPI.

use std::process::Command;

use crate::common::program::{NET, Ran, Room};

/// Whoever starts several of it would get as many trainings.
#[test]
#[cfg(not(feature = "mpi"))]
fn several_processes_of_mpi_are_refused() {
    let room = Room::new(NET);
    let started = |size: &str| {
        let mut command = room.command(&["train", "net.toml", "--out", "run", "--max-steps", "1"]);
        Ran::of(command.env("OMPI_COMM_WORLD_SIZE", size).output().unwrap())
    };
    started("4").refused(69, &["is built without MPI", "make mpi"]);
    started("1").expect(0);
}

#[test]
#[cfg(all(target_os = "linux", not(feature = "mpi")))]
fn the_program_links_no_mpi() {
    let linked = Command::new("ldd").arg(env!("CARGO_BIN_EXE_tandem")).output().unwrap();
    let text = String::from_utf8(linked.stdout).unwrap();
    assert!(text.contains("libc.so") && !text.contains("mpi"), "{text}");
}
