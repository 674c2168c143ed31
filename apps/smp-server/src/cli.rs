//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use smp_program::logging::LogLevel;

/// A SimpleX messaging server.
#[derive(Parser)]
#[command(
    name = "smp-server",
    version,
    disable_version_flag = true,
    after_long_help = HELP,
    after_help = "`smp-server --help` tells about files and exit codes."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print the version
    #[arg(short = 'v', long, short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the settings and the certificates of a new server
    Init(Box<Init>),
    /// Start the server
    Start(Start),
    /// Start a server that needs no preparation: the first start makes its identity
    Run(Run),
    /// Make a new server certificate; the identity of the server stays
    Cert(Cert),
    /// Delete the settings, the certificates and all data
    Delete(Delete),
    /// Import and export of message journals (not available)
    #[command(hide = true, disable_help_flag = true)]
    Journal(Unavailable),
    /// Import and export of databases (not available)
    #[command(hide = true, disable_help_flag = true)]
    Database(Unavailable),
}

#[derive(Args)]
pub(crate) struct Init {
    /// Keep queues and messages on disk (which is the default)
    #[arg(short = 'l', long, conflicts_with = "disable_store_log")]
    pub(crate) store_log: bool,
    /// Keep queues and messages in memory only: they end with the server
    #[arg(long)]
    pub(crate) disable_store_log: bool,
    /// Write a line of statistics every day
    #[arg(short = 's', long)]
    pub(crate) daily_stats: bool,
    /// Algorithm of the certificates
    #[arg(
        short = 'a',
        long,
        value_enum,
        ignore_case = true,
        value_name = "ALGORITHM",
        default_value = "ed25519"
    )]
    pub(crate) sign_algorithm: Algorithm,
    /// Address of the server, when it has no domain name
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) ip: String,
    /// Domain name of the server
    #[arg(short = 'n', long, value_name = "FQDN")]
    pub(crate) fqdn: Option<String>,
    /// Let anybody create queues
    #[arg(long, conflicts_with = "password")]
    pub(crate) no_password: bool,
    /// Password for creating queues (default: a random one)
    #[arg(long, value_name = "PASSWORD")]
    pub(crate) password: Option<String>,
    /// Port on 127.0.0.1 for administration while the server runs
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "5224")]
    pub(crate) control_port: Option<u16>,
    /// SOCKS proxy for connections to other servers
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) socks_proxy: Option<String>,
    /// Domains of your other servers, separated by commas
    #[arg(long, value_name = "DOMAINS")]
    pub(crate) own_domains: Option<String>,
    /// Where the source code of this server is; needed with what else is said about it. Without URI it stays to be set in
    /// the ini file
    #[arg(long, value_name = "URI", num_args = 0..=1, default_missing_value = "")]
    pub(crate) source_code: Option<String>,
    /// Organisation or person who runs the server
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Option<String>,
    /// Country of the operator (two letters)
    #[arg(long, value_name = "XX")]
    pub(crate) operator_country: Option<String>,
    /// Web site of the operator
    #[arg(long, value_name = "URI")]
    pub(crate) operator_website: Option<String>,
    /// Who provides the machine
    #[arg(long, value_name = "NAME")]
    pub(crate) hosting: Option<String>,
    /// Country of the hosting provider (two letters)
    #[arg(long, value_name = "XX")]
    pub(crate) hosting_country: Option<String>,
    /// Kind of hosting
    #[arg(long, value_name = "TYPE", value_parser = ["virtual", "dedicated", "colocation", "owned"])]
    pub(crate) hosting_type: Option<String>,
    /// Country of the server (two letters)
    #[arg(long, value_name = "XX")]
    pub(crate) server_country: Option<String>,
    /// Folder of your own files for the web site
    #[arg(long, value_name = "PATH", conflicts_with = "disable_web")]
    pub(crate) web_path: Option<String>,
    /// No web site, and no port 443
    #[arg(long)]
    pub(crate) disable_web: bool,
    /// PostgreSQL (not supported yet: refused)
    #[arg(short = 'd', long, value_name = "CONNECTION", num_args = 0..=1, default_missing_value = "")]
    pub(crate) database: Option<String>,
    /// Schema in the database (only set in the ini file)
    #[arg(long, value_name = "SCHEMA")]
    pub(crate) schema: Option<String>,
    /// Connections to the database (only set in the ini file)
    #[arg(long, value_name = "COUNT")]
    pub(crate) pool_size: Option<u16>,
    /// Ask nothing: take the defaults
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Start {
    /// Open the store, do what is due (such as deleting old messages), and end without serving
    #[arg(short = 'm', long)]
    pub(crate) maintenance: bool,
    /// Accepted for the reference's sake: the embedded store compacts itself
    #[arg(long)]
    pub(crate) compact_log: bool,
    #[command(flatten)]
    pub(crate) log: Log,
    /// Accepted for the reference's sake: a damaged store is never loaded in part
    #[arg(long)]
    pub(crate) skip_warnings: bool,
    /// Accepted for the reference's sake: the embedded store has no migrations to confirm
    #[arg(long, value_name = "DIRECTION", value_parser = ["up", "down"])]
    pub(crate) confirm_migrations: Option<String>,
}

#[derive(Args)]
pub(crate) struct Run {
    /// Folder of the settings, the certificates and the data
    #[arg(long, value_name = "FOLDER", default_value = "smp-server-data")]
    pub(crate) data_dir: PathBuf,
    /// Ports to listen on, separated by commas; 0 is a free one [default: 5223]
    #[arg(long, value_name = "PORTS")]
    pub(crate) port: Option<String>,
    /// Names or addresses under which clients reach the server [default: localhost]
    #[arg(long, value_name = "HOSTS")]
    pub(crate) host: Option<String>,
    /// Addresses of this machine to listen on [default: all]
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) bind: Option<String>,
    /// Password for creating queues [default: none, anybody may]
    #[arg(long, value_name = "PASSWORD")]
    pub(crate) password: Option<String>,
    #[command(flatten)]
    pub(crate) log: Log,
}

#[derive(Args)]
pub(crate) struct Cert {
    /// Algorithm of the new key
    #[arg(
        short = 'a',
        long,
        value_enum,
        ignore_case = true,
        value_name = "ALGORITHM",
        default_value = "ed25519"
    )]
    pub(crate) sign_algorithm: Algorithm,
    /// Host name in the certificate [default: the first host in the ini file]
    #[arg(long, value_name = "HOST")]
    pub(crate) cn: Option<String>,
}

#[derive(Args)]
pub(crate) struct Delete {
    /// Do not ask
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct Unavailable {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Log {
    /// What is logged to the standard error output
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,
}

/// Algorithms of certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Algorithm {
    #[default]
    Ed25519,
    Ed448,
}

const HELP: &str = "\
FILES
  Configuration: /etc/opt/simplex, or the folder that SMP_SERVER_CFG_PATH names:
    smp-server.ini   settings; `init` writes it with every setting described
    ca.crt ca.key    identity of the server; keep ca.key safe, `start` does not need it
    server.crt server.key fingerprint
    web.crt web.key  certificate of the web site, which you bring; without it there is no site over HTTPS
  Data: /var/opt/simplex, or the folder that SMP_SERVER_LOG_PATH names:
    smp-server-store/  queues and messages
  A folder that holds the queues and messages of another SMP server is refused.

CONTROL PORT
  With [TRANSPORT] control_port, and a password for it in [AUTH], operators look at the server and block, unblock and
  delete queues while it runs: `nc 127.0.0.1 5224`, then `auth <password>`, then `help`. Each answer ends with a line
  `ok` or `error: ...`. Only programs on this machine can connect.

SIGNALS
  SIGINT or SIGTERM: accept nothing more, finish what is under way, write everything to disk, end.
  A second one: end at once; what was not written may be lost unless durability is `always`.

EXIT CODES
  0  done, or stopped by a signal with everything written
  1  failed; the last line of the standard error output says why
  2  the command line is wrong
  3  ended by a second signal";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::error::ErrorKind> {
        let words = std::iter::once("smp-server").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.command).map_err(|e| e.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_of_the_reference() {
        let line = "init -l -s -a ED448 --ip 10.0.0.1 -n smp.example.org --password pw --control-port \
                    --socks-proxy localhost:9050 --own-domains example.org --source-code --operator Me \
                    --operator-country DE --operator-website https://example.org --hosting H --hosting-country FR \
                    --hosting-type owned --server-country FR --web-path /w --schema s --pool-size 5 -y";
        let Ok(Command::Init(init)) = parse(line) else { panic!("init") };
        assert_eq!((init.sign_algorithm, init.ip.as_str()), (Algorithm::Ed448, "10.0.0.1"));
        assert_eq!((init.fqdn.as_deref(), init.control_port), (Some("smp.example.org"), Some(5224)));
        assert_eq!(init.source_code.as_deref(), Some(""));
        assert!(init.store_log && init.daily_stats && init.yes);
        let Ok(Command::Init(init)) =
            parse("init --disable-store-log --no-password --disable-web -d --control-port 9")
        else {
            panic!("init")
        };
        assert_eq!((init.sign_algorithm, init.control_port), (Algorithm::Ed25519, Some(9)));
        assert!(init.disable_store_log && init.no_password && init.disable_web && init.database.is_some());

        let Ok(Command::Start(start)) =
            parse("start -m --compact-log --log-level NOTE --skip-warnings --confirm-migrations up")
        else {
            panic!("start")
        };
        assert!(start.maintenance && start.compact_log && start.skip_warnings);
        assert_eq!((start.log.log_level, start.confirm_migrations.as_deref()), (LogLevel::Note, Some("up")));
        assert!(matches!(parse("cert -a Ed448 --cn a"), Ok(Command::Cert(_))));
        assert!(matches!(parse("delete -y"), Ok(Command::Delete(Delete { yes: true }))));
        assert!(matches!(parse("journal import --table queues"), Ok(Command::Journal(_))));
    }

    #[test]
    fn wrong_lines() {
        use clap::error::ErrorKind;
        for (line, kind) in [
            ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("-v", ErrorKind::DisplayVersion),
            ("--version", ErrorKind::DisplayVersion),
            ("--help", ErrorKind::DisplayHelp),
            ("serve", ErrorKind::InvalidSubcommand),
            ("init --password a --no-password", ErrorKind::ArgumentConflict),
            ("init -l --disable-store-log", ErrorKind::ArgumentConflict),
            ("init -a RSA", ErrorKind::InvalidValue),
            ("init --hosting-type cloud", ErrorKind::InvalidValue),
            ("start --log-level trace", ErrorKind::InvalidValue),
            ("start --confirm-migrations left", ErrorKind::InvalidValue),
            ("run --data-dir", ErrorKind::InvalidValue),
        ] {
            assert_eq!(parse(line).err(), Some(kind), "{line}");
        }
    }
}
