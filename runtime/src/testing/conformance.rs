//! What every adapter must do, as tests that run on any of them: see [`runtime_conformance!`](crate::runtime_conformance).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};

use super::TestRuntime;
use crate::{ByteStream, Listener, Runtime};
use smp_core::Timestamp;

/// A runtime that runs, and how a test waits in it.
pub trait Platform {
    /// The adapter.
    type Runtime: Runtime;

    /// One of its runtimes; all that are asked for share the network.
    fn runtime(&self) -> Self::Runtime;

    /// Runs a future to its end.
    fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T;
}

impl Platform for TestRuntime {
    type Runtime = Self;

    fn runtime(&self) -> Self {
        self.clone()
    }

    fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        Self::block_on(self, future)
    }
}

/// Makes a test of each function of [`testing::conformance`](crate::testing::conformance), on this [`Platform`].
///
/// ```
/// smp_runtime::runtime_conformance!(smp_runtime::testing::TestRuntime::default());
/// ```
#[macro_export]
macro_rules! runtime_conformance {
    ($platform:expr) => {
        $crate::runtime_conformance!($platform;
            clocks, timers, abandoned_timers, tasks, both_ways, half_close, back_pressure, dropped_streams,
            abandoned_reads, abandoned_accepts, abandoned_connects, many_connections, listeners, names);
    };
    ($platform:expr; $($case:ident),*) => {
        $(#[test]
        fn $case() {
            $crate::testing::conformance::$case(&$platform);
        })*
    };
}

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn read(stream: &mut impl ByteStream, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buffer)).await
}

async fn read_to_end(stream: &mut impl ByteStream) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match read(stream, &mut buffer).await? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn write(stream: &mut impl ByteStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

async fn accept<L: Listener>(listener: &mut L) -> io::Result<L::Stream> {
    poll_fn(|cx| listener.poll_accept(cx)).await.map(|(stream, _)| stream)
}

/// Both ends of a connection.
async fn pair<R: Runtime>(runtime: &R) -> (R::Stream, R::Stream) {
    let mut listener = runtime.listen(LOCAL).await.expect("a listener");
    let address = listener.local_address().expect("an address");
    let ours = runtime.connect(address).await.expect("a connection");
    (ours, accept(&mut listener).await.expect("a connection"))
}

/// Polls once, with a waker that wakes nobody.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Copies share a monotonic clock, and the other one is that of the world.
///
/// # Panics
/// If not, as all of these.
pub fn clocks(platform: &impl Platform) {
    let runtime = platform.runtime();
    let first = runtime.now();
    let then = runtime.clone().now();
    assert!(first.mono <= then.mono);
    assert!(then.unix.as_millis() >= first.unix.as_millis());
    assert!(then.mono < Timestamp::ZERO + Duration::from_secs(3600), "it counts from the beginning");
}

/// A timer ends at its time and not a moment before; one whose time has passed, at once; a far one, not.
///
/// # Panics
/// If not.
pub fn timers(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let began = runtime.now().mono;
        let mut late = pin!(runtime.sleep_until(began + Duration::from_millis(30)));
        let early = runtime.sleep_until(began + Duration::from_millis(5));
        assert!(poll_once(late.as_mut()).is_pending());
        early.await;
        assert!(runtime.now().mono >= began + Duration::from_millis(5));
        late.await;
        assert!(runtime.now().mono >= began + Duration::from_millis(30));
        runtime.sleep_until(Timestamp::ZERO).await;
        runtime.sleep_until(runtime.now().mono).await;
        for far in [began + Duration::from_secs(10_000_000), Timestamp::from_micros(u64::MAX)] {
            assert!(poll_once(pin!(runtime.sleep_until(far))).is_pending());
        }
    });
}

/// Thousands of timers that nobody waits for any more are in nobody's way.
///
/// # Panics
/// If they are.
pub fn abandoned_timers(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let at = runtime.now().mono + Duration::from_millis(10);
        for _ in 0..5000 {
            assert!(
                poll_once(Box::pin(runtime.sleep_until(at)).as_mut()).is_pending()
                    || runtime.now().mono >= at
            );
        }
        runtime.sleep_until(at).await;
    });
}

/// Tasks run to their end though nobody waits for them, also those that tasks begin.
///
/// # Panics
/// If not.
pub fn tasks(platform: &impl Platform) {
    let runtime = platform.runtime();
    let (sender, mut receiver) = mpsc::unbounded();
    for number in 0..100 {
        let (inner, sender) = (runtime.clone(), sender.clone());
        runtime.spawn(async move {
            let (deeper, at) = (inner.clone(), inner.now().mono + Duration::from_micros(number));
            inner.spawn(async move {
                deeper.sleep_until(at).await;
                sender.unbounded_send(number).expect("the test waits");
            });
        });
    }
    drop(sender);
    let mut numbers = platform.block_on(async move {
        let mut numbers = Vec::new();
        while let Some(number) = poll_fn(|cx| poll_next(&mut receiver, cx)).await {
            numbers.push(number);
        }
        numbers
    });
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..100));
}

fn poll_next<T>(receiver: &mut mpsc::UnboundedReceiver<T>, cx: &mut Context<'_>) -> Poll<Option<T>> {
    let mut next = receiver.recv();
    match Pin::new(&mut next).poll(cx) {
        Poll::Ready(item) => Poll::Ready(item.ok()),
        Poll::Pending => Poll::Pending,
    }
}

/// A connection carries bytes both ways, and knows who is at the other end.
///
/// # Panics
/// If not.
pub fn both_ways(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let mut listener = runtime.listen(LOCAL).await.expect("a listener");
        let address = listener.local_address().expect("an address");
        assert_ne!(address.port(), 0);
        let mut ours = runtime.connect(address).await.expect("a connection");
        let (mut theirs, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.expect("a connection");
        assert_eq!(peer.ip(), address.ip());
        let mut buffer = [0; 16];
        write(&mut ours, b"question").await.expect("written");
        assert_eq!(read(&mut theirs, &mut buffer[..3]).await.expect("read"), 3);
        assert_eq!(read(&mut theirs, &mut buffer[3..]).await.expect("read"), 5);
        assert_eq!(&buffer[..8], b"question");
        write(&mut theirs, b"answer").await.expect("written");
        assert_eq!(read(&mut ours, &mut buffer).await.expect("read"), 6);
    });
}

/// One direction ends, after what was written; the other one goes on.
///
/// # Panics
/// If not.
pub fn half_close(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let (mut ours, mut theirs) = pair(&runtime).await;
        write(&mut ours, b"question").await.expect("written");
        poll_fn(|cx| ours.poll_shutdown(cx)).await.expect("ended");
        assert_eq!(read_to_end(&mut theirs).await.expect("read"), b"question");
        let mut none = [0; 1];
        assert_eq!(read(&mut theirs, &mut none).await.expect("read"), 0, "it stays at its end");
        write(&mut theirs, b"answer").await.expect("written");
        poll_fn(|cx| theirs.poll_shutdown(cx)).await.expect("ended");
        assert_eq!(read_to_end(&mut ours).await.expect("read"), b"answer");
    });
}

/// Whoever writes waits when nobody reads, is woken when somebody does, and nothing is lost.
///
/// # Panics
/// If not.
pub fn back_pressure(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let (mut ours, mut theirs) = pair(&runtime).await;
        let block: Vec<u8> = (0..=250).cycle().take(251 * 64).collect();
        let mut written = 0_usize;
        let mut idle = 0;
        // The system takes some, and a little more when it had the time to carry it over.
        while idle < 20 {
            let from = written % block.len();
            let tried = ours.poll_write(&mut Context::from_waker(Waker::noop()), &block[from..]);
            match tried {
                Poll::Ready(count) => (written, idle) = (written + count.expect("written"), 0),
                Poll::Pending => {
                    idle += 1;
                    runtime.sleep_until(runtime.now().mono + Duration::from_millis(1)).await;
                }
            }
            assert!(written < 1 << 30, "somebody takes all that comes");
        }
        let (told, done) = oneshot::channel();
        let rest = block[written % block.len()..].to_vec();
        let total = written + rest.len();
        runtime.spawn(async move {
            write(&mut ours, &rest).await.expect("written");
            poll_fn(|cx| ours.poll_shutdown(cx)).await.expect("ended");
            told.send(()).expect("the test waits");
        });
        let all = read_to_end(&mut theirs).await.expect("read");
        done.await.expect("written");
        assert_eq!(all.len(), total);
        assert!(all.chunks(block.len()).all(|chunk| *chunk == block[..chunk.len()]));
    });
}

/// A connection that is dropped is at its end for the other side, whether or not that reads just then.
///
/// # Panics
/// If not.
pub fn dropped_streams(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let (ours, mut theirs) = pair(&runtime).await;
        drop(ours);
        assert_eq!(read_to_end(&mut theirs).await.unwrap_or_default(), b"");
        let (ours, mut theirs) = pair(&runtime).await;
        let (told, done) = oneshot::channel();
        runtime.spawn(async move {
            let all = read_to_end(&mut theirs).await.unwrap_or_default();
            told.send(all).expect("the test waits");
        });
        runtime.sleep_until(runtime.now().mono + Duration::from_millis(1)).await;
        drop(ours);
        assert_eq!(done.await.expect("it ended"), b"");
    });
}

/// A read that nobody waits for any more takes no bytes, and the next one may bring another buffer and another waker.
///
/// # Panics
/// If not.
pub fn abandoned_reads(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let (mut ours, mut theirs) = pair(&runtime).await;
        for _ in 0..3 {
            let mut buffer = [0; 4];
            assert!(theirs.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_pending());
        }
        let later = runtime.clone();
        runtime.spawn(async move {
            later.sleep_until(later.now().mono + Duration::from_millis(2)).await;
            write(&mut ours, b"bytes").await.expect("written");
        });
        assert_eq!(read_to_end(&mut theirs).await.expect("read"), b"bytes");
    });
}

/// An accept that nobody waits for any more takes no connection.
///
/// # Panics
/// If it does.
pub fn abandoned_accepts(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let mut listener = runtime.listen(LOCAL).await.expect("a listener");
        for _ in 0..3 {
            assert!(listener.poll_accept(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let address = listener.local_address().expect("an address");
        let later = runtime.clone();
        runtime.spawn(async move {
            later.sleep_until(later.now().mono + Duration::from_millis(2)).await;
            let mut ours = later.connect(address).await.expect("a connection");
            write(&mut ours, b"hello").await.expect("written");
        });
        let mut theirs = accept(&mut listener).await.expect("a connection");
        assert_eq!(read_to_end(&mut theirs).await.expect("read"), b"hello");
    });
}

/// A connection that nobody waits for any more is not left behind.
///
/// # Panics
/// If it is.
pub fn abandoned_connects(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let mut listener = runtime.listen(LOCAL).await.expect("a listener");
        let address = listener.local_address().expect("an address");
        for _ in 0..3 {
            let mut connecting = Box::pin(runtime.connect(address));
            drop(poll_once(connecting.as_mut()));
        }
        let mut ours = runtime.connect(address).await.expect("a connection");
        write(&mut ours, b"hello").await.expect("written");
        drop(ours);
        // The system may have accepted the others. They are at their end.
        loop {
            let Ok(mut theirs) = accept(&mut listener).await else { continue };
            if read_to_end(&mut theirs).await.unwrap_or_default() == b"hello" {
                break;
            }
        }
    });
}

/// Many connections at once, each with a task at either end.
///
/// # Panics
/// If one does not carry what it should.
pub fn many_connections(platform: &impl Platform) {
    const MANY: usize = 100;
    let runtime = platform.runtime();
    platform.block_on(async move {
        let mut listener = runtime.listen(LOCAL).await.expect("a listener");
        let address = listener.local_address().expect("an address");
        let server = runtime.clone();
        runtime.spawn(async move {
            for _ in 0..MANY {
                let mut theirs = accept(&mut listener).await.expect("a connection");
                server.spawn(async move {
                    let asked = read_to_end(&mut theirs).await.expect("read");
                    write(&mut theirs, &asked).await.expect("written");
                });
            }
        });
        let mut answers = Vec::new();
        for number in 0..MANY {
            let (client, (told, answer)) = (runtime.clone(), oneshot::channel());
            answers.push(answer);
            runtime.spawn(async move {
                let mut ours = client.connect(address).await.expect("a connection");
                let question = vec![u8::try_from(number).expect("few"); 5000 + number];
                write(&mut ours, &question).await.expect("written");
                poll_fn(|cx| ours.poll_shutdown(cx)).await.expect("ended");
                let answer = read_to_end(&mut ours).await.expect("read");
                told.send(answer == question).expect("the test waits");
            });
        }
        for answer in answers {
            assert_eq!(answer.await, Ok(true));
        }
    });
}

/// An address is taken by one listener, until that is dropped; and where none listens nobody connects.
///
/// # Panics
/// If not.
pub fn listeners(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        let listener = runtime.listen(LOCAL).await.expect("a listener");
        let address = listener.local_address().expect("an address");
        let error = runtime.listen(address).await.err().expect("the address is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        let error = runtime.connect(address).await.err().expect("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

/// A literal address is that address, and a name that nobody may have is an error (RFC 6761 section 6.4).
///
/// # Panics
/// If not.
pub fn names(platform: &impl Platform) {
    let runtime = platform.runtime();
    platform.block_on(async move {
        for address in ["127.0.0.1", "::1"] {
            let expected = SocketAddr::new(address.parse().expect("an address"), 5223);
            assert_eq!(runtime.resolve(address, 5223).await.expect("addresses"), [expected]);
        }
        drop(runtime.resolve("y.invalid", 5223));
        assert!(runtime.resolve("x.invalid", 5223).await.is_err());
    });
}
