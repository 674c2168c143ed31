//! Enumerations that are one word each in the text protocol.

/// An enumeration with a word for each case, `as_str` and its inverse `FromStr`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* #[doc = concat!("`", $word, "`.")] $variant,)+
        }

        impl $name {
            const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word of the text protocol.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::wire::codec::DecodeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let word = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                word.ok_or($crate::wire::codec::DecodeError)
            }
        }
    };
}
pub(in crate::wire) use words;
