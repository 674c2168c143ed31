//! Seeds that are written by hand: batches, records, what comes from the web, and programs for the machines.

/// Batches as content and inside a block.
pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let batches = [&b"\x01\0\x03one"[..], b"\x02\0\x03one\0\0", b"\0", b"\x03\0\x01a\0\x01b\0\x01c"];
    let plain = batches.iter().map(|batch| [b"\x10\0", *batch].concat());
    let padded = batches.iter().map(|batch| [b"\0\x07\0", &[batch.len() as u8][..], batch].concat());
    plain.chain(padded).collect()
}

/// A queue with and without keys, a backlog, messages, counters; what came with format 2: a blocked queue with a link and a
/// notifier, both of services, counters, data of a link, notifications, services, the key of a service's queue.
pub(crate) fn store_records() -> Vec<Vec<u8>> {
    let queue = |keys: &[u8]| [&[0, 1, 1, b's', b'M', 0, 0, 0, 80, 0][..], &[5; 32], keys].concat();
    let key = |algorithm, length| [&[algorithm][..], &vec![6; length]].concat();
    let keys = [key(3, 32), vec![0, 0, 0, 2], key(1, 32), key(2, 57)].concat();
    let backlog = [&[1, 1, 1][..], &[0; 11], &[4], &[0; 8]].concat();
    let message = |kind| [&[2, 1, kind][..], &[0; 8], &[1, b'i']].concat();
    let counters = |version, length| [&[3, version][..], &vec![0; length]].concat();
    let blocked = [&[0, 2, 1, b's', b'C', 2, 1, 2][..], &[0; 8], &[0, 0, 80, 0], &[5; 32], &keys].concat();
    let blocked =
        [blocked, vec![1, b'l', 1, 1, b'n'], key(1, 32), vec![8; 32], b"\x01v\x01w".to_vec()].concat();
    let link_data = [&[4, 1, 0, 0, 0, 5][..], b"fixeduser"].concat();
    let notifications = [&[5, 1][..], &[0; 8], &[1, b'i'], &[0; 8], &[0]].concat();
    let service = |role| [&[6, 1, role][..], &[0, 0, 0, 0, 0, 0, 0, 3], &[9; 16]].concat();
    let services = vec![service(b'M'), service(b'N'), service(b'P'), vec![7, 1, b'v', b'r']];
    let first = vec![queue(&[0; 5]), queue(&keys), backlog, message(0), [message(2), vec![7; 9]].concat()];
    [first, vec![counters(1, 16), blocked, counters(2, 64), link_data, notifications], services].concat()
}

/// One or two connections; a queue is made, filled, received from, taken over and deleted.
pub(crate) fn server() -> Vec<Vec<u8>> {
    let life = |version: u8| {
        let fill = [7, 0, 4, 3, 0, 0, 3, 0, 1, 5, 0, 2, 3, 0, 0, 3, 0, 0];
        let receive = [7, 0, 0, 7, 0, 7, 0, 0, 7, 0, 7, 0, 2, 12, 0, 1, 10, 0, 11, 0];
        let take_over = [0, 0, version, 7, 1, 0, 1, 0, 3, 0, 20, 7, 1, 1, 7, 0, 13, 0];
        [&[0, version, 7, 0, 0, 0, 1][..], &fill, &receive, &take_over].concat()
    };
    let faults =
        [0, 14, 7, 0, 1, 0, 1, 0, 0, 4, 0, 3, 7, 0, 0, 3, 0, 0, 4, 0, 0, 2, 0, 1, 3, 0, 17, 1, 0, 0, 2, 1, 2];
    let old = [0, 3, 9, 14].map(life).into_iter().chain([faults.to_vec()]);
    old.chain([links_and_notifiers(), services()]).collect()
}

/// A queue with a link and a notifier; the link is read, the notifier told; then it is blocked, and that is ended.
fn links_and_notifiers() -> Vec<u8> {
    let create = [0, 14, 7, 0, 0, 224, 13];
    let read = [7, 0, 1, 232, 0, 229, 0, 0, 1, b'x'];
    let notify = [7, 0, 0, 239, 0, 7, 0, 0, 5, 0, 0, 3, 0, 11];
    let block = [240, 0, 0, 0, 7, 0, 1, 1, 0, 7, 0, 240, 0, 4, 0, 7, 0, 0, 1, 0];
    [&create[..], &read, &notify, &block].concat()
}

/// A service with two connections, and one that is notified.
fn services() -> Vec<u8> {
    let connect = [0, 14, 224, 0, 0, 14, 224, 0, 0, 14, 224, 0, 1, 14];
    let create = [7, 1, 1, 224, 9, 224, 15, 7, 2, 0, 227, 7, 3, 0, 227];
    let send = [7, 3, 1, 239, 0, 239, 1, 7, 0, 1, 3, 0, 0, 5, 1, 0, 3, 0, 11, 7, 2, 0, 7, 0];
    let back = [7, 0, 0, 1, 0, 7, 1, 0, 227, 5, 0, 0, 7, 0, 0, 13, 1];
    [&connect[..], &create, &send, &back].concat()
}

/// Records of names: the smallest, one with everything and more, a list.
pub(crate) fn name_records() -> Vec<Vec<u8>> {
    let smallest = r#"{"name":"a.b","nickname":"","website":"","location":"","simplexContact":[],"simplexChannel":[],"owner":"","resolver":""}"#;
    let whole = r#"{"resolver":"0x1","owner":"0x0","dot":"d","xmr":null,"btc":"\u00e4","eth":"e","simplexChannel":["c","d"],"simplexContact":["a"],"location":"l","website":"w","nickname":"A \"\\\n","name":"a.simplex","more":{"x":[1.5e3,true]}}"#;
    let list = r#"["a","","","",[],[],null,null,null,null,"",""]"#;
    [smallest, whole, list].map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Relays that are connected to, answer, fall silent, are lost, fail; idle ones that make room.
pub(crate) fn proxy() -> Vec<Vec<u8>> {
    let good = [0, 0, 0, 0, 2, 0, 0, 1, 1, 1, 1, 4, 0, 4, 0, 1, 1, 6, 0, 1, 1];
    let failing = [0, 1, 3, 0, 0, 1, 7, 40, 0, 1, 7, 40, 2, 0, 1, 0, 1, 2, 0, 2];
    let silent = [0, 2, 2, 0, 0, 1, 1, 7, 16, 1, 1, 7, 16, 1, 1, 7, 16, 5, 0, 7, 255];
    let full = [0, 0, 2, 0, 0, 0, 1, 2, 0, 0, 0, 2, 2, 0, 0, 0, 3, 2, 0, 0, 1, 2, 1, 3, 1, 4, 0, 4];
    vec![good.to_vec(), failing.to_vec(), silent.to_vec(), full.to_vec()]
}

/// Commands, their answers, events, late answers and the end.
pub(crate) fn client() -> Vec<Vec<u8>> {
    let life = |version: u8| {
        let ask = [11, 1, 6, 11, 0, 1, 11, 1, 1, 11, 2, 8, 4, 0];
        let answers = [5, 3, 3, 2, 0, 2, 2, 5, 1, 2, 2, 0, 0, 1];
        [&[version][..], &ask, &answers, &[11, 3, 4, 2, 15, 5, 0, 0, 2, 5, 3, 1, 11, 1, 0, 4, 0, 0]].concat()
    };
    [0, 5, 14].map(life).to_vec()
}

/// Requests, good and hostile.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let targets = ["/", "/a?x=1", "/%2e%2e/etc/passwd", "/a%00", "//a", "/\u{e4}/b", "*", "http://a/"];
    let end = "HTTP/1.1\r\nHost: a\r\n\r\n";
    let usual = targets.map(|target| format!("GET {target} {end}").into_bytes());
    let others = [
        "HEAD / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    usual.into_iter().chain(others.map(|other| other.as_bytes().to_vec())).collect()
}

/// Frames of a client whose mask is zero: a piece of a block, controls between, a goodbye, text; and the request before.
pub(crate) fn web_sockets() -> Vec<Vec<u8>> {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let piece = [0x02, 0x83, 0, 0, 0, 0, 1, 2, 3, 0x89, 0x81, 0, 0, 0, 0, 7, 0x00, 0x82, 0, 0, 0, 0, 4, 5];
    let goodbye = [0x88, 0x82, 0, 0, 0, 0, 3, 0xe8];
    vec![
        [&[0, 40][..], request.as_bytes(), &piece].concat(),
        [&[1, 2][..], &piece, &goodbye].concat(),
        [&[1, 0, 0x81, 0x81, 0, 0, 0, 0][..], b"t"].concat(),
        vec![1, 255, 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0, 0, 0],
    ]
}
