//! Names: who resolves them.

use smp_core::wire::Version;
use smp_runtime::http::{Authorization, Url};
use smp_runtime::server::ResolverOptions;

use super::super::value::{Parsed, Unit, bytes, duration, number, switch};
use super::super::{Names, Settings};
use super::{Ini, IniError, MIB, MILLISECOND, Source, seconds};

/// The resolver, if names are resolved. What the section says has to be right in any case.
pub(super) fn names(from: &Source<'_>) -> Result<Option<Names>, IniError> {
    let resolver = from.unless_empty(SECTION, ENDPOINT, endpoint)?;
    let time = duration(Unit::Millis, MILLISECOND..=seconds(60));
    let options = ResolverOptions {
        authorization: from.unless_empty(SECTION, AUTH, authorization)?,
        timeout: from.get(SECTION, "resolver_timeout_ms", time)?,
        answer_bytes: from.get(SECTION, "resolver_max_response_bytes", bytes(1..=MIB))?,
        questions: from.get(SECTION, "resolver_concurrency", number(1..=100_000))?,
        ..ResolverOptions::default()
    };
    if !from.get(SECTION, "enable", switch)? {
        return Ok(None);
    }
    let Some(resolver) = resolver else {
        return Err(from.error(
            SECTION,
            ENDPOINT,
            "has to be set, because names are resolved by asking there; or set `enable = off`",
        ));
    };
    if options.authorization.is_some() && !resolver.is_secure() && !resolver.is_local() {
        return Err(from.error(
            SECTION,
            AUTH,
            "could be read by others on the way to `resolver_endpoint`. Set an address with https://, or of a resolver \
             on this machine (127.0.0.1, ::1 or localhost), or leave the line out",
        ));
    }
    Ok(Some(Names { resolver, options }))
}

/// What the operator should know of names.
pub(super) fn note(ini: &Ini, settings: &Settings) -> Option<String> {
    let unasked = settings.names.is_some() && settings.versions.max() < Version::NAMES;
    unasked.then(|| {
        format!(
            "{}: [NAMES] enable: apps ask for names from version {} on, and [TRANSPORT] smp_versions does not \
             offer it",
            ini.file().display(),
            Version::NAMES
        )
    })
}

fn endpoint(text: &str) -> Parsed<Url> {
    text.parse().map_err(|_| {
        "has to be an address such as `https://names.example.org` or `http://127.0.0.1:8000`, without a log-in, `?` and \
         `#`; onion names cannot be used"
            .to_owned()
    })
}

/// `bearer:TOKEN` or `basic:USER:PASSWORD`; a space does as well as the first colon.
fn authorization(text: &str) -> Parsed<Authorization> {
    let (scheme, rest) = text.split_once([':', ' ']).unwrap_or_default();
    let parsed = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Authorization::bearer(rest).ok(),
        "basic" => rest.split_once(':').and_then(|(user, word)| Authorization::basic(user, word).ok()),
        _ => None,
    };
    parsed.ok_or_else(|| {
        "has to be `bearer:TOKEN` or `basic:USER:PASSWORD`, in printable characters; without the line the server does \
         not log in"
            .to_owned()
    })
}

const SECTION: &str = "NAMES";
const ENDPOINT: &str = "resolver_endpoint";
const AUTH: &str = "resolver_auth";

#[cfg(test)]
mod tests;
