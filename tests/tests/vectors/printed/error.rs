//! Errors.

use smp_core::wire::error::{
    BlockingInfo, BlockingReason, BrokerErrorType, CommandError, ErrorType, HandshakeError, NameError,
    NetworkError, ProxyError, TransportError,
};

use super::{optional, text};

/// An error after `ERR`, in parentheses when it has fields.
pub(crate) fn as_argument(value: &ErrorType) -> String {
    let printed = error(value);
    if printed.contains(' ') { format!("({printed})") } else { printed }
}

/// What is wrong with a command.
pub(crate) fn command_error(error: CommandError) -> &'static str {
    match error {
        CommandError::Unknown => "UNKNOWN",
        CommandError::Syntax => "SYNTAX",
        CommandError::Prohibited => "PROHIBITED",
        CommandError::NoAuth => "NO_AUTH",
        CommandError::HasAuth => "HAS_AUTH",
        CommandError::NoEntity => "NO_ENTITY",
    }
}

fn error(error: &ErrorType) -> String {
    match error {
        ErrorType::Block => "BLOCK".into(),
        ErrorType::Session => "SESSION".into(),
        ErrorType::Command(error) => format!("CMD {{cmdErr = {}}}", command_error(*error)),
        ErrorType::Proxy(error) => format!("PROXY {{proxyErr = {}}}", proxy(error)),
        ErrorType::Auth => "AUTH".into(),
        ErrorType::Blocked(info) => format!("BLOCKED {{blockInfo = {}}}", blocked(info)),
        ErrorType::Service => "SERVICE".into(),
        ErrorType::Crypto => "CRYPTO".into(),
        ErrorType::Quota => "QUOTA".into(),
        ErrorType::Store(error) => format!("STORE {{storeErr = {}}}", text(error)),
        ErrorType::Expired => "EXPIRED".into(),
        ErrorType::NoMessage => "NO_MSG".into(),
        ErrorType::LargeMessage => "LARGE_MSG".into(),
        ErrorType::Internal => "INTERNAL".into(),
        ErrorType::Duplicate => "DUPLICATE_".into(),
        ErrorType::Name(error) => format!("NAME {{nameErr = {}}}", name(error)),
    }
}

fn proxy(proxy: &ProxyError) -> String {
    match proxy {
        ProxyError::Protocol(inner) => format!("PROTOCOL {{protocolErr = {}}}", error(inner)),
        ProxyError::Broker(error) => format!("BROKER {{brokerErr = {}}}", broker(error)),
        ProxyError::BasicAuth => "BASIC_AUTH".into(),
        ProxyError::NoSession => "NO_SESSION".into(),
    }
}

fn broker(error: &BrokerErrorType) -> String {
    match error {
        BrokerErrorType::Response(error) => format!("RESPONSE {{respErr = {}}}", text(error.as_str())),
        BrokerErrorType::Unexpected(error) => format!("UNEXPECTED {{respErr = {}}}", text(error.as_str())),
        BrokerErrorType::Transport(error) => format!("TRANSPORT {{transportErr = {}}}", transport(*error)),
        BrokerErrorType::Network(NetworkError::Failed) => "NETWORK {networkError = NEFailedError}".into(),
        // The reference reads a detail but never writes one, so that no vector has it.
        BrokerErrorType::Network(error) => format!("NETWORK {error:?}"),
        BrokerErrorType::Timeout => "TIMEOUT".into(),
        BrokerErrorType::Host => "HOST".into(),
        BrokerErrorType::NoService => "NO_SERVICE".into(),
    }
}

fn transport(error: TransportError) -> String {
    match error {
        TransportError::Block => "TEBadBlock".into(),
        TransportError::Version => "TEVersion".into(),
        TransportError::LargeMessage => "TELargeMsg".into(),
        TransportError::Session => "TEBadSession".into(),
        TransportError::NoServerAuth => "TENoServerAuth".into(),
        TransportError::Handshake(error) => {
            let error = match error {
                HandshakeError::Parse => "PARSE",
                HandshakeError::Identity => "IDENTITY",
                HandshakeError::BadAuth => "BAD_AUTH",
                HandshakeError::BadService => "BAD_SERVICE",
            };
            format!("TEHandshake {{handshakeErr = {error}}}")
        }
    }
}

fn blocked(info: &BlockingInfo) -> String {
    let reason = match info.reason {
        BlockingReason::Spam => "BRSpam",
        BlockingReason::Content => "BRContent",
    };
    let notice = info.notice.map(|notice| {
        format!("(ClientNotice {{ttl = {}}})", optional(notice.ttl.map(|ttl| ttl.to_string())))
    });
    format!("BlockingInfo {{reason = {reason}, notice = {}}}", optional(notice))
}

fn name(error: &NameError) -> String {
    match error {
        NameError::NoResolver => "NO_RESOLVER".into(),
        NameError::NotFound => "NOT_FOUND".into(),
        NameError::Resolver(error) => format!("RESOLVER {{resolverErr = {}}}", text(error)),
    }
}
