//! TCP.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_std::io::{Read, Write};
use async_std::net::{TcpListener, TcpStream};
use smp_runtime::adapter::{reset_by_peer, set_stream};
use smp_runtime::{ByteStream, Listener};

/// A TCP connection, set as [`set_stream`] does.
#[derive(Debug)]
pub struct AsyncStdStream(TcpStream);

impl AsyncStdStream {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        set_stream(&stream)?;
        Ok(Self(stream))
    }
}

impl ByteStream for AsyncStdStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
    }
}

/// A listening socket.
pub struct AsyncStdListener {
    listener: Arc<TcpListener>,
    accepting: Option<Accepting>,
}

/// Kept from one poll to the next: it is what the task is woken by.
type Accepting = Pin<Box<dyn Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send>>;

impl AsyncStdListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener: Arc::new(listener), accepting: None }
    }
}

impl Listener for AsyncStdListener {
    type Stream = AsyncStdStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(AsyncStdStream, SocketAddr)>> {
        let listener = Arc::clone(&self.listener);
        let accepting =
            self.accepting.get_or_insert_with(|| Box::pin(async move { listener.accept().await }));
        let accepted = ready!(accepting.as_mut().poll(cx));
        self.accepting = None;
        let (stream, address) = accepted?;
        Poll::Ready(AsyncStdStream::new(stream).map(|stream| (stream, address)).map_err(reset_by_peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
