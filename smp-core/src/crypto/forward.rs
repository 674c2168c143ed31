//! The two layers around a command that is forwarded through a proxy, and around its answer.
//!
//! | layer | keys | nonce of the command | plain text |
//! |---|---|---|---|
//! | of the client | its key for this command, the relay's session key | correlation id of PFWD | padded to 16226 bytes |
//! | of the proxy | the session keys of proxy and relay | correlation id of RFWD | as long as it is |
//!
//! An answer has the nonce of its command in reverse order (SMP, "Protocol for forwarding commands"; the reference
//! reverses the bytes where the text adds one).

use super::{BoxKey, CryptoError, DhSecret, Nonce};
use crate::wire::CorrelationId;

/// Bytes that a forwarded command, or its answer, is padded to before the client's layer is put around it.
pub const FORWARD_PADDED_LEN: usize = 16226;

/// One layer: seals and opens the command and its answer, each once.
pub struct ForwardLayer {
    key: BoxKey,
    nonce: Nonce,
    padded_len: Option<usize>,
}

impl ForwardLayer {
    /// The layer between a client and the relay. `correlation` is that of the client's PFWD.
    #[must_use]
    pub fn of_client(secret: &DhSecret, correlation: &CorrelationId) -> Self {
        Self::new(secret.box_key(), correlation, Some(FORWARD_PADDED_LEN))
    }

    /// The layer between a proxy and the relay. `correlation` is that of the proxy's RFWD; `key` serves for all of their
    /// session.
    #[must_use]
    pub fn of_proxy(key: &BoxKey, correlation: &CorrelationId) -> Self {
        Self::new(key.clone(), correlation, None)
    }

    fn new(key: BoxKey, correlation: &CorrelationId, padded_len: Option<usize>) -> Self {
        Self { key, nonce: Nonce::from_slice(correlation.as_bytes()), padded_len }
    }

    /// A command in this layer.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] when it does not fit into the padded length.
    pub fn seal_command(&self, command: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.seal(&self.nonce, command)
    }

    /// The command in this layer.
    ///
    /// # Errors
    /// When it was not sealed so, or was changed.
    pub fn open_command(&self, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.open(&self.nonce, sealed)
    }

    /// An answer in this layer.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] when it does not fit into the padded length.
    pub fn seal_answer(&self, answer: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.seal(&self.nonce.reversed(), answer)
    }

    /// The answer in this layer.
    ///
    /// # Errors
    /// When it was not sealed so, or was changed.
    pub fn open_answer(&self, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.open(&self.nonce.reversed(), sealed)
    }

    fn seal(&self, nonce: &Nonce, plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match self.padded_len {
            Some(padded_len) => self.key.seal_padded(nonce, plain, padded_len),
            None => Ok(self.key.seal(nonce, plain)),
        }
    }

    fn open(&self, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match self.padded_len {
            Some(_) => self.key.open_padded(nonce, sealed),
            None => self.key.open(nonce, sealed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_answers_open_as_what_they_are_only() {
        let (secret, correlation) = (DhSecret::new([1; 32]), CorrelationId::new(b"correlation").unwrap());
        let other = ForwardLayer::of_client(&secret, &CorrelationId::new(b"another").unwrap());
        for layer in [
            ForwardLayer::of_client(&secret, &correlation),
            ForwardLayer::of_proxy(&secret.box_key(), &correlation),
        ] {
            let command = layer.seal_command(b"command").unwrap();
            let answer = layer.seal_answer(b"answer").unwrap();
            assert_eq!(layer.open_command(&command).unwrap(), b"command");
            assert_eq!(layer.open_answer(&answer).unwrap(), b"answer");
            assert_eq!(layer.open_answer(&command), Err(CryptoError::Open));
            assert_eq!(layer.open_command(&answer), Err(CryptoError::Open));
            assert_eq!(other.open_command(&command), Err(CryptoError::Open));
        }
    }

    #[test]
    fn only_the_layer_of_the_client_is_padded() {
        let secret = DhSecret::new([1; 32]);
        let client = ForwardLayer::of_client(&secret, &CorrelationId::empty());
        let proxy = ForwardLayer::of_proxy(&secret.box_key(), &CorrelationId::empty());
        assert_eq!(client.seal_command(b"x").unwrap().len(), FORWARD_PADDED_LEN + 16);
        assert!(client.seal_command(&[0; FORWARD_PADDED_LEN - 2]).is_ok());
        assert_eq!(client.seal_command(&[0; FORWARD_PADDED_LEN - 1]), Err(CryptoError::TooLarge));
        assert_eq!(proxy.seal_command(b"x").unwrap().len(), 17);
    }
}
