//! Looking up names, a bounded number of them at a time.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_channel::oneshot;

/// The look-ups of a runtime, for adapters: what [`Runtime::resolve`](crate::Runtime::resolve) asks for.
///
/// The system looks a name up on a thread that nothing can end: a name whose servers are silent takes it for as long as the
/// system goes on asking. So there are [`LOOKUPS_MAX`] of those threads, and further names wait for as long as whoever asked
/// does. A name takes one thread however many ask for it, also when they have stopped waiting. What was found is not remembered.
///
/// Clones share all this.
#[derive(Clone, Default, Debug)]
pub struct Names(Arc<Mutex<State>>);

/// Look-ups at the same time. Runtimes have some hundreds of threads for what blocks, and others need some.
pub const LOOKUPS_MAX: usize = 64;

#[derive(Default, Debug)]
struct State {
    threads: usize,
    lookups: BTreeMap<String, Lookup>,
    /// The names that wait for a thread, in the order in which they came.
    waiting: BTreeMap<u64, String>,
    last: u64,
}

struct Lookup {
    /// In [`State::waiting`].
    number: u64,
    /// Nothing once it has a thread.
    system: Option<System>,
    callers: Vec<oneshot::Sender<Found>>,
}

type System = Box<dyn FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send>;
type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

impl Names {
    /// The addresses of `host`, a name or a literal IP address without brackets, with this port. A literal one takes no thread.
    ///
    /// `spawn` runs what blocks, on a thread for that, to its end.
    pub fn resolve(&self, host: &str, port: u16, spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> Resolving {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Resolving(Answer::Literal(SocketAddr::new(address, port)));
        }
        let system = |name: &str| (name, 0).to_socket_addrs().map(Iterator::collect);
        self.look_up(host, port, Box::new(system), spawn)
    }

    fn look_up(
        &self,
        name: &str,
        port: u16,
        system: System,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>),
    ) -> Resolving {
        let name = name.to_ascii_lowercase();
        let (sender, receiver) = oneshot::channel();
        let begins = self.state().add(&name, system, sender);
        if let Some(begins) = begins {
            let thread = Thread { names: self.clone(), name: Some(name.clone()) };
            spawn(Box::new(move || thread.run(begins)));
        }
        Resolving(Answer::Asked { receiver, port, name, names: self.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Somebody asks for a name. What a new thread is to begin with, if it takes one.
    fn add(&mut self, name: &str, system: System, caller: oneshot::Sender<Found>) -> Option<System> {
        if let Some(lookup) = self.lookups.get_mut(name) {
            lookup.callers.push(caller);
            return None;
        }
        self.last += 1;
        let (number, callers) = (self.last, vec![caller]);
        let has_thread = self.threads < LOOKUPS_MAX;
        let (begins, system) = if has_thread { (Some(system), None) } else { (None, Some(system)) };
        match has_thread {
            true => self.threads += 1,
            false => _ = self.waiting.insert(number, name.to_owned()),
        }
        self.lookups.insert(name.to_owned(), Lookup { number, system, callers });
        begins
    }

    /// A thread is done with a name. What it begins next; nothing ends it.
    fn next(&mut self) -> Option<(String, System)> {
        while let Some((_, name)) = self.waiting.pop_first() {
            let system = self.lookups.get_mut(&name).and_then(|lookup| lookup.system.take());
            if let Some(system) = system {
                return Some((name, system));
            }
        }
        self.threads -= 1;
        None
    }

    /// A caller does not wait any more. A look-up that has no thread is for those who wait.
    fn leave(&mut self, name: &str) {
        let Some(lookup) = self.lookups.get_mut(name) else { return };
        lookup.callers.retain(|caller| !caller.is_canceled());
        if lookup.callers.is_empty() && lookup.system.is_some() {
            self.waiting.remove(&lookup.number);
            self.lookups.remove(name);
        }
    }
}

/// A thread of the runtime's, and the name that it has to look up, or is at.
struct Thread {
    names: Names,
    name: Option<String>,
}

impl Thread {
    fn run(mut self, first: System) {
        let mut next = Some(first);
        while let Some((name, system)) = self.name.clone().zip(next.take()) {
            let found = system(&name).map_err(Arc::new);
            let mut state = self.names.state();
            let lookup = state.lookups.remove(&name);
            (self.name, next) = state.next().unzip();
            drop(state);
            for caller in lookup.into_iter().flat_map(|lookup| lookup.callers) {
                // Who does not wait any more is not told.
                let _ = caller.send(found.clone());
            }
        }
    }
}

/// The runtime has stopped and drops what it had not begun, or the system's look-up panicked.
impl Drop for Thread {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let mut state = self.names.state();
        let mut dropped: Vec<_> = state.lookups.remove(&name).into_iter().collect();
        state.threads -= 1;
        if state.threads == 0 {
            // Nobody would begin them.
            state.waiting.clear();
            dropped.extend(std::mem::take(&mut state.lookups).into_values());
        }
        drop(state);
        drop(dropped);
    }
}

/// The addresses of a host, when they are known. Dropping it ends the waiting.
#[derive(Debug)]
#[must_use = "nobody waits for it"]
pub struct Resolving(Answer);

#[derive(Debug)]
enum Answer {
    Literal(SocketAddr),
    Asked { receiver: oneshot::Receiver<Found>, port: u16, name: String, names: Names },
}

impl Future for Resolving {
    type Output = io::Result<Vec<SocketAddr>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (receiver, port) = match &mut self.0 {
            Answer::Literal(address) => return Poll::Ready(Ok(vec![*address])),
            Answer::Asked { receiver, port, .. } => (receiver, *port),
        };
        let found = ready!(Pin::new(receiver).poll(cx));
        Poll::Ready(match found {
            Ok(Ok(addresses)) => Ok(addresses.iter().map(|of| SocketAddr::new(of.ip(), port)).collect()),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), error)),
            Err(oneshot::Canceled) => Err(io::Error::other("the runtime has stopped")),
        })
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        if let Answer::Asked { receiver, name, names, .. } = &mut self.0 {
            receiver.close();
            names.state().leave(name);
        }
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::mpsc;
    use std::task::Waker;
    use std::thread;

    use super::*;

    type Answer = io::Result<Vec<SocketAddr>>;

    const PORT: u16 = 5223;

    fn found() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([192, 0, 2, 1], 0))]
    }

    fn on_a_thread(work: Box<dyn FnOnce() + Send>) {
        thread::spawn(work);
    }

    /// A name whose look-up says that it began, and ends when the test says how.
    fn silent(names: &Names, name: &str, began: &mpsc::Sender<String>) -> (Resolving, mpsc::Sender<Answer>) {
        let began = began.clone();
        let (ends, end) = mpsc::channel();
        let system = move |name: &str| {
            began.send(name.to_owned()).unwrap();
            end.recv().unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        };
        (names.look_up(name, PORT, Box::new(system), on_a_thread), ends)
    }

    /// What a name without silence is found to be.
    fn quick(names: &Names, name: &str) -> Resolving {
        names.look_up(name, PORT, Box::new(|_| Ok(found())), on_a_thread)
    }

    fn poll(resolving: &mut Resolving) -> Poll<Answer> {
        Pin::new(resolving).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn wait(mut resolving: Resolving) -> Answer {
        loop {
            match poll(&mut resolving) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::yield_now(),
            }
        }
    }

    /// Threads, look-ups, and those that wait for a thread.
    fn counts(names: &Names) -> (usize, usize, usize) {
        let state = names.state();
        (state.threads, state.lookups.len(), state.waiting.len())
    }

    fn at_port(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        addresses.into_iter().map(|address| SocketAddr::new(address.ip(), PORT)).collect()
    }

    #[test]
    fn names_beyond_the_bound_wait_for_a_thread() {
        let (names, (began, begins)) = (Names::default(), mpsc::channel());
        let (mut asked, mut ends) = (Vec::new(), Vec::new());
        for number in 0..LOOKUPS_MAX {
            let (asks, end) = silent(&names, &format!("silent-{number}.example"), &began);
            asked.push(asks);
            ends.push(end);
            begins.recv().unwrap();
        }
        let mut waits = quick(&names, "a.example");
        assert!(poll(&mut waits).is_pending());
        // The callers give up. The threads are kept all the same, because the system is still at it.
        asked.clear();
        assert!(poll(&mut waits).is_pending());
        // Whoever does not wait any more is in nobody's way.
        for number in 0..3 * LOOKUPS_MAX {
            drop(quick(&names, &format!("{number}.example")));
        }
        assert_eq!(counts(&names), (LOOKUPS_MAX, LOOKUPS_MAX + 1, 1));
        drop(ends.pop());
        assert_eq!(wait(waits).unwrap(), at_port(found()));
        assert_eq!(wait(quick(&names, "c.example")).unwrap(), at_port(found()));
    }

    #[test]
    fn a_name_that_is_under_way_is_not_looked_up_again() {
        let (names, (began, begins)) = (Names::default(), mpsc::channel());
        let (first, end) = silent(&names, "a.example", &began);
        assert_eq!(begins.recv().unwrap(), "a.example");
        drop(first);
        let others = ["a.example", "A.Example", "a.example"].map(|name| silent(&names, name, &began).0);
        assert_eq!(wait(quick(&names, "b.example")).unwrap(), at_port(found()));
        end.send(Err(ErrorKind::NotFound.into())).unwrap();
        for other in others {
            assert_eq!(wait(other).unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert!(begins.try_recv().is_err());
        // What was found is not remembered, and what has ended takes no room.
        assert_eq!(wait(quick(&names, "A.example")).unwrap(), at_port(found()));
        assert_eq!(names.state().lookups.len(), 0);
    }

    #[test]
    fn a_runtime_that_has_stopped_is_an_error() {
        let names = Names::default();
        let (began, _begins) = mpsc::channel();
        let (first, end) = silent(&names, "first.example", &began);
        let dropped = names.look_up("a.example", PORT, Box::new(|_| Ok(found())), drop);
        assert_eq!(wait(dropped).unwrap_err().kind(), ErrorKind::Other);
        end.send(Ok(Vec::new())).unwrap();
        assert_eq!(wait(first).unwrap(), []);
        assert_eq!(counts(&names), (0, 0, 0));
    }

    #[test]
    fn the_system_is_asked() {
        let local = wait(Names::default().resolve("localhost", PORT, on_a_thread)).unwrap();
        assert!(!local.is_empty() && local.iter().all(|of| of.ip().is_loopback() && of.port() == PORT));
    }

    #[test]
    fn literal_addresses_take_no_thread() {
        for address in ["127.0.0.1", "::1"] {
            let expected = SocketAddr::new(address.parse().unwrap(), PORT);
            let resolving = Names::default().resolve(address, PORT, |_| panic!("a thread"));
            assert_eq!(wait(resolving).unwrap(), [expected]);
        }
    }
}
