//! TCP.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use smp_runtime::adapter::{reset_by_peer, set_stream};
use smp_runtime::{ByteStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A TCP connection, set as [`set_stream`] does.
#[derive(Debug)]
pub struct TokioStream(TcpStream);

impl TokioStream {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        set_stream(&stream)?;
        Ok(Self(stream))
    }
}

impl ByteStream for TokioStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl TokioListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self(listener)
    }
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TokioStream, SocketAddr)>> {
        let (stream, address) = ready!(self.0.poll_accept(cx))?;
        Poll::Ready(TokioStream::new(stream).map(|stream| (stream, address)).map_err(reset_by_peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
