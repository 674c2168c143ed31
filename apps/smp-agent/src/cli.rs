//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Parser};
use smp_program::failure::Failure;
use smp_program::logging::LogLevel;

/// A SimpleX messaging agent: connections between people, for programs that speak its plain text
#[derive(Parser)]
#[command(
    name = "smp-agent",
    version,
    disable_version_flag = true,
    after_long_help = HELP,
    after_help = "`smp-agent --help` shows a conversation, and tells about files, signals and exit codes.",
    group = ArgGroup::new("where").args(["servers", "servers_file"]).required(true).multiple(true),
)]
pub(crate) struct Cli {
    /// File of everything that the agent keeps; made if it is not there [default: smp-agent-data/agent.db]
    #[arg(short = 'd', long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    /// File whose first line is the passphrase of the database, which is encrypted with it from its beginning
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Servers on which queues are made: smp://FINGERPRINT@HOST or smp://FINGERPRINT:PASSWORD@HOST:PORT, separated by commas
    #[arg(short = 's', long, value_name = "ADDRESSES")]
    pub(crate) servers: Option<String>,
    /// File of such addresses, one in a line; lines that start with # are comments. Others cannot read passwords there, as
    /// they can on the command line
    #[arg(long, value_name = "FILE")]
    pub(crate) servers_file: Option<PathBuf>,
    /// Port for clients; 0 is a free one
    #[arg(short = 'p', long, value_name = "PORT", default_value_t = 5224)]
    pub(crate) port: u16,
    /// Address of this machine for clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: IpAddr,
    /// Let --host be an address that other machines reach: whoever can connect can read and send everything, and nothing is
    /// encrypted on the way
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// What is logged to the standard error output
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,
    /// Print the version
    #[arg(short = 'v', long, short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
}

impl Cli {
    /// Where clients connect.
    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        if !self.host.is_loopback() && !self.allow_remote {
            return Err(Failure::new(format!(
                "--host {}: other machines can reach this address, and whoever can connect can read and send everything. \
                 With --allow-remote it is used nevertheless",
                self.host
            )));
        }
        Ok(SocketAddr::new(self.host, self.port))
    }
}

const HELP: &str = "\
A CONVERSATION
  Two agents on one machine, and two terminals with a line-based client:

    smp-agent --servers smp://<fingerprint>@localhost --database a.db
    smp-agent --servers smp://<fingerprint>@localhost --database b.db --port 5225

  A command has three lines: a word that the answer repeats, the connection, the command. Events have an empty first line.

    telnet 127.0.0.1 5224                telnet 127.0.0.1 5225
    1
    (empty)
    NEW INV
      1
      <connection>
      INV <link>                         1
                                         (empty)
                                         JOIN <link> :Bob
      (empty)                              1
      <connection>                         <connection>
      CONF <id> 3                          OK
      Bob
    2
    <connection>
    LET <id> :Alice                        (empty)
      2                                    <connection>
      <connection>                         INFO 5
      OK                                   Alice
      (empty)                              (empty)
      <connection>                         <connection>
      CON                                  CON
    3
    <connection>
    SEND :hello                            (empty)
      3                                    <connection>
      <connection>                         MSG OK R=2,<time> B=<id>,<time> S=2 5
      MID 2                                hello
                                         2
                                         <connection>
                                         ACK 2

  A body is `:` and text up to the end of the line, or a count of bytes, the end of the line and so many bytes.

COMMANDS
  NEW INV             make an invitation for one person: INV <link>
  NEW CON             make an address for anybody: INV <link>
  NEW INV SHORT <body>, NEW CON SHORT <body>
                      the same, with a short link too, which shows the body: INV <link> <short link>
  JOIN <link> <body>  use either, or a short link: OK. With a connection (12 bytes, base64url) of the client's choice, a JOIN that
                      failed goes on when it is repeated
  LGET <short link>   LDATA <what it shows>. Who asks that of an invitation is the only one who can use it: with a JOIN of the
                      connection that the answer names
  LSET <body>         show this by the short link: LINK <short link>. An address that has none gets one
  LDEL                show nothing: OK. The short link leads nowhere until LSET
  LET <id> <body>     let who used the invitation, or accepted us (CONF), connect: OK
  ACPT <id> <body>    connect to who used the address (REQ): OK, with the new connection; then as after JOIN
  RJCT <id>           forget a request to this address: OK
  SEND <body>         MID <number>; later SENT or MERR
  ACK <number>        a message is taken care of, the next may come: OK
  ACK <number> <body> the same, and who sent it is told so (RCVD): OK
  SWCH                receive through a queue on another server: OK; later SWITCH, at both sides
  RSYNC, RSYNC FORCE  make a new ratchet, because messages cannot be read or nevertheless: OK; later RSYNC, at both sides
  STAT                STAT <how the connection is>: `contact` for an address, `rcv` or `snd` while the other side is waited for,
                      then `duplex`; its version; whether both sides have the same ratchet; R= and S= with its servers
  STATS               STATS <time> <body>, without a connection: what was done at servers since then. A line of the body is a
                      server and what is not 0: of sessions `sessions=1`, `connecting` and `failed`;
                      of queues from which is received `receiving`, `waiting` and `ended`; then what was counted: `sent-direct`,
                      `received`, `acknowledged` and so on
  STATS RESET         count anew: OK
  OFF                 receive no more messages: OK. Servers refuse them; those that are there still come
  DEL                 delete the connection: OK; later DELD, when nothing is left of it
  SUB                 from now on this client has the events of the connection: OK. What waits is told again: CONF, REQ,
                      and MSG until it is acknowledged
  Each client may give commands for each connection. The events of a connection go to the client that made it or was the last
  to SUB; the former one is told END. For a client that does not take its events the connection is cut, and it comes
  again with SUB. What cannot be done (yet) is answered ERR CMD PROHIBITED.

FILES
  The database, with <database>-wal and <database>.lock while it is open. The two former are needed to copy it.

SIGNALS
  SIGINT or SIGTERM: take no more commands, answer those that were given, close the database, end.
  A second one: end at once. Nothing that was answered is lost.

EXIT CODES
  0  stopped by a signal
  1  failed; the last line of the standard error output says why
  2  the command line is wrong
  3  ended by a second signal";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        let words = std::iter::once("smp-agent").chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lines() {
        let cli = parse("-s a").ok().unwrap();
        assert_eq!(cli.address().unwrap().to_string(), "127.0.0.1:5224");
        assert_eq!((cli.database, cli.key_file, cli.log_level), (None, None, LogLevel::Info));
        let cli = parse("--servers a --servers-file b -d c --key-file d -p 0 --host ::1 --log-level DEBUG");
        assert_eq!(cli.ok().unwrap().address().unwrap().to_string(), "[::1]:0");
        for (line, kind) in [
            ("", ErrorKind::MissingRequiredArgument),
            ("-s a --host localhost", ErrorKind::ValueValidation),
            ("-s a --port 65536", ErrorKind::ValueValidation),
            ("-s a b", ErrorKind::UnknownArgument),
            ("--version", ErrorKind::DisplayVersion),
            ("--help", ErrorKind::DisplayHelp),
        ] {
            assert_eq!(parse(line).err(), Some(kind), "{line}");
        }
    }

    #[test]
    fn other_machines_are_let_in_only_when_that_is_said() {
        for host in ["0.0.0.0", "::", "192.0.2.1"] {
            let refused = parse(&format!("-s a --host {host}")).ok().unwrap().address();
            let message = refused.err().unwrap().to_string();
            assert!(message.contains("--host") && message.contains("--allow-remote"), "{message}");
            assert!(parse(&format!("-s a --host {host} --allow-remote")).ok().unwrap().address().is_ok());
        }
    }
}
