//! Who may do what.

use std::fmt;

use smp_core::crypto::hash::sha256;
use subtle::ConstantTimeEq;

/// What a password allows. The later one may do all that the earlier may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    User,
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Admin => "admin",
        })
    }
}

/// The passwords of the control port.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) admin: Option<Passphrase>,
    pub(crate) user: Option<Passphrase>,
}

impl Access {
    /// What a password allows, if it is one. Both are compared whatever the first comparison says; which of them there are is
    /// no secret.
    pub(crate) fn role(&self, given: &[u8]) -> Option<Role> {
        let given = Passphrase::new(given);
        let is = |password: &Option<Passphrase>| password.as_ref().is_some_and(|known| known.is(&given));
        let (is_admin, is_user) = (is(&self.admin), is(&self.user));
        if is_admin { Some(Role::Admin) } else { is_user.then_some(Role::User) }
    }
}

/// The digest of a password. Digests are compared in constant time, so that the time tells neither length nor content of the
/// password.
#[derive(Clone)]
pub(crate) struct Passphrase([u8; 32]);

impl Passphrase {
    pub(crate) fn new(text: &[u8]) -> Self {
        Self(sha256(text))
    }

    /// Whether they are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_password_has_its_role_and_others_have_none() {
        let password = |text: &str| Some(Passphrase::new(text.as_bytes()));
        let both = Access { admin: password("a"), user: password("u") };
        assert_eq!(both.role(b"a"), Some(Role::Admin));
        assert_eq!(both.role(b"u"), Some(Role::User));
        for wrong in [&b""[..], b"A", b"aa", b"u ", &[0; 32]] {
            assert_eq!(both.role(wrong), None);
        }
        let one = Access { admin: None, user: password("u") };
        assert_eq!((one.role(b"u"), one.role(b"")), (Some(Role::User), None));
        assert!(Role::User < Role::Admin);
    }
}
