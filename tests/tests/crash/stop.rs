//! SIGTERM and SIGINT under load.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::runtime::Runtime;

use crate::dice::Dice;
use crate::kill::{finish, judge, judge_answers, until_answered};
use crate::program::Place;
use crate::world::World;

/// How often each is tried.
const ROUNDS: u64 = 8;

#[test]
fn stopped_under_load_loses_nothing() {
    let mut dice = Dice::of_run("stopped under load");
    let place = Place::new("stop");
    let runtime = Runtime::new().expect("a runtime");
    let world = Arc::new(World::default());
    for round in 0..ROUNDS {
        let mut server = place.start();
        let commands = dice.below(1000);
        until_answered(&runtime, &world, &mut server, &mut dice, commands, |server| {
            server.signal(Signal::TERM)
        });
        judge(&world, &mut server, &format!("stop {round}"));
        let (status, told) = server.ended();
        assert_eq!(status.code(), Some(0), "{told}");
        assert!(told.contains("stopped, everything is written"), "{told}");
    }
    finish(&place, &runtime, &world);
    println!("{ROUNDS} stops: {:?}, 0 lost", world.counts());
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let mut dice = Dice::of_run("a second signal");
    let place = Place::new("signals");
    let runtime = Runtime::new().expect("a runtime");
    let world = Arc::new(World::default());
    let mut at_once = 0;
    for round in 0..ROUNDS {
        let mut server = place.start();
        let commands = dice.below(1000);
        let second = if dice.chance(50) { Signal::TERM } else { Signal::INT };
        let wait = dice.wait(Duration::from_millis(5));
        until_answered(&runtime, &world, &mut server, &mut dice, commands, |server| {
            server.signal(Signal::TERM);
            thread::sleep(wait);
            server.signal(second);
        });
        let (status, told) = server.ended();
        judge_answers(&world, &told, &format!("stop {round}"));
        assert!(!told.contains(" error "), "{told}");
        // It may have stopped in order before the second signal came.
        match status.code() {
            Some(0) => {}
            Some(3) => at_once += 1,
            code => panic!("exit code {code:?}: {told}"),
        }
    }
    finish(&place, &runtime, &world);
    println!("{ROUNDS} stops with a second signal, {at_once} ended at once: {:?}, 0 lost", world.counts());
}
