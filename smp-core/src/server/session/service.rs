//! Services: clients with a certificate.

use super::Session;
use crate::crypto::ed25519;
use crate::server::broker::Request;
use crate::transport::{ServiceKey, ServiceParameters, ServiceRequest};
use crate::wire::command::Party;
use crate::wire::error::{CommandError, ErrorType, HandshakeError, TransportError};
use crate::wire::transmission::{Authorization, ClientTransmission};
use crate::wire::{Command, EntityId, ServiceRole, SessionId};

impl Session {
    /// A client says in its handshake that it is a service.
    pub(super) fn find_service(&mut self, service: &ServiceRequest) {
        let ServiceRequest { fingerprint, role } = *service;
        let id = self.new_id();
        self.requests.push(Request::FindService { fingerprint, role, id });
    }

    /// It is, or its certificate is known in another role, or the store failed.
    pub(super) fn service_found(&mut self, id: Option<EntityId>) {
        match id {
            Some(id) => self.transport.accept_service(id),
            None => {
                self.transport.refuse_service(TransportError::Handshake(HandshakeError::BadService));
                self.transport_failed();
            }
        }
    }
}

/// Checks what a service may ask, and how it signs it. Nothing here depends on a queue, so that no answer tells whether there
/// is one.
///
/// # Errors
/// `CMD PROHIBITED` for a command of another role; `SERVICE` when a service signature is there and must not be, or the other
/// way round.
pub(super) fn check_form(
    service: Option<&ServiceParameters>,
    from: &ClientTransmission,
    command: &Command,
) -> Result<(), ErrorType> {
    if let (Some(service), Some(role)) = (service, role_of(command.party()))
        && service.role != role
    {
        return Err(ErrorType::Command(CommandError::Prohibited));
    }
    let wants_signature = service.is_some() && command.is_signed_by_services();
    if from.service_signature.is_some() != wants_signature {
        return Err(ErrorType::Service);
    }
    match command {
        Command::Subs(_) | Command::NSubs(_)
            if service.is_none_or(|service| service.id != from.entity_id) =>
        {
            Err(ErrorType::Service)
        }
        _ => Ok(()),
    }
}

/// Whether the service signed a command that passed [`check_form`], if it has to.
pub(super) fn is_signed(
    service: Option<&ServiceParameters>,
    session: &SessionId,
    from: &ClientTransmission,
    command: &Command,
) -> bool {
    let Some(ServiceParameters { key: ServiceKey::Public(key), .. }) = service else { return true };
    let signature = match (command, &from.authorization, &from.service_signature) {
        (Command::Subs(_) | Command::NSubs(_), Authorization::Ed25519(signature), _) => signature,
        (Command::Subs(_) | Command::NSubs(_), _, _) => return false,
        (_, _, Some(signature)) => &signature.0,
        (_, _, None) => return true,
    };
    ed25519::verify(key, &from.authorized_bytes(session), signature)
}

/// The role of services whose command it is; `None` for commands of any.
const fn role_of(party: Party) -> Option<ServiceRole> {
    match party {
        Party::Creator
        | Party::Recipient
        | Party::RecipientService
        | Party::Sender
        | Party::SenderLink
        | Party::ProxiedClient
        | Party::Resolver => Some(ServiceRole::Messaging),
        Party::Notifier | Party::NotifierService => Some(ServiceRole::Notifier),
        Party::Proxy => Some(ServiceRole::Proxy),
        Party::Idle => None,
    }
}
