//! SIGKILL at random moments.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use crate::check;
use crate::dice::{Dice, number};
use crate::load;
use crate::program::{GUARD, Place, Server};
use crate::world::World;

/// Kills of a run, unless `SMP_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 60;
/// Longer than it takes to open the store.
const START: Duration = Duration::from_millis(150);

/// How a round ends.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after the program was started: mostly before it serves.
    AtStart(Duration),
    /// When so many commands were answered, and a little later.
    UnderLoad(u64, Duration),
}

impl Moment {
    fn draw(dice: &mut Dice) -> Self {
        if dice.chance(25) {
            return Self::AtStart(dice.wait(START));
        }
        // Mostly small numbers: there clients connect, and look at what is there.
        let most = [30, 300, 3000][dice.below(3) as usize];
        Self::UnderLoad(dice.below(most), dice.wait(Duration::from_millis(10)))
    }
}

#[test]
fn killed_under_load_loses_nothing() {
    let rounds = number("SMP_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let mut dice = Dice::of_run("killed under load");
    let place = Place::new("kill");
    let runtime = Runtime::new().expect("a runtime");
    let world = Arc::new(World::default());
    let start = Instant::now();
    let mut loaded = 0;
    for round in 1..=rounds {
        let moment = Moment::draw(&mut dice);
        let mut server = place.start();
        match moment {
            Moment::AtStart(wait) => {
                thread::sleep(wait);
                assert!(server.is_running(), "round {round}: it ended by itself: {}", server.told());
                server.kill();
            }
            Moment::UnderLoad(commands, wait) => {
                loaded += 1;
                under_load(&runtime, &world, &mut server, &mut dice, commands, wait);
            }
        }
        judge(&world, &mut server, &format!("round {round}, {moment:?}"));
    }
    let owed = world.owed();
    finish(&place, &runtime, &world);
    let counts = world.counts();
    println!(
        "{rounds} rounds in {:.0?}, {loaded} under load: {} commands answered, {} queues; messages: {} accepted, \
         {} received, {} of these again before their ACK, {} refused by full queues; {owed} were owed after the last \
         kill; 0 lost, 0 duplicated",
        start.elapsed(),
        world.answered.load(Ordering::SeqCst),
        world.queues().len(),
        counts.accepted,
        counts.received,
        counts.again,
        counts.refused,
    );
}

#[test]
fn killed_while_its_store_is_made() {
    let mut dice = Dice::of_run("killed while the store is made");
    let runtime = Runtime::new().expect("a runtime");
    for _ in 0..6 {
        let place = Place::new("create");
        for _ in 0..=dice.below(3) {
            let mut server = place.start();
            thread::sleep(dice.wait(START));
            assert!(server.is_running(), "it ended by itself: {}", server.told());
            server.kill();
        }
        let world = Arc::new(World::default());
        let mut server = place.start();
        under_load(&runtime, &world, &mut server, &mut dice, 200, Duration::ZERO);
        judge(&world, &mut server, "after its creation");
        finish(&place, &runtime, &world);
    }
}

/// Lets clients work until so many commands were answered, and kills the server a little later.
fn under_load(
    runtime: &Runtime,
    world: &Arc<World>,
    server: &mut Server,
    dice: &mut Dice,
    commands: u64,
    wait: Duration,
) {
    until_answered(runtime, world, server, dice, commands, |server| {
        thread::sleep(wait);
        assert!(server.is_running(), "it ended by itself: {}", server.told());
        server.kill();
    });
}

/// Lets clients work until so many commands were answered, then does something that ends the server, and waits until
/// all clients have seen that.
pub(crate) fn until_answered(
    runtime: &Runtime,
    world: &Arc<World>,
    server: &mut Server,
    dice: &mut Dice,
    commands: u64,
    end: impl FnOnce(&mut Server),
) {
    let address = server.serving();
    world.may_end.store(false, Ordering::SeqCst);
    let goal = world.answered.load(Ordering::SeqCst) + commands;
    let load = runtime.spawn(load::work(Arc::clone(world), address, dice.fork()));
    let reached = async {
        while world.answered.load(Ordering::SeqCst) < goal && world.faults().is_empty() {
            sleep(Duration::from_micros(300)).await;
        }
    };
    let in_time = runtime.block_on(async { timeout(GUARD, reached).await });
    world.may_end.store(true, Ordering::SeqCst);
    assert!(in_time.is_ok(), "commands are not answered any more: {}", server.told());
    end(server);
    let ended = runtime.block_on(async { timeout(GUARD, load).await });
    ended.expect("clients see that the server has ended").expect("clients do not panic");
}

/// Ends the test if anything went wrong.
#[track_caller]
pub(crate) fn judge(world: &World, server: &mut Server, when: &str) {
    judge_answers(world, &server.told(), when);
    let log = server.logged();
    assert!(!log.contains(" error "), "{when}: an error in the log:\n{log}");
}

/// The same, for a server that may have errors in its log.
#[track_caller]
pub(crate) fn judge_answers(world: &World, told: &str, when: &str) {
    let faults = world.faults();
    assert!(faults.is_empty(), "{when}:\n{}\n{told}", faults.join("\n"));
}

/// Starts the server once more, receives everything, and compares with what the server itself counts.
#[track_caller]
pub(crate) fn finish(place: &Place, runtime: &Runtime, world: &Arc<World>) {
    let mut server = place.start();
    let address = server.serving();
    world.may_end.store(false, Ordering::SeqCst);
    world.may_fail.store(false, Ordering::SeqCst);
    let settled = runtime.block_on(async { timeout(GUARD, check::settle(Arc::clone(world), address)).await });
    assert!(settled.is_ok(), "commands are not answered any more: {}", server.told());
    judge(world, &mut server, "at the end");
    assert_eq!(world.owed(), 0, "messages that were accepted and did not come");
    server.signal(rustix::process::Signal::TERM);
    let (status, told) = server.ended();
    assert!(status.success(), "{told}");
    let (status, told) = place.run(&["start", "--maintenance"]);
    assert!(status.success(), "{told}");
    let counts = told.lines().find_map(|line| line.strip_prefix("Queues: ")).unwrap_or_default();
    let (queues, messages) = counts.split_once(", messages: ").unwrap_or_default();
    let queues: u64 = queues.parse().unwrap_or_else(|_| panic!("no counts: {told}"));
    let known =
        world.queues().iter().filter(|queue| queue.known().deleted == crate::world::Claim::No).count();
    let most = known as u64 + world.unknown_creations.load(Ordering::SeqCst);
    assert!((known as u64..=most).contains(&queues), "{queues} queues, and there must be {known} to {most}");
    assert_eq!(messages, "0", "messages are left that nobody got");
}
