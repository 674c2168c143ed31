mod limits;

use std::path::Path;

use super::super::table::SECTIONS;
use super::super::template::render;
use super::super::{Contact, Information, Port, ProxyProtocol, Web};
use super::*;

fn settings(text: &str) -> Result<(Settings, Vec<String>), String> {
    read(&Ini::parse(Path::new("f.ini"), text).unwrap()).map_err(|e| e.to_string())
}

/// The embedded store with the usual sizes.
fn embedded(durability: Durability) -> Store {
    Store::Embedded(Embedded { durability, cache: 128 * MIB, journal: 256 * MIB, write_queue: 32 * MIB })
}

/// The message for a file whose line 2 is this setting.
fn problem(section: &str, line: &str) -> String {
    let problem = settings(&format!("[{section}]\n{line}\n")).err().unwrap();
    let key = line.split([':', '=']).next().unwrap().trim();
    let start = format!("f.ini, line 2: [{section}] {key}: ");
    problem.strip_prefix(&start).unwrap_or_else(|| panic!("{problem}")).to_owned()
}

#[test]
fn an_empty_file_has_the_defaults_of_the_protocol() {
    let (s, notes) = settings("").unwrap();
    let (ours, core) = (&s.server, ServerConfig::default());
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(ours.limits, core.limits);
    assert_eq!(ours.idle_clients, core.idle_clients);
    assert_eq!(
        (ours.new_queues, ours.password.is_none(), ours.id_bytes, ours.message_quota, ours.message_ttl),
        (core.new_queues, core.password.is_none(), core.id_bytes, core.message_quota, core.message_ttl)
    );
    assert_eq!(
        (ours.expiry_interval, ours.expire_on_start, ours.expire_on_send, ours.end_interval),
        (core.expiry_interval, core.expire_on_start, core.expire_on_send, core.end_interval)
    );
    assert_eq!(
        (ours.notification_ttl, ours.notification_expiry_interval, ours.notification_interval),
        (core.notification_ttl, core.notification_expiry_interval, core.notification_interval)
    );
    assert_eq!(s.store, embedded(Durability::Always));
    assert_eq!(s.hosts, ["localhost".parse().unwrap()]);
    assert_eq!(s.ports, [5223, 443].map(|number| Port { number, web: false }));
    assert!(s.bind.is_empty());
    assert_eq!((s.versions, s.log_tls_errors, s.accepts_services), ("6-18".parse().unwrap(), false, true));
    assert_eq!(s.stop_timeout, seconds(5));
    let out = &s.outgoing;
    assert_eq!((out.hosts, out.required, out.private), (HostMode::Public, false, false));
    assert!(out.socks.is_none() && ours.proxy && ours.own_server_domains.is_empty());
}

#[test]
fn a_file_with_every_default_written_out_says_the_same() {
    let mut choices = Vec::new();
    for section in SECTIONS {
        let defaults = section.settings.iter().filter_map(|s| Some((s.key, s.default?.to_owned())));
        choices.extend(defaults.map(|(key, value)| (section.name, key, value)));
    }
    let (s, notes) = settings(&render(&choices)).unwrap();
    let (empty, _) = settings("").unwrap();
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!((s.store, s.hosts, s.ports, s.bind), (empty.store, empty.hosts, empty.ports, empty.bind));
    assert_eq!((s.server.limits, s.server.idle_clients), (empty.server.limits, empty.server.idle_clients));
    assert_eq!(s.server.message_ttl, empty.server.message_ttl);
}

#[test]
fn every_setting_takes_effect() {
    let text = "
[STORE_LOG]
durability = interval
durability_interval = 20ms
cache_size = 1MiB
journal_size = 64MiB
write_queue_size = 2MiB
expire_messages_days = 3
expire_messages_interval = 1s
expire_messages_on_start = off
expire_messages_on_send = on
[AUTH]
new_queues = off
create_password = secret#1
[TRANSPORT]
host = smp.example.org, ::1
port = 443,0
bind = 127.0.0.1
smp_versions = 7-20
log_tls_errors = on
accept_service_credentials = off
websockets = 80,8080
proxy_protocol = 443
[LIMITS]
msg_queue_quota = 4
queue_id_length = 16
end_interval = 0
notification_interval = 7ms
stop_timeout = 1s
[PROXY]
enable = off
host_mode = onion
required_host_mode = on
own_server_domains = example.org, example.net
socks_proxy = [::1]:9050
socks_mode = always
allow_private_relays = on
client_concurrency = 7
[INACTIVE_CLIENTS]
disconnect = on
ttl = 1
check_interval = 100ms
[WEB]
static_path = /www
http = 8000
https = 443
cert = /c
key = /k
";
    let (s, _) = settings(text).unwrap();
    let core = &s.server;
    assert_eq!(
        s.store,
        Store::Embedded(Embedded {
            durability: Durability::Interval(Duration::from_millis(20)),
            cache: MIB,
            journal: 64 * MIB,
            write_queue: 2 * MIB,
        })
    );
    assert_eq!(core.message_ttl, Some(seconds(3 * 86_400)));
    assert_eq!((core.expiry_interval, core.expire_on_start, core.expire_on_send), (seconds(1), false, true));
    assert!(!core.new_queues && core.password.as_ref().is_some_and(|p| p.as_str() == "secret#1"));
    assert_eq!(s.hosts, ["smp.example.org", "[::1]"].map(|host| host.parse().unwrap()));
    assert_eq!(s.ports, [Port { number: 443, web: true }, Port { number: 0, web: false }]);
    assert_eq!((s.web_sockets, s.proxy_protocol), (vec![80, 8080], ProxyProtocol::Ports(vec![443])));
    let path = |path: &str| Some(std::path::PathBuf::from(path));
    let web = Web {
        static_path: path("/www"),
        http: Some(8000),
        https: Some(443),
        certificate: path("/c"),
        key: path("/k"),
    };
    assert_eq!(s.web, web);
    assert_eq!(s.bind, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((s.versions, s.log_tls_errors, s.accepts_services), ("7-20".parse().unwrap(), true, false));
    assert_eq!((core.message_quota, core.id_bytes, core.end_interval), (4, 16, Duration::ZERO));
    assert_eq!(core.notification_interval, Duration::from_millis(7));
    assert_eq!(s.stop_timeout, seconds(1));
    assert!(!core.proxy && core.limits.client_forwards == 7);
    assert_eq!(core.own_server_domains, ["example.org", "example.net"]);
    let out = &s.outgoing;
    assert_eq!((out.hosts, out.required, out.private), (HostMode::Onion, true, true));
    let socks = out.socks.as_ref().unwrap();
    assert_eq!((socks.host.as_str(), socks.port, socks.mode), ("::1", 9050, SocksMode::Always));
    let idle = core.idle_clients.unwrap();
    assert_eq!((idle.ttl, idle.check_interval), (seconds(1), Duration::from_millis(100)));

    let (s, _) = settings(
        "[STORE_LOG]\nenable = off\nexpire_messages_days = off\n[INACTIVE_CLIENTS]\ndisconnect: off",
    )
    .unwrap();
    assert_eq!((s.store, s.server.message_ttl, s.server.idle_clients), (Store::Memory, None, None));
    let (s, _) = settings("[STORE_LOG]\ndurability = on-exit").unwrap();
    assert_eq!(s.store, embedded(Durability::OnExit));
}

#[test]
fn information_is_read_and_needs_the_source_code() {
    let fingerprint = "AB12 ".repeat(10);
    let contact = |name: &str| {
        format!(
            "{name}_simplex = simplex:/a#{name}\n{name}_email = {name}@b\n{name}_pgp = https://{name}\n\
             {name}_pgp_fingerprint = {fingerprint}\n"
        )
    };
    let text = format!(
        "[INFORMATION]\nsource_code = https://s\nusage_conditions = https://u\ncondition_amendments = https://c\n\
         server_country = de\noperator = Me & You\noperator_country = FR\nwebsite = http://w\nhosting = H\n\
         hosting_country = it\nhosting_type = virtual\n{}{}",
        contact("admin"),
        contact("complaints")
    );
    let some = |text: &str| Some(text.to_owned());
    let contact = |name: &str| Contact {
        simplex: some(&format!("simplex:/a#{name}")),
        email: some(&format!("{name}@b")),
        pgp: some(&format!("https://{name}")),
        pgp_fingerprint: some(fingerprint.trim()),
    };
    let expected = Information {
        source_code: some("https://s"),
        usage_conditions: some("https://u"),
        condition_amendments: some("https://c"),
        server_country: some("DE"),
        operator: some("Me & You"),
        operator_country: some("FR"),
        website: some("http://w"),
        admin: contact("admin"),
        complaints: contact("complaints"),
        hosting: some("H"),
        hosting_country: some("IT"),
        hosting_type: some("virtual"),
    };
    let (read, notes) = settings(&text).unwrap();
    assert_eq!((read.information, notes), (expected, Vec::new()));
    let without = settings(&text.replace("source_code = https://s\n", "")).err().unwrap();
    assert!(without.starts_with("f.ini: [INFORMATION] source_code: has to be set, because "), "{without}");
    assert_eq!(settings("[INFORMATION]\noperator =\n").unwrap().0.information, Information::default());
}

#[test]
fn a_port_has_one_use_but_for_the_one_that_is_shared() {
    for (text, place) in [
        ("[TRANSPORT]\nwebsockets = 443\n", "line 2: [TRANSPORT] websockets: port 443 is also "),
        ("[TRANSPORT]\nwebsockets = on\n[WEB]\nhttp = 80\n", "line 4: [WEB] http: port 80 is also "),
        ("[TRANSPORT]\nwebsockets = 8443\n[WEB]\nhttps = 8443\n", "line 4: [WEB] https: port 8443 is also "),
        ("[WEB]\nhttp = 5223\n", "line 2: [WEB] http: port 5223 is also "),
        ("[WEB]\nhttp = 8000\nhttps = 8000\n", "line 2: [WEB] http: port 8000 is also "),
        ("[TRANSPORT]\nproxy_protocol = 80\n", "line 2: [TRANSPORT] proxy_protocol: port 80 is none "),
    ] {
        let problem = settings(text).err().unwrap();
        assert!(problem.starts_with(&format!("f.ini, {place}")), "{problem}");
    }
    assert!(
        settings("[TRANSPORT]\nproxy_protocol = 80,443,8000\nwebsockets = on\n[WEB]\nhttp = 8000\n").is_ok()
    );
}

#[test]
fn bad_values_are_refused_with_their_place_and_the_way_out() {
    let switch = "has to be `on` or `off`";
    let time = "has to be a length of time from ";
    let count = "has to be a number from ";
    for (section, line, start) in [
        ("STORE_LOG", "enable = yes", switch),
        ("STORE_LOG", "restore_messages: 1", switch),
        ("STORE_LOG", "durability = never", "has to be one of `always`, `interval`, `on-exit`"),
        ("STORE_LOG", "durability_interval = 0", time),
        ("STORE_LOG", "cache_size = 0", "has to be a size from 1048576 to "),
        ("STORE_LOG", "journal_size = 1MiB", "has to be a size from 67108864 to "),
        ("STORE_LOG", "write_queue_size = 1", "has to be a size from 1048576 to "),
        ("STORE_LOG", "store_queues = journal", "has to be one of `memory`, `database`"),
        ("STORE_LOG", "store_queues = database", "`database` is not supported"),
        ("STORE_LOG", "store_messages = database", "`database` is not supported"),
        ("STORE_LOG", "store_messages = disk", "has to be one of `memory`, `journal`, `database`"),
        ("STORE_LOG", "expire_messages_days = 0", time),
        ("STORE_LOG", "expire_messages_interval = 0", time),
        ("STORE_LOG", "expire_messages_on_start = ", switch),
        ("STORE_LOG", "expire_messages_on_send = ON", switch),
        ("STORE_LOG", "expire_ntfs_hours = day", time),
        ("STORE_LOG", "expire_ntfs_interval = -1", time),
        ("AUTH", "new_queues = true", switch),
        ("AUTH", "create_password = ", "has to be 1 to 255 printable ASCII characters"),
        ("AUTH", "create_password = a b", "has to be 1 to 255 printable ASCII characters"),
        ("TRANSPORT", "host = a b", "has to be domain names or IP addresses"),
        ("TRANSPORT", "port = 5223;443", "has to be different ports from 0 to 65535"),
        ("TRANSPORT", "bind = localhost", "has to be IP addresses of this machine"),
        ("TRANSPORT", "smp_versions = 5-18", "has to be a range of versions within 6-20"),
        ("TRANSPORT", "log_tls_errors = 0", switch),
        ("TRANSPORT", "accept_service_credentials = 0", switch),
        ("TRANSPORT", "websockets = yes", "has to be `off`, `on` (port 80), or ports"),
        ("TRANSPORT", "proxy_protocol = yes", "has to be `off`, `on` (all ports), or ports"),
        ("INFORMATION", "source_code = javascript:x", "has to be an address that begins with https://"),
        ("INFORMATION", "server_country = Germany", "has to be the two letters of a country"),
        ("INFORMATION", "admin_email = me", "has to be a mail address"),
        ("INFORMATION", "admin_simplex = me", "has to be a SimpleX address"),
        ("INFORMATION", "admin_pgp_fingerprint = 1", "has to be a fingerprint"),
        ("INFORMATION", "hosting_type = cloud", "has to be one of `virtual`"),
        ("WEB", "http = on", "has to be a number from 0 to 65535"),
        ("WEB", "https = 65536", "has to be a number from 0 to 65535"),
        ("WEB", "static_path =", "has to be a path"),
        ("WEB", "cert =", "has to be a path"),
        ("LIMITS", "msg_queue_quota = 0", count),
        ("LIMITS", "queue_id_length = 33", "has to be a number from 16 to 32"),
        ("LIMITS", "end_interval = 2h", time),
        ("LIMITS", "notification_interval = 2h", time),
        ("LIMITS", "stop_timeout = 9s", "has to be a length of time from 0s to 8s"),
        ("PROXY", "enable = yes", switch),
        ("PROXY", "host_mode = tor", "has to be one of `public`, `onion`"),
        ("PROXY", "required_host_mode = 1", switch),
        ("PROXY", "own_server_domains = a b", "has to be domain names"),
        ("PROXY", "own_server_domains = 192.0.2.1", "has to be domain names"),
        ("PROXY", "socks_proxy = localhost", "has to be a host and a port"),
        ("PROXY", "socks_proxy = ::1:9050", "has to be a host and a port"),
        ("PROXY", "socks_proxy = localhost:0", "has to be a host and a port"),
        ("PROXY", "socks_mode = public", "has to be one of `onion`, `always`"),
        ("PROXY", "allow_private_relays = yes", switch),
        ("PROXY", "client_concurrency = 0", count),
        ("INACTIVE_CLIENTS", "disconnect = no", switch),
        ("INACTIVE_CLIENTS", "ttl = 0", time),
        ("INACTIVE_CLIENTS", "check_interval = 1w", time),
    ] {
        let problem = problem(section, line);
        assert!(problem.starts_with(start), "{line}: {problem}");
    }
}

#[test]
fn a_message_never_repeats_a_password() {
    for key in ["create_password", "control_port_admin_password", "control_port_user_password"] {
        let problem = settings(&format!("[AUTH]\n{key} = my secret\n")).err().unwrap();
        assert!(!problem.contains("secret"), "{problem}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let text = "[AUTH]\nnew_quues = on\n[OTHER]\nx = 1\n[TRANSPORT]\ncontrol_port = 5224\n\
                websockets = off\n[STORE_LOG]\nrestore_messages = off\n[WEB]\nhttps = 443\n";
    let (_, notes) = settings(text).unwrap();
    assert_eq!(
        notes,
        [
            "f.ini: without effect, because this server does not know it: [AUTH] new_quues (line 2), [OTHER] x (line 4)",
            "f.ini: without effect, because the port is not opened while neither [AUTH] control_port_admin_password nor \
             control_port_user_password is set: [TRANSPORT] control_port (line 6)",
            "f.ini: without effect, because the embedded store keeps messages with their queues: [STORE_LOG] restore_messages (line 9)",
        ]
    );
}

#[test]
fn onion_names_alone_take_a_socks_proxy() {
    let text = "[PROXY]\nhost_mode = onion\nrequired_host_mode = on\n";
    let problem = settings(text).err().unwrap();
    assert!(problem.starts_with("f.ini, line 3: [PROXY] required_host_mode: onion names alone"), "{problem}");
    assert!(settings(&format!("{text}socks_proxy = localhost:9050\n")).is_ok());
}

#[test]
fn the_control_port_takes_a_password() {
    use crate::control::{Quota, Role};

    let control = |text: &str| settings(&format!("[TRANSPORT]\ncontrol_port = 7\n[AUTH]\n{text}")).unwrap();
    assert!(control("").0.control.is_none());
    assert!(settings("[AUTH]\ncontrol_port_user_password = u\n").unwrap().0.control.is_none());
    for (quota, expected) in [
        ("", Quota::Daily(20)),
        ("daily_block_queue_quota = 0", Quota::Unlimited),
        ("daily_block_queue_quota = 3", Quota::Daily(3)),
        ("daily_block_queue_quota = -1", Quota::Daily(0)),
    ] {
        let (read, notes) = control(&format!("control_port_user_password = u/=\n{quota}\n"));
        let control = read.control.unwrap();
        assert_eq!((control.port, control.quota, notes), (7, expected, Vec::new()));
        assert_eq!((control.access.role(b"u/="), control.access.role(b"")), (Some(Role::User), None));
    }
    let (read, _) = control("control_port_admin_password = a\ncontrol_port_user_password = u\n");
    let access = read.control.unwrap().access;
    assert_eq!((access.role(b"a"), access.role(b"u")), (Some(Role::Admin), Some(Role::User)));
}

#[test]
fn bad_values_of_the_control_port() {
    let graphic = "has to be 1 to 255 printable ASCII characters without space";
    for (section, line, start) in [
        ("AUTH", "control_port_admin_password = ", graphic),
        ("AUTH", "control_port_user_password = a b", graphic),
        ("AUTH", "daily_block_queue_quota = -2", "has to be a number from 0 to 1000000, 0 for as many"),
        ("AUTH", "daily_block_queue_quota = off", "has to be a number from 0 to 1000000, 0 for as many"),
        ("TRANSPORT", "control_port = off", "has to be a number from 0 to 65535"),
        ("TRANSPORT", "control_port = 5223", "port 5223 is also for something else"),
    ] {
        let problem = problem(section, line);
        assert!(problem.starts_with(start), "{line}: {problem}");
    }
    let same = "[AUTH]\ncontrol_port_admin_password = a\ncontrol_port_user_password = a\n";
    let problem = settings(same).err().unwrap();
    assert!(
        problem.starts_with("f.ini, line 3: [AUTH] control_port_user_password: has to be another"),
        "{problem}"
    );
    for other in ["port = 7", "websockets = 7", "[WEB]\nhttp = 7", "[WEB]\nhttps = 7"] {
        let text = format!("[TRANSPORT]\ncontrol_port = 7\n{other}\n");
        let problem = settings(&text).err().unwrap();
        assert!(problem.starts_with("f.ini, line 2: [TRANSPORT] control_port: port 7 is also"), "{problem}");
    }
}
