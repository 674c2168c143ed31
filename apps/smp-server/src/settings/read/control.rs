//! The control port: its number and its passwords.

use super::super::Control;
use super::super::value::{Parsed, number};
use super::{IniError, Ports, Source};
use crate::control::{Access, Passphrase, Quota};

/// Where the control port is and who may use it; nothing without a password. No other port may have its number.
pub(super) fn control(from: &Source<'_>, known: &Ports<'_>) -> Result<Option<Control>, IniError> {
    let access = Access {
        admin: from.optional("AUTH", "control_port_admin_password", password)?,
        user: from.optional("AUTH", "control_port_user_password", password)?,
    };
    if let (Some(admin), Some(user)) = (&access.admin, &access.user)
        && admin.is(user)
    {
        let problem = "has to be another one than control_port_admin_password";
        return Err(from.error("AUTH", "control_port_user_password", problem));
    }
    let quota = from.get("AUTH", "daily_block_queue_quota", quota)?;
    let Some(port) = from.optional("TRANSPORT", "control_port", number(0..=u16::MAX))? else {
        return Ok(None);
    };
    if port != 0 && known.has(port) {
        let problem =
            format!("port {port} is also for something else, and this one is for administration alone");
        return Err(from.error("TRANSPORT", "control_port", &problem));
    }
    let locked = access.admin.is_some() || access.user.is_some();
    Ok(locked.then_some(Control { port, access, quota }))
}

fn password(text: &str) -> Parsed<Passphrase> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Passphrase::new(text.as_bytes())).ok_or_else(|| {
        "has to be 1 to 255 printable ASCII characters without space; without the line nobody has this password"
            .to_owned()
    })
}

/// 0 is no limit, and -1 none at all.
fn quota(text: &str) -> Parsed<Quota> {
    if text == "-1" {
        return Ok(Quota::Daily(0));
    }
    match number(0..=1_000_000)(text) {
        Ok(0) => Ok(Quota::Unlimited),
        Ok(most) => Ok(Quota::Daily(most)),
        Err(problem) => Err(format!("{problem}, 0 for as many as they like, or -1 for none")),
    }
}
