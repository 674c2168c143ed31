//! The page that says who runs the server and how.

use std::time::Duration;

use super::html::{escape, fill, link, page, section};
use crate::settings::{Contact, Information, Settings, Store};

/// The page.
pub(super) fn render(settings: &Settings) -> String {
    let information = &settings.information;
    let sections = [
        section("Operator", &operator(information)),
        section("Hosting", &hosting(information)),
        section("Contact", &contact(&information.admin)),
        section("Complaints", &contact(&information.complaints)),
        section("Conditions of use", &conditions(information)),
        section("Configuration", &configuration(settings)),
    ];
    page("SMP server", &fill(include_str!("assets/information.html"), &[("sections", &sections.concat())]))
}

type Rows = Vec<(&'static str, String)>;

fn operator(information: &Information) -> Rows {
    rows([
        ("Name", text(&information.operator)),
        ("Country", text(&information.operator_country)),
        ("Web site", uri(&information.website)),
    ])
}

fn hosting(information: &Information) -> Rows {
    rows([
        ("Provider", text(&information.hosting)),
        ("Country of the provider", text(&information.hosting_country)),
        ("Kind", text(&information.hosting_type)),
        ("Country of the server", text(&information.server_country)),
    ])
}

fn contact(contact: &Contact) -> Rows {
    let email = contact.email.as_ref().map(|address| link(&format!("mailto:{address}"), address));
    rows([
        ("SimpleX", uri(&contact.simplex)),
        ("Mail", email),
        ("PGP key", uri(&contact.pgp)),
        ("PGP fingerprint", text(&contact.pgp_fingerprint)),
    ])
}

fn conditions(information: &Information) -> Rows {
    rows([
        ("Conditions", uri(&information.usage_conditions)),
        ("Amendments", uri(&information.condition_amendments)),
        ("Source code", uri(&information.source_code)),
    ])
}

fn configuration(settings: &Settings) -> Rows {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let server = &settings.server;
    let kept = match settings.store {
        Store::Memory => "in memory, until the server stops",
        Store::Embedded(_) => "on disk",
    };
    let expiry = server.message_ttl.map_or_else(|| "never".to_owned(), |ttl| format!("after {}", time(ttl)));
    vec![
        ("Queues and messages are kept", kept.to_owned()),
        ("Messages that nobody receives are deleted", expiry),
        ("Statistics are written", yes(settings.statistics.daily)),
        ("New queues are allowed", yes(server.new_queues)),
        ("Creating queues needs a password", yes(server.password.is_some())),
    ]
}

/// The largest unit that it is a whole number of.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let (count, unit) = units
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length))
        .map_or((seconds, "second"), |(length, unit)| (seconds / length, unit));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn text(value: &Option<String>) -> Option<String> {
    value.as_deref().map(escape)
}

fn uri(value: &Option<String>) -> Option<String> {
    value.as_deref().map(|uri| link(uri, uri))
}

fn rows<const N: usize>(rows: [(&'static str, Option<String>); N]) -> Rows {
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::of_text;

    #[test]
    fn the_page_says_what_the_settings_say() {
        let page = render(&of_text(
            "[INFORMATION]\nsource_code = https://example.org/code?a=1&b=2\noperator = Me & <b>\noperator_country = de\n\
             admin_email = a@example.org\ncomplaints_simplex = https://smp.example.org/a#x\nhosting_type = owned\n\
             [AUTH]\ncreate_password = hidden\n[STORE_LOG]\nexpire_messages_days = 1\n",
        ));
        for part in [
            "<a href=\"https://example.org/code?a=1&amp;b=2\" rel=\"noopener noreferrer\">",
            "<dd>Me &amp; &lt;b&gt;</dd>",
            "<dd>DE</dd>",
            "href=\"mailto:a@example.org\"",
            "href=\"https://smp.example.org/a#x\"",
            "<dd>owned</dd>",
            "<dd>on disk</dd>",
            "<dd>after 1 day</dd>",
            "needs a password</dt><dd>yes</dd>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("hidden"));
        let bare = render(&of_text(
            "[STORE_LOG]\nenable = off\nexpire_messages_days = off\n[AUTH]\nnew_queues = off",
        ));
        assert!(
            bare.contains("<dd>in memory, until the server stops</dd>") && bare.contains("<dd>never</dd>")
        );
        assert!(!bare.contains("<h2>Operator</h2>") && bare.contains("allowed</dt><dd>no</dd>"));
    }

    #[test]
    fn times() {
        for (seconds, words) in
            [(21 * 86_400, "21 days"), (3600, "1 hour"), (90, "90 seconds"), (120, "2 minutes")]
        {
            assert_eq!(time(Duration::from_secs(seconds)), words);
        }
    }
}
