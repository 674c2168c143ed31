//! Which queue a command is about.

use smp_core::crypto::link::link_id;
use smp_core::server::store::QueueKey;
use smp_core::wire::text::from_base64url_any;
use smp_core::wire::{EntityId, LinkError, ShortLink};

/// What a queue is named by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// A sender id or a link id: they look the same.
    Id(EntityId),
    /// A link id, from a link.
    Link(EntityId),
}

impl Target {
    /// Reads an id in base64url, with padding or without, or a short link as apps show it. The server in a link is
    /// not looked at: a link of another server has an id that this one does not know.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text.parse::<ShortLink>() {
            Ok(link) => Ok(Self::Link(link_id(&link))),
            Err(LinkError::Scheme) => id(text).map(Self::Id).ok_or(NO_ID),
            Err(LinkError::Full) => Err(LONG),
            Err(LinkError::Kind) => Err(NO_LINK),
            Err(LinkError::LinkId | LinkError::Key) => Err(INCOMPLETE),
            Err(_) => Err(PARAMETERS),
        }
    }

    /// Under what to look for it, in this order.
    pub(super) fn keys(self) -> Vec<QueueKey> {
        match self {
            Self::Id(id) => vec![QueueKey::Sender(id.clone()), QueueKey::Link(id)],
            Self::Link(id) => vec![QueueKey::Link(id)],
        }
    }
}

fn id(text: &str) -> Option<EntityId> {
    let bytes = from_base64url_any(text).ok()?;
    EntityId::new(&bytes).ok().filter(|id| !id.is_empty())
}

const NO_ID: &str = "this is neither an id in base64url nor a link";
const NO_LINK: &str = "this is no link that servers know";
const INCOMPLETE: &str = "the link is not complete";
const PARAMETERS: &str = "what the link says of its server cannot be read";
const LONG: &str = "this is a long link. Give the sender id, which is in it, or a short link";

#[cfg(test)]
mod tests {
    use smp_core::wire::text::to_base64url_unpadded;

    use super::*;

    const LINK_ID: &str = "_-e39SRmHkVdLr6EUJHzduEgNAI_oNbI";
    const KEY: &str = "TR6Ypma3PkIij03VHiqLtJ4b72ExVHBHPJYg8EsUw1k";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn ids_may_be_those_of_senders_and_of_links() {
        let expected = EntityId::new(&from_base64url_any(LINK_ID).unwrap()).unwrap();
        let target = Target::parse(LINK_ID).unwrap();
        assert_eq!(target, Target::Id(expected.clone()));
        assert_eq!(target.keys(), [QueueKey::Sender(expected.clone()), QueueKey::Link(expected)]);
        assert_eq!(Target::parse("AQI="), Target::parse("AQI"));
        assert_eq!(Target::parse("AQI"), Ok(Target::Id(EntityId::new(&[1, 2]).unwrap())));
        let long = "A".repeat(344);
        for wrong in ["", "a b", "A", "A+/=", "recipient!", &long] {
            assert_eq!(Target::parse(wrong), Err(NO_ID), "{wrong}");
        }
    }

    #[test]
    fn an_invitation_carries_its_id() {
        let expected = Target::Link(EntityId::new(&from_base64url_any(LINK_ID).unwrap()).unwrap());
        for place in ["simplex:/i", "simplex:/i/", "https://smp.example.com/i", "https://smp.example.com/i/"]
        {
            for parameters in ["h=smp.example.com", "h=x.onion%2Cy.example&p=5223&c=KEY"] {
                let link = format!("{place}#{LINK_ID}/{KEY}?{}", parameters.replace("KEY", KEY));
                assert_eq!(Target::parse(&link), Ok(expected.clone()), "{link}");
            }
        }
    }

    /// The key and the id of a contact address made by the reference.
    #[test]
    fn the_id_of_a_contact_link_comes_from_its_key() {
        let key = bytes("1241ac53923cd1a00480bfc67ce3e7a0a52dad66ef6cec73028c496558f4eec8");
        let id = EntityId::new(&bytes("6c39018d5b28f0b4af5a9f70994ecff418b64d8f9e488782")).unwrap();
        let key = to_base64url_unpadded(&key);
        for kind in ["a", "c", "g", "r"] {
            for link in [format!("simplex:/{kind}#{key}?h=a"), format!("https://a.example/{kind}#{key}")] {
                assert_eq!(Target::parse(&link), Ok(Target::Link(id.clone())), "{link}");
            }
        }
    }

    #[test]
    fn links_that_lead_nowhere() {
        for (link, problem) in [
            (format!("simplex:/i#{KEY}"), INCOMPLETE),
            (format!("simplex:/i#{LINK_ID}/{}", &KEY[1..]), INCOMPLETE),
            (format!("simplex:/i#/{KEY}"), INCOMPLETE),
            ("simplex:/a#".to_owned(), INCOMPLETE),
            (format!("simplex:/a#{LINK_ID}"), INCOMPLETE),
            (format!("simplex:/x#{KEY}"), NO_LINK),
            (format!("https://a.example#{KEY}"), NO_LINK),
            ("https://a.example/a".to_owned(), NO_LINK),
            (format!("simplex:/a#{KEY}"), PARAMETERS),
            (format!("simplex:/a#{KEY}?h=a.example&p=x"), PARAMETERS),
            ("simplex:/contact#/?v=2-7&smp=smp%3A%2F%2F".to_owned(), LONG),
            ("smp://abc@host/id".to_owned(), NO_ID),
        ] {
            assert_eq!(Target::parse(&link), Err(problem), "{link}");
        }
    }
}
