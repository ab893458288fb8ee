//! The properties that are decided.

use std::fmt;

use serde::Serialize;

/// One definition for the variants, their names and what they say.
macro_rules! properties {
    ($($name:ident: $sentence:literal,)*) => {
        /// A property of a run: a promise that it must have kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Property {
            $(#[doc = $sentence] $name,)*
        }

        impl Property {
            /// All of them, in the order in which a verdict lists them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its short name, such as `S1`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it says.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

properties! {
    S1: "What was acknowledged is stored exactly once, as it was acknowledged.",
    S2: "What is stored was sent, and what was refused is not stored.",
    S3: "Any number of sends under one client id is one message and one answer.",
    S4: "A mailbox has each position once, without a hole.",
    S5: "Messages stand in the order in which they were sent, the same for all.",
    S6: "Clocks decide nothing: S4, S5 and D3 hold with clocks that are wrong.",
    S7: "A message, its entries, its files and its deletion are all there or none.",
    D1: "Each device that stayed has applied every entry, as it is stored.",
    D2: "No entry comes to a device twice.",
    D3: "Entries come to a device in order, one after the other, whatever happens to its connection.",
    D4: "Devices, pages and the store agree on each message.",
    D5: "What was acknowledged is in everything that is asked for afterwards.",
    D6: "What a user reads does not go back.",
    D7: "Everything is applied soon after the last fault, with no one's help.",
    D8: "While all is calm, what is committed is applied within the bound of the sweep.",
    D9: "What was deleted does not come back.",
    U1: "At rest the unread count is what was received, not read and not deleted; it is never negative.",
    U2: "What was read does not become unread.",
    U3: "Only what was read has a receipt, and it has exactly one.",
    C1: "Nobody is told a word of a message that is not theirs, and none stands in a log or a metric.",
    C2: "Nothing new comes to a device whose credentials have ended.",
    R1: "Memory stays within its bound.",
    R5: "When all have left, what they held has been given back.",
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
