//! A disk that is full, in two ways: a small disk, where one can be mounted, and a limit on the size of files, which
//! needs no rights.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Runtime;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::kill::{finish, judge_answers, until_answered};
use crate::program::{Place, Server};
use crate::world::World;

#[test]
fn files_that_may_not_grow_lose_nothing() {
    let mut dice = Dice::of_run("files that may not grow");
    let mut place = Place::new("limit");
    // The signal that comes with the limit would end the server; ignoring it is inherited.
    place.start_by(["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let store = place.store();
    let commands = dice.below(1500);
    let beyond = dice.below(500_000);
    let (runtime, world) = (Runtime::new().expect("a runtime"), Arc::new(World::default()));
    until_store_is_lost(&place, &runtime, &world, &mut dice, commands, |server| {
        let files = place.files(&store).expect("the store");
        let journals = files.iter().filter(|file| file.extension().is_some_and(|end| end == "jnl"));
        let written = journals.map(|file| file.metadata().expect("a journal").blocks() * 512).max();
        server.limit_files(written.expect("a journal") + beyond);
    });
    all_comes(&place, &runtime, &world);
}

#[test]
fn a_small_disk_loses_nothing() {
    let mut dice = Dice::of_run("a small disk");
    let mut place = Place::new("disk");
    let disk = match Disk::mount(&mut place, 6) {
        Ok(disk) => disk,
        Err(why) => return not_run("a small disk", &why),
    };
    let (runtime, world) = (Runtime::new().expect("a runtime"), Arc::new(World::default()));
    until_store_is_lost(&place, &runtime, &world, &mut dice, 0, |_| {});
    // A start on a full disk works as long as nothing has to be written, and then it is the same again.
    until_store_is_lost(&place, &runtime, &world, &mut dice, 0, |_| {});
    disk.remount("size=1g");
    all_comes(&place, &runtime, &world);
}

/// Lets clients work until nothing can be stored any more. They and the operator must be told.
pub(crate) fn until_store_is_lost(
    place: &Place,
    runtime: &Runtime,
    world: &Arc<World>,
    dice: &mut Dice,
    commands: u64,
    fill: impl FnOnce(&mut Server),
) {
    let mut server = place.start();
    world.may_fail.store(true, Ordering::SeqCst);
    let before = world.store_failures.load(Ordering::SeqCst);
    until_answered(runtime, world, &mut server, dice, commands, fill);
    let failures = world.store_failures.load(Ordering::SeqCst) - before;
    let (status, told) = server.ended();
    judge_answers(world, &told, "when nothing could be stored");
    println!("{status}, {failures} commands were told that the store failed. It said:\n{told}");
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(failures > 0, "the clients were not told: {told}");
    let store = place.store();
    let names_folder = |line: &str| line.contains(&*store.to_string_lossy());
    let errors: Vec<&str> = told.lines().filter(|line| line.contains(" error ")).collect();
    assert!(errors.iter().any(|line| names_folder(line)), "{told}");
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("smp-server: ") && names_folder(last) && last.contains("Make room"), "{last}");
}

/// Starts the server where it can write again: everything that was accepted must come.
pub(crate) fn all_comes(place: &Place, runtime: &Runtime, world: &Arc<World>) {
    let owed = world.owed();
    finish(place, runtime, world);
    println!("{owed} messages were accepted and owed when the store failed; all of them came");
}

/// Says that a test did not run. Not through the harness, which would keep it to itself.
pub(crate) fn not_run(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: this system does not allow it here: {why}");
}
