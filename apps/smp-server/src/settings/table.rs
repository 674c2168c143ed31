//! Every setting that the file may have: its section, key, default and what it is for.
//!
//! The generated file, the defaults, and the telling apart of unknown settings all come from here.

/// A section of the file.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) settings: &'static [Setting],
}

/// A setting.
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    /// The value when the file does not have it; `None` when there is none.
    pub(crate) default: Option<&'static str>,
    /// The value that the generated file shows in a comment when `default` would explain nothing.
    pub(crate) example: &'static str,
    pub(crate) about: &'static str,
    /// The feature that needs the setting, while this server does not have it yet.
    pub(crate) later: Option<&'static str>,
}

/// The setting of this name.
pub(crate) fn find(section: &str, key: &str) -> Option<&'static Setting> {
    let section = SECTIONS.iter().find(|s| s.name == section)?;
    section.settings.iter().find(|s| s.key == key)
}

const fn setting(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { key, default: Some(default), example: default, about, later: None }
}

const fn optional(key: &'static str, example: &'static str, about: &'static str) -> Setting {
    Setting { key, default: None, example, about, later: None }
}

impl Setting {
    const fn later(mut self, feature: &'static str) -> Self {
        self.later = Some(feature);
        self
    }
}

pub(crate) const SECTIONS: &[Section] =
    &[INFORMATION, STORE_LOG, AUTH, TRANSPORT, LIMITS, PROXY, INACTIVE_CLIENTS, WEB, NAMES];

const INFORMATION: Section = Section {
    name: "INFORMATION",
    about: "Who runs the server, for its web site.",
    settings: &[
        optional(
            "source_code",
            "URI",
            "Where the source code of this server is. It has to be set when anything else of this section is.",
        ),
        optional("usage_conditions", "URI", "Conditions of use."),
        optional("condition_amendments", "URI", "Amendments to the conditions of use."),
        optional("server_country", "XX", "Country of the server, two letters (ISO 3166)."),
        optional("operator", "NAME", "Organisation or person who runs the server."),
        optional("operator_country", "XX", "Country of the operator."),
        optional("website", "URI", "Web site of the operator."),
        optional("admin_simplex", "ADDRESS", "SimpleX address of the administrators."),
        optional("admin_email", "EMAIL", "Mail address of the administrators."),
        optional("admin_pgp", "URI", "PGP key of the administrators."),
        optional("admin_pgp_fingerprint", "HEX", "Fingerprint of that key."),
        optional("complaints_simplex", "ADDRESS", "SimpleX address for complaints."),
        optional("complaints_email", "EMAIL", "Mail address for complaints."),
        optional("complaints_pgp", "URI", "PGP key for complaints."),
        optional("complaints_pgp_fingerprint", "HEX", "Fingerprint of that key."),
        optional("hosting", "NAME", "Who provides the machine."),
        optional("hosting_country", "XX", "Country of the hosting provider."),
        optional("hosting_type", "virtual", "virtual, dedicated, colocation or owned."),
    ],
};

const STORE_LOG: Section = Section {
    name: "STORE_LOG",
    about: "What is stored, how durably and for how long.",
    settings: &[
        setting(
            "enable",
            "on",
            "on: queues and messages are kept in the folder smp-server-store, next to the \
            other data, and survive restarts. off: they are kept in memory and end with the server.",
        ),
        setting(
            "store_queues",
            "memory",
            "With `enable = on` this server keeps queues and messages in its embedded \
            store for `memory` and `journal` alike. `database` is refused: it does not use PostgreSQL yet.",
        ),
        setting("store_messages", "memory", "The same for messages: `memory` or `journal`."),
        setting(
            "restore_messages",
            "on",
            "Only for the reference server. The embedded store always keeps messages \
            with their queues; without it nothing is restored.",
        ),
        setting(
            "durability",
            "always",
            "When a client is told that a command was done. always: when it is safely on \
            disk (many commands share one write). interval: at once; written to disk every durability_interval, so \
            a crash of the machine loses at most that much. on-exit: at once; written to disk by the system in its \
            own time and when the server stops.",
        ),
        setting(
            "durability_interval",
            "100ms",
            "How often data is written to disk with `durability = interval`.",
        ),
        setting(
            "cache_size",
            "128MiB",
            "Memory for what was read from the store; up to 100 MiB come on top for writing.",
        ),
        setting(
            "journal_size",
            "256MiB",
            "How large the journal of the store may become. A larger one makes for fewer writes, and a longer start \
             after a crash.",
        ),
        setting(
            "write_queue_size",
            "32MiB",
            "How much may wait to be written to the store; clients wait meanwhile.",
        ),
        setting(
            "expire_messages_days",
            "21",
            "Messages that nobody received for this long are deleted. In days; \
            `off` keeps them for ever.",
        ),
        setting("expire_messages_interval", "2h", "How often such messages are looked for."),
        setting("expire_messages_on_start", "on", "Look for them when the server starts."),
        setting("expire_messages_on_send", "off", "Look for them in a queue before each message sent to it."),
        setting(
            "expire_ntfs_hours",
            "24",
            "Notifications that nobody took for this long are deleted. In hours; \
            `off` keeps them for ever.",
        ),
        setting("expire_ntfs_interval", "1h", "How often such notifications are looked for."),
        setting(
            "log_stats",
            "off",
            "Write a line of statistics every day to smp-server-stats.daily.log, next to the other data; counting \
             then begins anew.",
        ),
        optional(
            "prometheus_interval",
            "60",
            "Write metrics for Prometheus to smp-server-metrics.txt, next to the other data, this often. In seconds.",
        ),
        optional("db_connection", "postgresql://smp@/smp_server_store", "The database.").later(DATABASE),
        setting("db_schema", "smp_server", "Its schema.").later(DATABASE),
        setting("db_pool_size", "10", "Connections to it.").later(DATABASE),
        setting("db_store_log", "off", "Also write the store log.").later(DATABASE),
        setting("db_deleted_ttl", "21", "How long deleted queues are kept, in days.").later(DATABASE),
    ],
};

const AUTH: Section = Section {
    name: "AUTH",
    about: "Who may do what.",
    settings: &[
        setting("new_queues", "on", "Whether queues can be created."),
        optional(
            "create_password",
            "PASSWORD",
            "The password for creating queues. Without it anybody may. Printable \
            ASCII characters without space, `@`, `:` and `/`.",
        ),
        optional(
            "control_port_admin_password",
            "PASSWORD",
            "For all commands of the control port. Printable ASCII characters without space. `init` makes a random one.",
        ),
        optional(
            "control_port_user_password",
            "PASSWORD",
            "For looking at the server and at queues, and for blocking and unblocking queues. Another one than that.",
        ),
        setting(
            "daily_block_queue_quota",
            "20",
            "How many queues those with the user password may block a day (UTC), all together and counted from the \
             start of the server. 0: as many as they like. -1: none. Admins may always.",
        ),
    ],
};

const TRANSPORT: Section = Section {
    name: "TRANSPORT",
    about: "Where and how the server listens.",
    settings: &[
        setting(
            "host",
            "localhost",
            "Names or addresses under which clients reach the server, separated by commas. \
            Only printed in its address; what it listens on is `bind` and `port`.",
        ),
        setting(
            "port",
            "5223,443",
            "Ports to listen on, separated by commas. Clients try 5223 and 443 when an \
            address names none. A port that is also `https` in [WEB] may be in use by another program: the others \
            are served all the same.",
        ),
        setting(
            "bind",
            "*",
            "Addresses of this machine to listen on, separated by commas; `*` is all of them.",
        ),
        setting(
            "smp_versions",
            "6-18",
            "SMP versions offered to clients, from 6 to 20. With 6-6 clients take the \
            server for a very old one.",
        ),
        setting(
            "log_tls_errors",
            "off",
            "Log connections that fail before they speak SMP. The log never names them.",
        ),
        setting(
            "websockets",
            "off",
            "Ports for SMP over WebSockets, inside TLS with the server's own certificate: `on` for port 80, or ports \
             separated by commas.",
        ),
        setting(
            "proxy_protocol",
            "off",
            "Ports behind a proxy or load balancer that begins each connection with a header of the PROXY protocol \
             (version 1 or 2), which tells who connected: `on` for all ports, or ports separated by commas. Other \
             connections to these ports are closed. Nobody but the proxy may reach them: the header is believed. The \
             reference server does not know this setting.",
        ),
        optional(
            "control_port",
            "5224",
            "Port for administration while the server runs: lines of text, as with `nc 127.0.0.1 5224`; `help` lists \
             the commands. It is on 127.0.0.1 alone, whatever `bind` says, and is opened only when a password for it is \
             set in [AUTH].",
        ),
        optional(
            "metrics_port",
            "9223",
            "Port for whatever watches the server: HTTP with /metrics (for Prometheus), /healthz and /readyz. It is on \
             127.0.0.1 alone, whatever `bind` says. The reference server does not know this setting.",
        ),
        setting("accept_service_credentials", "on", "Whether clients may be services with certificates."),
    ],
};

const LIMITS: Section = Section {
    name: "LIMITS",
    about: "What clients may make the server hold or do. The reference server does not know this section.",
    settings: &[
        setting(
            "msg_queue_quota",
            "128",
            "Messages that a queue holds before senders have to wait, 1 to 1000000.",
        ),
        setting("queue_id_length", "24", "Bytes of the ids of new queues, 16 to 32."),
        setting(
            "end_interval",
            "500ms",
            "How long the news that a subscription ended may wait, so that many of them \
            are sent together.",
        ),
        setting(
            "notification_interval",
            "1500ms",
            "How long a notification may wait, so that many of them are sent together.",
        ),
        setting(
            "connections",
            "100000",
            "Connections at the same time. More are closed at once. The system must allow as many open \
             files.",
        ),
        setting(
            "connections_per_address",
            "10000",
            "The same for one IPv4 address or IPv6 /64 network, or `off`. Addresses of this machine are not \
             counted: an onion service or a proxy on it brings all its users from one.",
        ),
        setting(
            "new_connections_per_address",
            "1000",
            "New connections from one such address in each new_connections_interval, or `off`. More are \
             closed at once: handshakes cost time.",
        ),
        setting("new_connections_interval", "10s", "How long new connections are counted."),
        setting("handshakes", "10000", "Connections that do not speak SMP yet. More are closed at once."),
        setting(
            "handshake_timeout",
            "10s",
            "How long a client may take until it speaks SMP. Then it is disconnected.",
        ),
        setting(
            "accepts_in_turn",
            "32",
            "Connections that are accepted before those that there are get their turn.",
        ),
        setting(
            "accept_pause_min",
            "10ms",
            "The pause after a connection could not be accepted, as when no open files are left. Each \
             failure after another doubles it.",
        ),
        setting("accept_pause_max", "1s", "The longest such pause."),
        setting(
            "commands_in_flight",
            "512",
            "Commands of one connection that wait for an answer. No more is read from it meanwhile.",
        ),
        setting(
            "input_bytes",
            "256KiB",
            "Bytes of such commands. No more is read from the connection meanwhile.",
        ),
        setting(
            "stalled_input",
            "60s",
            "How long a client may take to finish a block of 16 KiB that it began. Then it is disconnected.",
        ),
        setting(
            "verifications_in_turn",
            "64",
            "Signatures of one connection that are verified before others get their turn; the rest waits.",
        ),
        setting(
            "rounds_in_turn",
            "16",
            "How often one connection is read and written before others get their turn.",
        ),
        setting(
            "output_bytes",
            "256KiB",
            "Bytes that one connection has not taken yet. No more is read from it meanwhile.",
        ),
        setting("queued_output", "64KiB", "Over this many of those bytes writing comes before reading."),
        setting(
            "stalled_output",
            "40s",
            "How long a connection may take nothing of what waits for it. Then it is closed.",
        ),
        setting(
            "deliveries_in_flight",
            "8",
            "Messages on their way to one connection, each of 16 KiB. More wait in the store. News of 200 ended \
             subscriptions count as one.",
        ),
        setting(
            "queued_bytes",
            "1024MiB",
            "Bytes of commands and output of all connections together. Above, connections that hold some of \
             it are not read. Beside it each connection may hold its deliveries and what is read at a time, \
             32 KiB.",
        ),
        setting(
            "closing_timeout",
            "2s",
            "How long the last output of a connection that ends may take. Then it is cut.",
        ),
        setting(
            "closing_input",
            "1MiB",
            "Bytes that a client may go on sending when its connection ends. Then it is cut.",
        ),
        setting(
            "subscriptions",
            "1000000",
            "Queues that one connection may be subscribed to. More are refused.",
        ),
        setting(
            "get_queues",
            "100000",
            "Queues that one connection may receive from by GET. More are refused.",
        ),
        setting("recipient_keys", "16", "Keys that a recipient may set for one queue. More are refused."),
        setting("http_connections", "1000", "Connections of the web site. More are closed at once."),
        setting("http_head_bytes", "8KiB", "Bytes of a web request. A longer one is refused."),
        setting("http_requests", "100", "Web requests that one connection may make. Then it is closed."),
        setting(
            "http_timeout",
            "10s",
            "How long a web connection may take for a request, and to take 16 KiB of an answer. Then it is closed.",
        ),
        setting(
            "notifications",
            "128",
            "Notifications that wait for the notifier of one queue. Of more the oldest are deleted.",
        ),
        setting("services", "10000", "Services that the server knows. More are refused."),
        setting(
            "relay_forwards",
            "1024",
            "Messages that are being forwarded to one other server, or wait for a connection to it. More are refused.",
        ),
        setting("relays", "1000", "Other servers that this one is connected to for private routing."),
        setting(
            "relay_failures",
            "1000",
            "Other servers of which it is remembered that they cannot be reached.",
        ),
        setting("relay_failure_ttl", "30s", "For how long."),
        setting("relay_connecting", "30s", "How long connecting to another server may take."),
        setting(
            "relay_answer",
            "15s",
            "How long another server may take to answer. One that misses three in a row is disconnected.",
        ),
        setting("relay_idle", "30m", "After how long without messages another server is disconnected."),
        setting(
            "forwarded_keys",
            "1024",
            "Messages forwarded by one other server that are remembered, so that none is taken twice.",
        ),
        setting(
            "expiry_queues",
            "1000",
            "Queues that are looked through for old messages before clients get their turn again.",
        ),
        setting(
            "stop_timeout",
            "5s",
            "How long commands may take to finish when the server is told to stop. At \
            most 8s.",
        ),
    ],
};

const PROXY: Section = Section {
    name: "PROXY",
    about: "Private routing: forwarding to other servers for clients, who need the password of [AUTH] if there is one.",
    settings: &[
        setting(
            "enable",
            "on",
            "Whether messages of clients are forwarded to other servers. Messages that other servers forward are \
             accepted in any case. The reference server does not know this setting.",
        ),
        setting("host_mode", "public", "Which names of another server to use first: public or onion."),
        setting("required_host_mode", "off", "Use no names of the other kind."),
        optional(
            "own_server_domains",
            "example.org",
            "Domains of servers by the same operator, separated by commas. They are counted apart.",
        ),
        optional(
            "socks_proxy",
            "localhost:9050",
            "SOCKS proxy for connections to other servers, as host and port. Without it onion names are not used.",
        ),
        setting("socks_mode", "onion", "When it is used: onion (for onion names) or always."),
        setting(
            "allow_private_relays",
            "off",
            "Connect to other servers at private and local addresses too. Then clients can find out what is in the \
             network of this machine. The reference server does not know this setting, and always does it.",
        ),
        setting(
            "client_concurrency",
            "32",
            "Messages that one client may have forwarded at a time, 1 to 1000. More wait.",
        ),
    ],
};

const INACTIVE_CLIENTS: Section = Section {
    name: "INACTIVE_CLIENTS",
    about: "Connections that are silent and subscribed to nothing.",
    settings: &[
        setting("disconnect", "on", "Whether they are closed."),
        setting("ttl", "21600", "After how long. In seconds."),
        setting("check_interval", "3600", "How often that is checked. In seconds."),
    ],
};

const WEB: Section = Section {
    name: "WEB",
    about: "The web site of the server: who runs it, and pages for links. Without http and https there is none. It never \
            keeps SMP from being served: where its port is in use, or its certificate is not there, it is left out.",
    settings: &[
        optional(
            "static_path",
            "/var/opt/simplex/www",
            "Folder of files for the web site: those in it are added to the site and replace its own, index.html the \
             first page. They are read when the server starts. Up to 1000 files of 4 MiB, together 64 MiB; symbolic \
             links are not followed. Pages that the reference server has generated there are taken for yours: move them \
             away.",
        ),
        optional("http", "8000", "Port for plain HTTP."),
        optional(
            "https",
            "443",
            "Port for HTTPS. It may be one of [TRANSPORT] port: who names a server in TLS, as browsers do, gets the \
             web site, and SMP clients get SMP.",
        ),
        optional(
            "cert",
            "/etc/opt/simplex/web.crt",
            "Certificates for HTTPS, PEM, that of the server first. They are read when the server starts. Without the \
             line web.crt beside this file.",
        ),
        optional(
            "key",
            "/etc/opt/simplex/web.key",
            "Its key, PEM. Without the line web.key beside this file.",
        ),
    ],
};

const NAMES: Section = Section {
    name: "NAMES",
    about: "Resolution of names, by asking a web server: GET {resolver_endpoint}/resolve/{name}, answered in JSON.",
    settings: &[
        setting(
            "enable",
            "off",
            "Whether names are resolved. Apps ask for them from version 20 on: see [TRANSPORT] smp_versions.",
        ),
        optional(
            "resolver_endpoint",
            "http://127.0.0.1:8000",
            "Address of the resolver, with http:// or https://. Certificates for https are checked with the \
             authorities that this system trusts.",
        ),
        optional(
            "resolver_auth",
            "bearer:TOKEN",
            "How to log in to it: bearer:TOKEN or basic:USER:PASSWORD. Over http:// only to a resolver on this machine.",
        ),
        setting(
            "resolver_timeout_ms",
            "3000",
            "How long a question may take, until the end of the answer. In milliseconds.",
        ),
        setting(
            "resolver_max_response_bytes",
            "16000",
            "How long its answers may be. About 16300 bytes fit in an answer to a client.",
        ),
        setting(
            "resolver_concurrency",
            "1000",
            "Names that are resolved at the same time. More are refused at once.",
        ),
    ],
};

const DATABASE: &str = "the PostgreSQL store";
