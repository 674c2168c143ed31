use tokio::io::AsyncBufReadExt;
use tokio::io::{BufReader, DuplexStream, Lines as Answers, ReadHalf, WriteHalf, split};
use tokio::task::JoinHandle;

use super::super::access::Passphrase;
use super::*;

/// An operator at a connection, and the server behind it.
struct Operator {
    answers: Answers<BufReader<ReadHalf<DuplexStream>>>,
    input: WriteHalf<DuplexStream>,
    requests: mpsc::Receiver<Request>,
    stop: watch::Sender<bool>,
    session: JoinHandle<()>,
}

fn door() -> Arc<Door> {
    let password = |text: &str| Some(Passphrase::new(text.as_bytes()));
    Arc::new(Door::new(Access { admin: password("admin-pw"), user: password("user-pw") }))
}

async fn connect(door: &Arc<Door>) -> Operator {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (sender, requests) = mpsc::channel(1);
    let (stop, stops) = watch::channel(false);
    let session = tokio::spawn(talk(theirs, Arc::clone(door), sender, stops));
    let (answers, input) = split(ours);
    let mut operator = Operator { answers: BufReader::new(answers).lines(), input, requests, stop, session };
    assert_eq!(operator.line().await, GREETING.trim());
    operator
}

impl Operator {
    async fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        self.answers.next_line().await.unwrap().unwrap_or_else(|| "the end".to_owned())
    }

    async fn answer(&mut self, line: &str) -> String {
        self.say(line).await;
        self.line().await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_works_before_a_password_and_not_all_with_that_of_users() {
    let mut operator = connect(&door()).await;
    assert_eq!(operator.answer("stats").await, "error: log in first: auth <password>");
    assert_eq!(operator.answer("nonsense").await, "error: unknown command. `help` lists the commands");
    operator.say("help").await;
    while operator.line().await != "ok" {}
    assert_eq!(operator.answer("auth user-pw").await, "role: user");
    assert_eq!(operator.line().await, "ok");
    assert_eq!(operator.answer("delete AQI").await, "error: this needs the password of admins");

    operator.say("stats").await;
    let Request { role, command, answer } = operator.requests.recv().await.unwrap();
    assert_eq!((role, command), (Role::User, Command::Stats));
    answer.send(Ok("queues: 1\n".to_owned())).unwrap();
    assert_eq!([operator.line().await, operator.line().await], ["queues: 1", "ok"]);

    assert_eq!(operator.answer("auth admin-pw").await, "role: admin");
    assert_eq!(operator.line().await, "ok");
    operator.say("save").await;
    let Request { role, answer, .. } = operator.requests.recv().await.unwrap();
    assert_eq!(role, Role::Admin);
    answer.send(Err("no".to_owned())).unwrap();
    assert_eq!(operator.line().await, "error: no");
    assert_eq!([operator.answer("quit").await, operator.line().await], ["ok", "the end"]);
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_take_their_time_for_all_connections_together() {
    let door = door();
    let started = Instant::now();
    let mut operators = [connect(&door).await, connect(&door).await];
    for operator in &mut operators {
        for _ in 0..FAILURES {
            operator.say("auth wrong").await;
        }
    }
    for operator in &mut operators {
        for _ in 1..FAILURES {
            assert_eq!(operator.line().await, "error: wrong password");
        }
        assert_eq!(operator.line().await, "error: wrong password, too often");
        assert_eq!(operator.line().await, "the end");
    }
    assert!(started.elapsed() >= FAILURE_DELAY * FAILURES * 2);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_log_in_is_sent_away() {
    let mut silent = connect(&door()).await;
    let mut talking = connect(&door()).await;
    for _ in 0..LOGIN_LINES {
        assert!(talking.answer("stats").await.starts_with("error: log in"));
    }
    assert_eq!([talking.line().await, talking.line().await], ["error: nobody has logged in", "the end"]);
    let started = Instant::now();
    assert_eq!(silent.line().await, "error: nobody has logged in for too long");
    assert_eq!((silent.line().await.as_str(), started.elapsed() <= LOGIN_TIME), ("the end", true));
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_sent_away() {
    let mut operator = connect(&door()).await;
    assert_eq!(operator.answer("auth user-pw").await, "role: user");
    assert_eq!(operator.line().await, "ok");
    let started = Instant::now();
    assert_eq!(operator.line().await, "error: nothing was said for too long");
    assert!(started.elapsed() >= IDLE_TIME);
}

#[tokio::test(start_paused = true)]
async fn long_lines_other_bytes_and_lines_without_end() {
    let mut operator = connect(&door()).await;
    operator.input.write_all(b"\xff\xfe\n").await.unwrap();
    assert_eq!(operator.line().await, "error: this is not text");
    operator.input.write_all(b"\n\r\n").await.unwrap();
    let longest = format!("auth {}", "x".repeat(LINE_BYTES - "auth \r\n".len()));
    assert_eq!(operator.answer(&longest).await, "error: wrong password");
    operator.say(&format!("{longest}x")).await;
    assert_eq!([operator.line().await, operator.line().await], ["error: the line is too long", "the end"]);

    let mut piped = connect(&door()).await;
    piped.input.write_all(b"auth user-pw\nquit").await.unwrap();
    piped.input.shutdown().await.unwrap();
    for expected in ["role: user", "ok", "ok", "the end"] {
        assert_eq!(piped.line().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_taken_end_the_connection() {
    let (mut ours, theirs) = tokio::io::duplex(256);
    let (sender, _requests) = mpsc::channel(1);
    let (_stop, stops) = watch::channel(false);
    let session = tokio::spawn(talk(theirs, door(), sender, stops));
    ours.write_all(b"help\nhelp\n").await.unwrap();
    session.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_says_so() {
    let mut operator = connect(&door()).await;
    assert_eq!(operator.answer("auth user-pw").await, "role: user");
    assert_eq!(operator.line().await, "ok");
    operator.say("stats").await;
    drop(operator.requests.recv().await.unwrap());
    assert_eq!(operator.line().await, "error: the server is stopping");
    operator.requests.close();
    assert_eq!(operator.answer("stats").await, "error: the server is stopping");
    drop((operator.input, operator.answers));
    operator.session.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_server_stops_is_answered() {
    let door = door();
    let [mut silent, mut asking, mut guessing] =
        [connect(&door).await, connect(&door).await, connect(&door).await];
    silent.stop.send_replace(true);
    assert_eq!(silent.line().await, "the end");

    assert_eq!(asking.answer("auth user-pw").await, "role: user");
    assert_eq!(asking.line().await, "ok");
    asking.say("stats\r\nclients").await;
    let Request { answer, .. } = asking.requests.recv().await.unwrap();
    asking.stop.send_replace(true);
    answer.send(Ok("queues: 1\n".to_owned())).unwrap();
    for expected in ["queues: 1", "ok", "error: this needs the password of admins", "the end"] {
        assert_eq!(asking.line().await, expected);
    }

    guessing.say("help\r\nauth wrong").await;
    while guessing.line().await != "ok" {}
    guessing.stop.send_replace(true);
    assert_eq!([guessing.line().await, guessing.line().await], ["error: wrong password", "the end"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_keeps_nobody_waiting_for_ever() {
    let mut operator = connect(&door()).await;
    assert_eq!(operator.answer("auth user-pw").await, "role: user");
    assert_eq!(operator.line().await, "ok");
    for _ in 0..2 {
        let started = Instant::now();
        assert!(operator.answer("stats").await.starts_with("error: the server took too long"));
        assert!(started.elapsed() >= ANSWER_TIME);
    }
    // Nobody waits for the first one any more, which the server can see.
    assert!(operator.requests.recv().await.unwrap().answer.is_closed());
}
