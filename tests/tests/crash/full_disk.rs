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
use crate::world::{QUOTA_SETTING, World};

#[test]
fn files_that_may_not_grow_lose_nothing() {
    let mut dice = Dice::of_run("files that may not grow");
    let mut place = Place::new("limit", &[QUOTA_SETTING]);
    // The signal that comes with the limit would end the server; ignoring it is inherited.
    place.start_by(["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let store = place.store();
    let commands = dice.below(1500);
    let beyond = dice.below(500_000);
    until_store_is_lost(&place, &mut dice, commands, |server| {
        let files = place.files(&store).expect("the store");
        let journals = files.iter().filter(|file| file.extension().is_some_and(|end| end == "jnl"));
        let written = journals.map(|file| file.metadata().expect("a journal").blocks() * 512).max();
        server.limit_files(written.expect("a journal") + beyond);
    });
}

#[test]
fn a_small_disk_loses_nothing() {
    let mut dice = Dice::of_run("a small disk");
    let mut place = Place::new("disk", &[QUOTA_SETTING]);
    let disk = match Disk::mount(&mut place, 6) {
        Ok(disk) => disk,
        Err(why) => return not_run("a small disk", &why),
    };
    until_store_is_lost_and(&place, &mut dice, 0, |_| {}, || {
        let (status, told) = place.run(&["start"]);
        println!("started on the full disk: {status}\n{told}");
        disk.remount("size=1g");
    });
}

fn until_store_is_lost(place: &Place, dice: &mut Dice, commands: u64, fill: impl FnOnce(&mut Server)) {
    until_store_is_lost_and(place, dice, commands, fill, || {});
}

/// Lets clients work until nothing can be stored any more; then there is room again, and everything must come.
fn until_store_is_lost_and(
    place: &Place,
    dice: &mut Dice,
    commands: u64,
    fill: impl FnOnce(&mut Server),
    make_room: impl FnOnce(),
) {
    let runtime = Runtime::new().expect("a runtime");
    let world = Arc::new(World::default());
    let mut server = place.start();
    world.may_fail.store(true, Ordering::SeqCst);
    until_answered(&runtime, &world, &mut server, dice, commands, fill);
    let failures = world.store_failures.load(Ordering::SeqCst);
    let (status, told) = server.ended();
    judge_answers(&world, &told, "when nothing could be stored");
    println!("{status}, {failures} commands were told that the store failed. It said:\n{told}");
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(failures > 0, "the clients were not told: {told}");
    let store = place.store();
    let names_folder = |line: &str| line.contains(&*store.to_string_lossy());
    let errors: Vec<&str> = told.lines().filter(|line| line.contains(" error ")).collect();
    assert!(errors.iter().any(|line| names_folder(line)), "{told}");
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("smp-server: ") && names_folder(last) && last.contains("Make room"), "{last}");
    make_room();
    let owed = world.owed();
    finish(place, &runtime, &world);
    println!("{owed} messages were accepted and owed when the store failed; all of them came");
}

/// Says that a test did not run. Not through the harness, which would keep it to itself.
pub(crate) fn not_run(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: this system does not allow it here: {why}");
}
