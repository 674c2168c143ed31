//! Plaintext of a fixed size: a big-endian `u16` length, the message, then `#` up to the padded length.

use super::CryptoError;

/// Bytes of the length field.
pub const LENGTH_LEN: usize = 2;

/// `message` padded to `padded_len` bytes.
///
/// # Errors
/// [`CryptoError::TooLarge`] when it does not fit, see [`pad_into`].
pub fn pad(message: &[u8], padded_len: usize) -> Result<Vec<u8>, CryptoError> {
    let mut out = Vec::with_capacity(padded_len);
    pad_into(&mut out, message, padded_len)?;
    Ok(out)
}

/// Appends `message`, padded to `padded_len` bytes, to `out`.
///
/// # Errors
/// [`CryptoError::TooLarge`] when the message is longer than `padded_len - 2` or than 65533 bytes; `out` is
/// unchanged.
pub fn pad_into(out: &mut Vec<u8>, message: &[u8], padded_len: usize) -> Result<(), CryptoError> {
    let length = u16::try_from(message.len()).map_err(|_| CryptoError::TooLarge)?;
    if message.len() > MAX_MESSAGE_LEN || message.len() + LENGTH_LEN > padded_len {
        return Err(CryptoError::TooLarge);
    }
    let end = out.len() + padded_len;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    out.resize(end, b'#');
    Ok(())
}

/// The message inside `padded`. What follows it is not looked at: a later version may put something there.
///
/// # Errors
/// [`CryptoError::Padding`] when the length is missing or exceeds the bytes.
pub fn unpad(padded: &[u8]) -> Result<&[u8], CryptoError> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_LEN>().ok_or(CryptoError::Padding)?;
    rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(CryptoError::Padding)
}

/// The reference refuses to pad more, although the length field could say 65535.
const MAX_MESSAGE_LEN: usize = 65533;

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn round_trip(message: Vec<u8>, room: u8) -> bool {
            let padded_len = message.len() + LENGTH_LEN + usize::from(room);
            let padded = pad(&message, padded_len).unwrap();
            padded.len() == padded_len && unpad(&padded) == Ok(&message[..])
        }

        fn any_bytes_unpad_or_fail(padded: Vec<u8>) -> bool {
            unpad(&padded).is_ok_and(|message| message.len() + LENGTH_LEN <= padded.len())
                || padded.len() < LENGTH_LEN
                || usize::from(u16::from_be_bytes([padded[0], padded[1]])) + LENGTH_LEN > padded.len()
        }
    }

    #[test]
    fn every_prefix_of_a_padded_message_without_room_fails() {
        let padded = pad(b"message", 9).unwrap();
        for end in 0..padded.len() {
            assert_eq!(unpad(&padded[..end]), Err(CryptoError::Padding), "{end} bytes");
        }
    }

    #[test]
    fn limits() {
        assert_eq!(pad(&[0; 8], 9), Err(CryptoError::TooLarge));
        assert_eq!(pad(&vec![0; 65533], 65535).map(|padded| padded.len()), Ok(65535));
        assert_eq!(pad(&vec![0; 65534], 70000), Err(CryptoError::TooLarge));
        assert_eq!(pad(&vec![0; 65536], 70000), Err(CryptoError::TooLarge));
        let mut out = vec![1];
        assert_eq!(pad_into(&mut out, b"ab", 3), Err(CryptoError::TooLarge));
        assert_eq!(out, [1]);
    }
}
