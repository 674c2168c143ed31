//! Looking up names, a bounded number of them at a time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, watch};

/// The look-ups of a runtime.
///
/// The system looks a name up on a thread that nothing can end: a name whose servers are silent takes it for as long as the
/// system goes on asking. So there are [`LOOKUPS_MAX`] of those threads, and further names wait for as long as whoever asked
/// does. A name takes one thread however many ask for it, also when they have stopped waiting.
#[derive(Debug)]
pub(crate) struct Names {
    threads: Arc<Semaphore>,
    /// Held by those who wait, and by the thread.
    under_way: Mutex<BTreeMap<String, Weak<Lookup>>>,
}

/// One look-up: nothing until it has a thread, then what it found, if it has ended.
type Lookup = OnceCell<watch::Receiver<Option<Found>>>;
type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

impl Names {
    pub(crate) fn new() -> Self {
        Self { threads: Arc::new(Semaphore::new(LOOKUPS_MAX)), under_way: Mutex::default() }
    }

    /// The addresses of `name`, as `system` finds them.
    pub(crate) async fn look_up(
        &self,
        tokio: &Handle,
        name: &str,
        system: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    ) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_ascii_lowercase();
        let lookup = self.lookup(&name);
        let begun = lookup.get_or_try_init(|| async {
            let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| stopped())?;
            let (sender, receiver) = watch::channel(None);
            let kept = Arc::clone(&lookup);
            drop(tokio.spawn_blocking(move || {
                sender.send_replace(Some(system(&name).map_err(Arc::new)));
                drop((kept, thread));
            }));
            Ok::<_, io::Error>(receiver)
        });
        let mut found = begun.await?.clone();
        match &*found.wait_for(Option::is_some).await.map_err(|_| stopped())? {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(error)) => Err(io::Error::new(error.kind(), Arc::clone(error))),
            None => Err(stopped()),
        }
    }

    /// The look-up of a name that is under way, or a new one. What one found is not remembered.
    fn lookup(&self, name: &str) -> Arc<Lookup> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |lookup: &Arc<Lookup>| lookup.get().is_none_or(|found| found.borrow().is_none());
        if let Some(lookup) = under_way.get(name).and_then(Weak::upgrade).filter(goes_on) {
            return lookup;
        }
        // As many are left as there are threads and callers.
        under_way.retain(|_, lookup| lookup.strong_count() > 0);
        let lookup = Arc::default();
        under_way.insert(name.to_owned(), Arc::downgrade(&lookup));
        lookup
    }
}

/// The runtime has stopped, and drops what it had not begun.
fn stopped() -> io::Error {
    io::Error::other("the tokio runtime has stopped")
}

/// Look-ups at the same time. Tokio has 512 such threads, and others need some.
pub(crate) const LOOKUPS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::mpsc;

    use tokio::task::JoinSet;

    use super::*;

    type Names = Arc<super::Names>;
    type Answer = io::Result<Vec<SocketAddr>>;

    fn found() -> Vec<SocketAddr> {
        vec![SocketAddr::from(([192, 0, 2, 1], 0))]
    }

    /// A name whose look-up says that it began, and ends when the test says how.
    fn silent(
        names: &Names,
        name: &str,
        began: &mpsc::Sender<String>,
    ) -> (impl Future<Output = Answer> + Send + 'static, mpsc::Sender<Answer>) {
        let (names, name, began) = (Arc::clone(names), name.to_owned(), began.clone());
        let (ends, end) = mpsc::channel();
        let system = move |name: &str| {
            began.send(name.to_owned()).unwrap();
            end.recv().unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        };
        (async move { names.look_up(&Handle::current(), &name, system).await }, ends)
    }

    /// What a name without silence is found to be.
    async fn quick(names: &Names, name: &str) -> Answer {
        names.look_up(&Handle::current(), name, |_| Ok(found())).await
    }

    /// The next look-up that began. A thread of tokio says so; the tasks of the test go on meanwhile.
    async fn next(began: &mpsc::Receiver<String>) -> String {
        loop {
            match began.try_recv() {
                Ok(name) => return name,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test]
    async fn names_beyond_the_bound_wait_for_a_thread() {
        let (names, (began, begins)) = (Arc::new(super::Names::new()), mpsc::channel());
        let (mut tasks, mut ends) = (JoinSet::new(), Vec::new());
        for number in 0..LOOKUPS_MAX {
            let (asked, end) = silent(&names, &format!("silent-{number}.example"), &began);
            tasks.spawn(asked);
            ends.push(end);
            next(&begins).await;
        }
        let mut waits = Box::pin(quick(&names, "a.example"));
        for _ in 0..100 {
            assert!(poll_once(&mut waits).await.is_none());
        }
        // The callers give up. The threads are kept all the same, because the system is still at it.
        tasks.shutdown().await;
        assert!(poll_once(&mut waits).await.is_none());
        assert_eq!(names.threads.available_permits(), 0);
        drop(ends.pop());
        assert_eq!(waits.await.unwrap(), found());
        // Whoever does not wait any more is in nobody's way.
        let (asked, end) = silent(&names, "silent.example", &began);
        let silent = tokio::spawn(asked);
        assert_eq!(next(&begins).await, "silent.example");
        let mut gives_up = Box::pin(quick(&names, "b.example"));
        assert!(poll_once(&mut gives_up).await.is_none());
        drop(gives_up);
        end.send(Err(ErrorKind::NotFound.into())).unwrap();
        assert_eq!(silent.await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(quick(&names, "c.example").await.unwrap(), found());
    }

    #[tokio::test]
    async fn a_name_that_is_under_way_is_not_looked_up_again() {
        let (names, (began, begins)) = (Arc::new(super::Names::new()), mpsc::channel());
        let (asked, end) = silent(&names, "a.example", &began);
        let first = tokio::spawn(asked);
        assert_eq!(next(&begins).await, "a.example");
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let mut others = JoinSet::new();
        for name in ["a.example", "A.Example", "a.example"] {
            let (asked, _) = silent(&names, name, &began);
            others.spawn(asked);
        }
        tokio::task::yield_now().await;
        assert_eq!(quick(&names, "b.example").await.unwrap(), found());
        end.send(Ok(Vec::new())).unwrap();
        while let Some(other) = others.join_next().await {
            assert_eq!(other.unwrap().unwrap(), []);
        }
        assert!(begins.try_recv().is_err());
        // What was found is not remembered, and what nobody waits for takes no room.
        assert_eq!(quick(&names, "A.example").await.unwrap(), found());
        for number in 0..3 * LOOKUPS_MAX {
            quick(&names, &format!("{number}.example")).await.unwrap();
        }
        assert!(names.under_way.lock().unwrap().len() <= LOOKUPS_MAX + 1);
    }

    #[test]
    fn a_runtime_that_stops_is_an_error() {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = tokio.handle().clone();
        drop(tokio);
        let names = super::Names::new();
        let mut asked = Box::pin(names.look_up(&handle, "a.example", |_| Ok(found())));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(answer) = asked.as_mut().poll(&mut cx) else { panic!("it waits") };
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Other);
    }

    /// Polls once, after others had their turn.
    async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        tokio::task::yield_now().await;
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
