//! A client: lines of text, as a person with telnet sends and gets them.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::Running;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    input: BufReader<TcpStream>,
    events: VecDeque<Told>,
    last: u32,
}

/// Three lines, and a body if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) correlation: String,
    pub(crate) connection: String,
    pub(crate) line: String,
    pub(crate) body: String,
}

impl Told {
    /// A word of the third line.
    pub(crate) fn word(&self, number: usize) -> &str {
        self.line.split(' ').nth(number).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The number of a message, which ACK names.
    pub(crate) fn message_id(&self) -> &str {
        assert!(self.line.starts_with("MSG OK R="), "{self:?}");
        self.word(2)[2..].split(',').next().unwrap()
    }
}

impl Client {
    pub(crate) fn to(agent: &Running) -> Self {
        let stream = TcpStream::connect(agent.line("Listening on ")).unwrap();
        // So that a test that hangs ends.
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream.set_nodelay(true).unwrap();
        let input = BufReader::new(stream.try_clone().unwrap());
        Self { stream, input, events: VecDeque::new(), last: 0 }
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Gives a command and waits for its answer. Events that come before wait.
    pub(crate) fn ask(&mut self, connection: &str, command: &str) -> Told {
        self.last += 1;
        let correlation = self.last.to_string();
        self.write(&format!("{correlation}\r\n{connection}\r\n{command}\r\n"));
        loop {
            let told = self.read();
            if told.correlation == correlation {
                return told;
            }
            assert_eq!(told.correlation, "", "the answer to another command: {told:?}");
            self.events.push_back(told);
        }
    }

    /// Gives a command that is answered with this line.
    pub(crate) fn expect(&mut self, connection: &str, command: &str, line: &str) {
        let told = self.ask(connection, command);
        assert_eq!((&*told.connection, &*told.line), (connection, line), "{command}");
    }

    /// The next event that does not only tell that a server is there, or has a message.
    pub(crate) fn event(&mut self) -> Told {
        loop {
            let event = self.any_event();
            if !matches!(event.word(0), "UP" | "DOWN" | "SENT") {
                return event;
            }
        }
    }

    pub(crate) fn any_event(&mut self) -> Told {
        self.events.pop_front().unwrap_or_else(|| self.read())
    }

    /// Nothing has been told, and nothing is within a command and its answer.
    pub(crate) fn hears_nothing(&mut self) {
        let told = self.ask("", "WHAT");
        assert_eq!(told.line, "ERR CMD SYNTAX");
        let news: Vec<_> =
            self.events.iter().filter(|event| !matches!(event.word(0), "UP" | "DOWN" | "SENT")).collect();
        assert!(news.is_empty(), "{news:?}");
    }

    /// The agent has ended the connection.
    pub(crate) fn is_cut(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.input.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn read(&mut self) -> Told {
        let [correlation, connection, line] = [(); 3].map(|()| self.line());
        let body = match line.split(' ').next() {
            Some("MSG" | "INFO" | "CONF" | "REQ" | "LDATA" | "STATS") => {
                let count = line.rsplit(' ').next().unwrap().parse().unwrap();
                let mut body = vec![0; count];
                self.input.read_exact(&mut body).unwrap();
                assert_eq!(self.line(), "");
                String::from_utf8(body).unwrap()
            }
            _ => String::new(),
        };
        Told { correlation, connection, line, body }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.input.read_line(&mut line).unwrap(), 0, "the agent has ended the connection");
        line.strip_suffix("\r\n").expect("lines end with CR LF").to_owned()
    }
}

/// Lets two people meet: how each of them names the connection.
pub(crate) fn meet(alice: &mut Client, bob: &mut Client) -> [String; 2] {
    let invited = alice.ask("", "NEW INV");
    let link = invited.line.strip_prefix("INV ").expect("an invitation");
    let joined = bob.ask("", &format!("JOIN {link} :I am Bob"));
    assert_eq!(joined.line, "OK");
    let confirmed = alice.event();
    assert_eq!((confirmed.word(0), &*confirmed.body), ("CONF", "I am Bob"));
    assert_eq!(confirmed.connection, invited.connection);
    alice.expect(&invited.connection, &format!("LET {} 8\r\nI am\nyou", confirmed.word(1)), "OK");
    let info = bob.event();
    assert_eq!((&*info.line, &*info.body, &*info.connection), ("INFO 8", "I am\nyou", &*joined.connection));
    assert_eq!(bob.event().line, "CON");
    assert_eq!(alice.event().line, "CON");
    [invited.connection, joined.connection]
}
