use super::super::codec::decode_all;
use super::*;

fn decode(bytes: &[u8]) -> Decoded<ErrorType> {
    decode_all(&bytes.to_vec().into(), ErrorType::decode)
}

fn encode(error: &ErrorType, version: u16) -> Vec<u8> {
    let mut out = Vec::new();
    error.encode(Version(version), &mut out);
    out
}

fn broker(error: BrokerErrorType) -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::Broker(error)))
}

fn blocked(reason: BlockingReason, notice: Option<Notice>) -> ErrorType {
    ErrorType::Blocked(BlockingInfo { reason, notice })
}

#[test]
fn text_both_ways() {
    let no_auth = ErrorType::Command(CommandError::NoAuth);
    let handshake = TransportError::Handshake(HandshakeError::BadService);
    for (bytes, error) in [
        (&b"BLOCK"[..], ErrorType::Block),
        (b"CMD NO_AUTH", no_auth.clone()),
        (b"PROXY NO_SESSION", ErrorType::Proxy(Box::new(ProxyError::NoSession))),
        (b"PROXY BASIC_AUTH", ErrorType::Proxy(Box::new(ProxyError::BasicAuth))),
        (b"PROXY PROTOCOL CMD NO_AUTH", ErrorType::Proxy(Box::new(ProxyError::Protocol(no_auth)))),
        (b"PROXY BROKER RESPONSE \x03a b", broker(BrokerErrorType::Response(ErrorText::new("a b")))),
        (b"PROXY BROKER TRANSPORT HANDSHAKE BAD_SERVICE", broker(BrokerErrorType::Transport(handshake))),
        (b"PROXY BROKER NETWORK", broker(BrokerErrorType::Network(NetworkError::Failed))),
        (b"STORE a b", ErrorType::Store("a b".into())),
        (b"NAME RESOLVER ", ErrorType::Name(NameError::Resolver(String::new()))),
        (b"NAME RESOLVER HTTP 502", ErrorType::Name(NameError::Resolver("HTTP 502".into()))),
        (b"BLOCKED reason=spam", blocked(BlockingReason::Spam, None)),
        (b"BLOCKED reason=content,notice={}", blocked(BlockingReason::Content, Some(Notice { ttl: None }))),
        (
            b"BLOCKED reason=spam,notice={\"ttl\":86400}",
            blocked(BlockingReason::Spam, Some(Notice { ttl: Some(86400) })),
        ),
    ] {
        assert_eq!(decode(bytes).as_ref(), Ok(&error));
        assert_eq!(encode(&error, 20), bytes);
    }
}

#[test]
fn older_and_richer_forms() {
    assert_eq!(decode(b"CMD NO_QUEUE"), Ok(ErrorType::Command(CommandError::NoEntity)));
    for (detail, error) in [
        (&b"CONNECT \x01x"[..], NetworkError::Connect(ErrorText::new("x"))),
        (b"TLS \x01x", NetworkError::Tls(ErrorText::new("x"))),
        (b"UNKNOWNCA", NetworkError::UnknownCa),
        (b"FAILED", NetworkError::Failed),
        (b"TIMEOUT", NetworkError::Timeout),
        (b"SUBSCRIBE \0", NetworkError::Subscribe(ErrorText::default())),
    ] {
        let error = broker(BrokerErrorType::Network(error));
        assert_eq!(decode(&[b"PROXY BROKER NETWORK ", detail].concat()).as_ref(), Ok(&error));
        assert_eq!(encode(&error, 20), b"PROXY BROKER NETWORK");
    }
}

#[test]
fn blocked_queues_before_their_versions() {
    let error = blocked(BlockingReason::Content, Some(Notice { ttl: None }));
    let nested = ErrorType::Proxy(Box::new(ProxyError::Protocol(error.clone())));
    for (version, text) in [
        (11, "AUTH"),
        (12, "BLOCKED reason=content"),
        (17, "BLOCKED reason=content"),
        (18, "BLOCKED reason=content,notice={}"),
    ] {
        assert_eq!(encode(&error, version), text.as_bytes());
        assert_eq!(encode(&nested, version), format!("PROXY PROTOCOL {text}").as_bytes());
    }
}

#[test]
fn refuses_other_text() {
    for bytes in [
        &b""[..],
        b" ",
        b"FOO",
        b"AUTH ",
        b"AUTH x",
        b"auth",
        b"CMD",
        b"CMD ",
        b"CMD FOO",
        b"CMD SYNTAX x",
        b"STORE",
        b"PROXY",
        b"PROXY PROTOCOL",
        b"PROXY BROKER",
        b"PROXY BROKER RESPONSE",
        b"PROXY BROKER RESPONSE \x03ab",
        b"PROXY BROKER RESPONSE \x01ab",
        b"PROXY BROKER NETWORK ",
        b"PROXY BROKER NETWORK FOO",
        b"PROXY BROKER NETWORK FAILED x",
        b"PROXY BROKER TRANSPORT HANDSHAKE",
        b"PROXY BROKER TRANSPORT HANDSHAKE FOO",
        b"NAME",
        b"NAME RESOLVER",
        b"NAME NOT_FOUNDx",
        b"BLOCKED",
        b"BLOCKED reason=",
        b"BLOCKED reason=other",
        b"BLOCKED reason=spamx",
        b"BLOCKED reason=spam,notice=",
        b"BLOCKED reason=spam,notice={",
        b"BLOCKED reason=spam,notice=[null]",
        b"BLOCKED reason=spam,notice={\"ttl\":\"1\"}",
        b"BLOCKED reason=spam,notice={}x",
        b"\xff",
    ] {
        assert_eq!(decode(bytes), Err(DecodeError), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn why_a_queue_is_blocked_is_text_both_ways() {
    let ttl = |ttl| Some(Notice { ttl });
    for reason in [BlockingReason::Spam, BlockingReason::Content] {
        for notice in [None, ttl(None), ttl(Some(0)), ttl(Some(-1)), ttl(Some(86_400)), ttl(Some(i64::MAX))] {
            let info = BlockingInfo { reason, notice };
            assert_eq!(info.to_string().parse(), Ok(info), "{info}");
        }
    }
    for text in ["reason=spam", "reason=content,notice={}", "reason=spam,notice={\"ttl\":86400}"] {
        assert_eq!(text.parse::<BlockingInfo>().map(|info| info.to_string()).as_deref(), Ok(text));
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| ["PROXY PROTOCOL ".repeat(depth).as_bytes(), b"AUTH"].concat();
    assert!(decode(&nested(3)).is_ok());
    assert_eq!(decode(&nested(4)), Err(DecodeError));
    assert_eq!(decode(&nested(4000)), Err(DecodeError));
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(ErrorText::new("\u{430}".repeat(200)).as_str(), "\u{430}".repeat(127));
    assert_eq!(ErrorText::new("x".repeat(255)).as_str().len(), 255);
    let bytes = [&b"PROXY BROKER UNEXPECTED \xff"[..], &[0xff; 255]].concat();
    assert_eq!(
        decode(&bytes),
        Ok(broker(BrokerErrorType::Unexpected(ErrorText::new("\u{fffd}".repeat(85)))))
    );
}
