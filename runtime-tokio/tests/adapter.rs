//! The adapter keeps the promises of the `Runtime` trait.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use smp_core::Timestamp;
use smp_runtime::{ByteStream, Listener, Runtime};
use smp_runtime_tokio::{TokioRuntime, TokioStream};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn read(stream: &mut TokioStream, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buffer)).await
}

async fn write(stream: &mut TokioStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

#[tokio::test]
async fn carries_bytes_both_ways_and_ends_one_way_at_a_time() {
    let runtime = TokioRuntime::current().unwrap();
    let mut listener = runtime.listen(LOCAL).await.unwrap();
    let address = listener.local_address().unwrap();
    assert_ne!(address.port(), 0);

    let mut ours = runtime.connect(address).await.unwrap();
    let (mut theirs, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    assert_eq!(peer.ip(), address.ip());

    write(&mut ours, b"question").await.unwrap();
    poll_fn(|cx| ours.poll_shutdown(cx)).await.unwrap();
    let (mut buffer, mut got) = ([0; 3], Vec::new());
    loop {
        match read(&mut theirs, &mut buffer).await.unwrap() {
            0 => break,
            count => got.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(got, b"question");
    write(&mut theirs, b"answer").await.unwrap();
    let mut answer = [0; 16];
    assert_eq!(read(&mut ours, &mut answer).await.unwrap(), 6);
}

#[tokio::test]
async fn tells_that_nobody_listens() {
    let runtime = TokioRuntime::current().unwrap();
    let address = runtime.listen(LOCAL).await.unwrap().local_address().unwrap();
    let error = runtime.connect(address).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn resolves_addresses_and_names() {
    let runtime = TokioRuntime::current().unwrap();
    let resolve = async |host| runtime.resolve(host, 5223).await;
    for address in ["127.0.0.1", "::1"] {
        let expected = SocketAddr::new(address.parse().unwrap(), 5223);
        assert_eq!(resolve(address).await.unwrap(), [expected]);
    }
    let local = resolve("localhost").await.unwrap();
    assert!(!local.is_empty() && local.iter().all(|found| found.ip().is_loopback() && found.port() == 5223));
    // A name that nobody may have (RFC 6761 section 6.4).
    assert!(resolve("x.invalid").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn sleeps_until_the_time_and_not_a_moment_less() {
    let runtime = TokioRuntime::current().unwrap();
    let clones = runtime.clone();
    assert_eq!(runtime.now().mono, Timestamp::ZERO);
    runtime.sleep_until(Timestamp::from_micros(1_500_000)).await;
    assert!(clones.now().mono >= Timestamp::from_micros(1_500_000));
    assert!(clones.now().mono < Timestamp::from_micros(1_600_000));
    runtime.sleep_until(Timestamp::ZERO).await;
    let far = runtime.sleep_until(Timestamp::from_micros(u64::MAX));
    assert!(tokio::time::timeout(Duration::from_secs(86_400), far).await.is_err());
}

#[test]
fn serves_threads_that_tokio_does_not_know() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let (sender, receiver) = std::sync::mpsc::channel();
    let sleep = runtime.sleep_until(runtime.now().mono + Duration::from_millis(1));
    runtime.spawn(async move {
        sleep.await;
        sender.send("done").unwrap();
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok("done"));
}

#[test]
fn has_no_current_runtime_outside_of_one() {
    assert!(TokioRuntime::current().is_err());
}
