//! `init`, `cert`, `delete`, and the command line.

use crate::harness::Place;

const FILES: [&str; 6] = ["smp-server.ini", "ca.crt", "ca.key", "server.crt", "server.key", "fingerprint"];

#[test]
fn init_makes_the_files_and_never_overwrites_one() {
    let place = Place::empty();
    let first = place.run(&["init", "-y", "--fqdn", "smp.example.org"]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let contents = FILES.map(|file| place.read(file));
    let fingerprint = place.read("fingerprint").trim().to_owned();
    let ini = place.read("smp-server.ini");
    let password = ini.lines().find_map(|line| line.strip_prefix("create_password = ")).unwrap();
    assert_eq!(password.len(), 32);
    assert!(first.out.contains(&format!("\nFingerprint: {fingerprint}\n")), "{}", first.out);
    let address = format!("\nServer address: smp://{fingerprint}:{password}@smp.example.org\n");
    assert!(first.out.contains(&address), "{}", first.out);

    #[cfg(unix)]
    for file in ["ca.key", "server.key", "smp-server.ini"] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(place.file(file).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }

    let second = place.run(&["init", "-y"]);
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("smp-server.ini: exists") && second.err.contains("nothing was changed"));
    assert_eq!(FILES.map(|file| place.read(file)), contents);
    for kept in FILES {
        let place = Place::empty();
        std::fs::create_dir(place.config()).unwrap();
        std::fs::write(place.file(kept), "precious").unwrap();
        assert_eq!(place.run(&["init", "-y"]).code, Some(1));
        assert_eq!(place.read(kept), "precious");
        assert_eq!(std::fs::read_dir(place.config()).unwrap().count(), 1);
    }
}

#[test]
fn init_writes_what_its_flags_ask_for() {
    let place = Place::empty();
    let line = "init -y -l -s -a ed448 --ip 192.0.2.7 --no-password --control-port --socks-proxy localhost:9050 \
                --own-domains example.org --source-code https://example.org/code --operator Me --operator-country DE \
                --operator-website https://example.org --hosting H --hosting-country FR --hosting-type owned \
                --server-country FR --web-path /w --schema s --pool-size 5";
    let done = place.run(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("@192.0.2.7\n") && !done.out.contains(":@"), "{}", done.out);
    let ini = place.read("smp-server.ini");
    for setting in [
        "enable = on",
        "log_stats = on",
        "host = 192.0.2.7",
        "port = 5223,443",
        "control_port = 5224",
        "socks_proxy = localhost:9050",
        "own_server_domains = example.org",
        "source_code = https://example.org/code",
        "operator = Me",
        "operator_country = DE",
        "website = https://example.org",
        "hosting = H",
        "hosting_country = FR",
        "hosting_type = owned",
        "server_country = FR",
        "static_path = /w",
        "db_schema = s",
        "db_pool_size = 5",
    ] {
        assert!(ini.lines().any(|line| line == setting), "{setting}");
    }
    assert!(!ini.lines().any(|line| line.starts_with("create_password")));
    let passwords: Vec<&str> = ini.lines().filter(|line| line.starts_with("control_port_")).collect();
    assert!(passwords.len() == 2 && passwords.iter().all(|line| line.len() > 50), "{passwords:?}");
    // An Ed448 key of 57 bytes makes a longer file than an Ed25519 key.
    assert!(place.read("server.key").len() > 140 && place.read("ca.key").len() > 140);
    assert_eq!(place.run(&["start", "--maintenance"]).code, Some(0));
}

#[test]
fn init_asks_what_the_flags_leave_open() {
    let place = Place::empty();
    let done = place.answer(&["init"], "n\na b\nsecret\nsmp.example.org\n");
    assert_eq!(done.code, Some(0), "{}", done.err);
    let ini = place.read("smp-server.ini");
    for setting in ["enable = off", "create_password = secret", "host = smp.example.org"] {
        assert!(ini.lines().any(|line| line == setting), "{setting}");
    }
    let place = Place::empty();
    let ended = place.run(&["init"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("-y"), "{}", ended.err);
    assert!(!place.config().exists());
}

#[test]
fn init_refuses_what_it_cannot_do() {
    for (arguments, said) in [
        (&["init", "-y", "--database", "postgresql://x"][..], "--database"),
        (&["init", "-y", "--password", "a b"], "[AUTH] create_password"),
        (&["init", "-y", "-n", "a b"], "[TRANSPORT] host"),
        (&["init", "-y", "--source-code", "--operator", "Me"], "[INFORMATION] source_code"),
        (&["init", "-y", "--source-code", "javascript:x"], "[INFORMATION] source_code"),
    ] {
        let place = Place::empty();
        let refused = place.run(arguments);
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.contains(said), "{}", refused.err);
        assert!(!place.config().exists());
    }
}

#[test]
fn cert_renews_the_server_certificate_and_keeps_the_identity() {
    for algorithm in ["ed25519", "ed448"] {
        let place = Place::of_reference(algorithm);
        let before = FILES.map(|file| place.read(file));
        let done = place.run(&["cert", "-a", "ED448", "--cn", "other.example.org"]);
        assert_eq!(done.code, Some(0), "{}", done.err);
        let after = FILES.map(|file| place.read(file));
        for (file, (before, after)) in FILES.iter().zip(before.iter().zip(&after)) {
            assert_eq!(before != after, file.starts_with("server."), "{file}");
        }
        assert_eq!(place.run(&["start", "-m"]).code, Some(0));
        assert_eq!(std::fs::read_dir(place.config()).unwrap().count(), FILES.len());
    }
    let place = Place::of_reference("ed25519");
    std::fs::remove_file(place.file("ca.key")).unwrap();
    let refused = place.run(&["cert"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("ca.key: cannot be read"), "{}", refused.err);
}

#[test]
fn delete_asks_and_deletes_only_what_is_its_own() {
    let place = Place::initialised();
    std::fs::write(place.file("web.crt"), "").unwrap();
    for answer in ["", "n\n", "\n"] {
        assert_eq!(place.answer(&["delete"], answer).code, Some(1));
        assert!(FILES.iter().all(|file| place.file(file).exists()));
    }
    let done = place.answer(&["delete"], "y\n");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("other files"), "{}", done.out);
    assert_eq!(std::fs::read_dir(place.config()).unwrap().count(), 1);
    assert!(!place.data().exists());

    let place = Place::initialised();
    std::fs::create_dir(place.data().join("smp-server-store")).unwrap();
    assert_eq!(place.run(&["delete", "-y"]).code, Some(0));
    assert!(!place.config().exists() && !place.data().exists());
    let nothing = place.run(&["delete", "-y"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.err.contains("nothing was deleted"), "{}", nothing.err);
}

#[test]
fn the_command_line_helps() {
    let place = Place::empty();
    let version = format!("smp-server {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["-v", "--version", "-V"] {
        let said = place.run(&[flag]);
        assert_eq!((said.code, said.out), (Some(0), version.clone()));
    }
    let help = place.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for word in ["init", "start", "run", "cert", "delete", "SMP_SERVER_CFG_PATH", "SIGTERM", "EXIT CODES"] {
        assert!(help.out.contains(word), "{word}");
    }
    assert_eq!(place.run(&["serve"]).code, Some(2));
    for command in ["journal", "database"] {
        let refused = place.run(&[command, "import", "--table", "queues"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.contains(&format!("{command} import: not available")), "{}", refused.err);
    }
}
