//! Stages and kinds, which are stored as words: a value that is added takes none from another.

use smp_core::agent::store::{Progress, QueueStage, ReceiptState, ReceiveSwitch, SendSwitch, SyncState};
use smp_core::wire::QueueMode;
use smp_core::wire::codec::{DecodeError, Decoded};

/// A value that is stored as a word.
pub(super) trait Word: Sized {
    fn word(&self) -> &'static str;

    fn from_word(word: &str) -> Decoded<Self>;
}

macro_rules! words {
    ($type:ty { $($variant:ident $word:literal),+ $(,)? }) => {
        impl Word for $type {
            fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn from_word(word: &str) -> Decoded<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(DecodeError),
                }
            }
        }
    };
}

words!(Progress {
    Created "created",
    Confirmed "confirmed",
    Allowed "allowed",
    Joining "joining",
    Opened "opened",
    Requested "requested",
    Joined "joined",
    Connected "connected",
    Contact "contact",
    Prepared "prepared",
});
words!(SyncState {
    Ok "ok",
    Allowed "allowed",
    Required "required",
    Started "started",
    Agreed "agreed",
});
words!(QueueStage {
    New "new",
    Confirmed "confirmed",
    Secured "secured",
    Active "active",
    Disabled "disabled",
});
words!(QueueMode {
    Messaging "messaging",
    Contact "contact",
});
words!(ReceiveSwitch {
    Started "started",
    Adding "adding",
    Using "using",
    Received "received",
});
words!(SendSwitch {
    Keying "keying",
    Testing "testing",
});
words!(ReceiptState {
    None "none",
    NotExpected "not expected",
    Received "received",
    BadHash "bad hash",
});
