//! The lines that an operator writes.

use smp_core::wire::error::BlockingInfo;

use super::access::Role;
use super::target::Target;

/// What a line says.
pub(super) enum Line<'a> {
    /// Log in with this password.
    Auth(&'a str),
    /// Tell the commands.
    Help,
    /// End the connection.
    Quit,
    /// Something for the server.
    Command(Command),
}

/// What the server is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Command {
    ServerInfo,
    Stats,
    Clients,
    Sockets,
    Delete(Target),
    Status(Target),
    Block(Target, BlockingInfo),
    Unblock(Target),
    Save,
}

impl<'a> Line<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// With what is wrong. It never repeats the line, which may be a password on a wrong place.
    pub(super) fn parse(line: &'a str) -> Result<Self, &'static str> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if let "delete" | "status" | "block" | "unblock" = word {
            return about_queue(word, rest).map(Self::Command);
        }
        let line = match word {
            "auth" if rest.is_empty() => return Err("`auth` needs a password"),
            "auth" => return Ok(Self::Auth(rest)),
            "help" => Self::Help,
            "quit" => Self::Quit,
            "server-info" => Self::Command(Command::ServerInfo),
            "stats" => Self::Command(Command::Stats),
            "clients" => Self::Command(Command::Clients),
            "sockets" => Self::Command(Command::Sockets),
            "save" => Self::Command(Command::Save),
            "suspend" | "resume" => return Err("not implemented"),
            "stats-rts" | "threads" | "socket-threads" => {
                return Err("not available: this server has no such threads and no such runtime");
            }
            _ => return Err("unknown command. `help` lists the commands"),
        };
        if rest.is_empty() { Ok(line) } else { Err("this command takes no arguments") }
    }
}

impl Command {
    /// Who may ask that.
    pub(super) const fn role(&self) -> Role {
        match self {
            Self::ServerInfo
            | Self::Stats
            | Self::Sockets
            | Self::Status(_)
            | Self::Block(..)
            | Self::Unblock(_) => Role::User,
            Self::Clients | Self::Delete(_) | Self::Save => Role::Admin,
        }
    }
}

fn about_queue(word: &str, rest: &str) -> Result<Command, &'static str> {
    let (target, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if target.is_empty() {
        return Err("this command needs the id or the link of a queue");
    }
    let (target, rest) = (Target::parse(target)?, rest.trim());
    if word == "block" {
        return Ok(Command::Block(target, blocking(rest)?));
    }
    if !rest.is_empty() {
        return Err("this command takes one argument, an id or a link");
    }
    Ok(match word {
        "delete" => Command::Delete(target),
        "unblock" => Command::Unblock(target),
        _ => Command::Status(target),
    })
}

/// Why a queue is blocked, in the form of the protocol.
fn blocking(text: &str) -> Result<BlockingInfo, &'static str> {
    let wrong = "`block` needs a reason: reason=spam or reason=content, and if users are to see a notice, without \
                 space before it, ,notice={} or ,notice={\"ttl\":<seconds>}";
    let info: BlockingInfo = text.parse().map_err(|_| wrong)?;
    let ttl = info.notice.and_then(|notice| notice.ttl);
    if ttl.is_some_and(|ttl| ttl < 0) { Err("a notice cannot have a negative ttl") } else { Ok(info) }
}

/// What `help` answers.
pub(super) const HELP: &str = "\
auth <password>      log in, as user or admin by the password
server-info          version and time of start; for admins also what is under way
stats                numbers since the start
sockets              connections since the start
status <id>          whether a queue is active, off or blocked
block <id> reason=spam|content[,notice={\"ttl\":<seconds>}]
                     block a queue; its users are told why. Users have a daily quota
unblock <id>         end that
clients              connections and subscriptions now (admin)
delete <id>          delete a queue with its messages (admin)
save                 put everything on the disk (admin)
help                 this list
quit                 end the connection
<id> is a sender id or a link id in base64url, or a short link.
Other commands are not implemented: suspend, resume, stats-rts, threads, socket-threads.
";

#[cfg(test)]
mod tests {
    use smp_core::wire::EntityId;
    use smp_core::wire::error::{BlockingReason, Notice};

    use super::*;

    fn command(line: &str) -> Result<Command, &'static str> {
        match Line::parse(line)? {
            Line::Command(command) => Ok(command),
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn commands_and_who_may_give_them() {
        let id = Target::Id(EntityId::new(&[1, 2]).unwrap());
        let info = |reason, notice| BlockingInfo { reason, notice };
        let (spam, content) = (BlockingReason::Spam, BlockingReason::Content);
        for (line, role, expected) in [
            ("server-info", Role::User, Command::ServerInfo),
            ("stats", Role::User, Command::Stats),
            ("sockets", Role::User, Command::Sockets),
            ("clients", Role::Admin, Command::Clients),
            ("save", Role::Admin, Command::Save),
            ("delete AQI", Role::Admin, Command::Delete(id.clone())),
            ("status  AQI=", Role::User, Command::Status(id.clone())),
            ("unblock AQI", Role::User, Command::Unblock(id.clone())),
            ("block AQI reason=spam", Role::User, Command::Block(id.clone(), info(spam, None))),
            (
                "block AQI reason=content,notice={}",
                Role::User,
                Command::Block(id.clone(), info(content, Some(Notice { ttl: None }))),
            ),
            (
                "block\tAQI  reason=spam,notice={\"ttl\": 60}",
                Role::User,
                Command::Block(id, info(spam, Some(Notice { ttl: Some(60) }))),
            ),
        ] {
            let parsed = command(line).unwrap();
            assert_eq!((parsed.role(), parsed), (role, expected), "{line}");
        }
        assert!(matches!(Line::parse("help"), Ok(Line::Help)));
        assert!(matches!(Line::parse("quit"), Ok(Line::Quit)));
        assert!(matches!(Line::parse("auth pa/ss=="), Ok(Line::Auth("pa/ss=="))));
    }

    #[test]
    fn wrong_lines_get_a_clear_answer() {
        for (line, problem) in [
            ("auth", "`auth` needs a password"),
            ("what is this", "unknown command"),
            ("STATS", "unknown command"),
            ("suspend", "not implemented"),
            ("resume", "not implemented"),
            ("threads", "not available"),
            ("stats now", "this command takes no arguments"),
            ("delete", "this command needs the id or the link of a queue"),
            ("delete !", "this is neither an id"),
            ("status AQI AQI", "this command takes one argument"),
            ("block AQI", "`block` needs a reason"),
            ("block AQI spam", "`block` needs a reason"),
            ("block AQI reason=other", "`block` needs a reason"),
            ("block AQI reason=spam,notice={\"ttl\":\"x\"}", "`block` needs a reason"),
            ("block AQI reason=spam,notice=[60]", "`block` needs a reason"),
            ("block AQI reason=spam,notice={\"ttl\":-1}", "a notice cannot"),
        ] {
            let answer = Line::parse(line).err().unwrap_or_default();
            assert!(answer.starts_with(problem), "{line}: {answer}");
        }
    }

    #[test]
    fn help_names_the_commands_that_there_are() {
        let unknown = Line::parse("what").err();
        let words: Vec<&str> = HELP
            .lines()
            .take_while(|line| !line.starts_with("<id>"))
            .filter_map(|line| line.split(' ').next().filter(|word| !word.is_empty()))
            .collect();
        for word in &words {
            assert!(Line::parse(word).err() != unknown, "{word}");
        }
        let (user, admin) = (
            ["auth", "server-info", "stats", "sockets", "status", "block", "unblock"],
            ["clients", "delete", "save"],
        );
        assert_eq!(words, [&user[..], &admin, &["help", "quit"]].concat());
    }
}
