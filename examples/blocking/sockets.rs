//! The threads of a server that wait for peers: one accepts, and one for each connection reads.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::SyncSender;
use std::thread;

use smp_core::server::ConnectionId;

/// What the thread of the machines is told of a connection: that it is new, or what was read of it, nothing being the end.
pub(crate) enum News {
    Accepted(TcpStream),
    Read(Vec<u8>),
}

pub(crate) type Told = (ConnectionId, News);

/// Tells of connections, until the machines are gone.
pub(crate) fn accept(listener: &TcpListener, tell: &SyncSender<Told>) {
    for (number, stream) in (1..).zip(listener.incoming().filter_map(Result::ok)) {
        let (id, tell) = (ConnectionId(number), tell.clone());
        if let Ok(reader) = stream.try_clone() {
            thread::spawn(move || read(id, stream, reader, &tell));
        }
    }
}

/// Tells of a connection until its end, or that of the machines.
fn read(id: ConnectionId, stream: TcpStream, mut reader: TcpStream, tell: &SyncSender<Told>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut goes_on = tell.send((id, News::Accepted(stream))).is_ok();
    while goes_on {
        let count = reader.read(&mut buffer).unwrap_or(0);
        goes_on = tell.send((id, News::Read(buffer[..count].to_vec()))).is_ok() && count > 0;
    }
}
