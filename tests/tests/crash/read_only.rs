//! The folder of the store, when the server may not write or read it.
//!
//! Root may write everything. So when root runs the test, the server runs as another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Signal, geteuid};
use tokio::runtime::Runtime;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::full_disk::{all_comes, not_run, until_store_is_lost};
use crate::kill::{finish, judge, until_answered};
use crate::program::Place;
use crate::world::World;

/// A user without rights: `nobody`, nearly everywhere.
const NOBODY: u32 = 65_534;

#[test]
fn a_store_without_permission_is_refused_and_named() {
    let Some(place) = place_of_user("permission") else { return };
    let (runtime, world) = with_messages(&place);
    for (what, folders, files) in [
        ("read-only with all in it", 0o500, Some(0o400)),
        ("read-only", 0o500, None),
        ("unreadable", 0o000, None),
        ("write-only", 0o300, None),
    ] {
        let modes = Modes::set(&place, folders, files);
        refused(&place, what, &place.store(), "must belong to the user that runs the server");
        drop(modes);
    }
    // The folder above: one in which nothing can be made, one that cannot be entered.
    let (data, store) = (place.data(), place.store());
    let aside = place.root().join("aside");
    fs::rename(&store, &aside).expect("the store can be moved");
    for mode in [0o500, 0o000] {
        let former = fs::metadata(&data).expect("the data").permissions();
        fs::set_permissions(&data, Permissions::from_mode(mode)).expect("a mode");
        refused(&place, "the folder above", &data, "");
        fs::set_permissions(&data, former).expect("a mode");
    }
    fs::rename(&aside, &store).expect("the store can be moved back");
    finish(&place, &runtime, &world);
}

#[test]
fn a_store_on_a_read_only_disk_is_refused_and_named() {
    let mut place = Place::new("readonly");
    let disk = match Disk::mount(&mut place, 200) {
        Ok(disk) => disk,
        Err(why) => return not_run("a read-only disk", &why),
    };
    let (runtime, world) = with_messages(&place);
    disk.remount("ro");
    refused(&place, "a read-only disk", &place.store(), "must be on a file system that can be written");
    disk.remount("rw");
    finish(&place, &runtime, &world);
}

#[test]
fn a_store_that_becomes_read_only_loses_nothing() {
    let mut dice = Dice::of_run("a store that becomes read-only");
    let Some(place) = place_of_user("becomes") else { return };
    let (runtime, world) = (Runtime::new().expect("a runtime"), Arc::new(World::default()));
    let mut modes = None;
    let commands = dice.below(1000);
    until_store_is_lost(&place, &runtime, &world, &mut dice, commands, |_| {
        // Files that are open go on to be written, until the first new one is needed.
        modes = Some(Modes::set(&place, 0o500, Some(0o400)));
    });
    refused(&place, "read-only since it ran", &place.store(), "must belong to the user that runs the server");
    drop(modes);
    all_comes(&place, &runtime, &world);
}

/// The start must be refused with a message that names the folder and the way out.
#[track_caller]
fn refused(place: &Place, what: &str, folder: &Path, way_out: &str) {
    let (status, told) = place.run(&["start"]);
    assert_eq!(status.code(), Some(1), "{what}: {told}");
    let last = told.lines().last().unwrap_or_default();
    println!("{what}: {last}");
    assert!(last.starts_with("smp-server: ") && last.contains(&*folder.to_string_lossy()), "{what}: {told}");
    assert!(last.contains(way_out), "{what}: {told}");
    assert!(last.contains("SMP_SERVER_LOG_PATH"), "{what}, no setting: {told}");
}

/// A place whose server runs as a user whom permissions bind; none where there is no such user.
fn place_of_user(name: &str) -> Option<Place> {
    let mut place = Place::new(name);
    if !geteuid().is_root() {
        println!("{name}: the server runs as the user of the test");
        return Some(place);
    }
    match place.give_to(NOBODY) {
        Ok(()) => {
            println!("{name}: the test runs as root, and the server as user {NOBODY}");
            Some(place)
        }
        Err(error) => {
            not_run(&format!("{name}, as another user than root"), &error.to_string());
            None
        }
    }
}

/// A store with queues and messages, closed in order.
fn with_messages(place: &Place) -> (Runtime, Arc<World>) {
    let (runtime, world) = (Runtime::new().expect("a runtime"), Arc::new(World::default()));
    let mut server = place.start();
    let mut dice = Dice::of_run("a store with messages");
    until_answered(&runtime, &world, &mut server, &mut dice, 300, |server| server.signal(Signal::TERM));
    judge(&world, &mut server, "before");
    let (status, told) = server.ended();
    assert!(status.success(), "{told}");
    (runtime, world)
}

/// Modes of the store's files, which are as before when this is dropped.
struct Modes(Vec<(PathBuf, Permissions)>);

impl Modes {
    /// Sets the mode of the store's folder, and of all that is in it if one for files is given.
    fn set(place: &Place, folders: u32, files: Option<u32>) -> Self {
        let all = place.files(&place.store()).expect("the store");
        let all = if files.is_some() { &all[..] } else { &all[..1] };
        let former = all.iter().map(|path| {
            let permissions = fs::metadata(path).expect("a file").permissions();
            let mode = if path.is_dir() { folders } else { files.unwrap_or(folders) };
            (path.clone(), permissions, mode)
        });
        let former: Vec<_> = former.collect();
        // From the inside, because what is inside a folder that cannot be entered cannot be changed.
        for (path, _, mode) in former.iter().rev() {
            fs::set_permissions(path, Permissions::from_mode(*mode)).expect("a mode");
        }
        Self(former.into_iter().map(|(path, permissions, _)| (path, permissions)).collect())
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        for (path, permissions) in &self.0 {
            fs::set_permissions(path, permissions.clone()).expect("the mode that it had");
        }
    }
}
