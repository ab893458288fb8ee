//! The error codes and the close codes: one table each, stable across versions.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! error_codes {
    ($($variant:ident $text:literal $status:literal $doc:literal)*) => {
        /// Why a request was refused. The same text stands in an `error` frame and in an HTTP problem document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $doc] $variant,)*
            /// A code of a later version, as an older client reads it.
            #[serde(other)]
            Unknown,
        }

        impl ErrorCode {
            /// Every code that a node sends, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown => "unknown",
                }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                    Self::Unknown => 500,
                }
            }
        }
    };
}

error_codes! {
    InvalidJson "invalid_json" 400 "The frame or body is not JSON."
    InvalidFrame "invalid_frame" 400 "The frame is JSON, but not an object."
    UnsupportedData "unsupported_data" 400 "A binary frame: only text frames carry anything."
    UnknownType "unknown_type" 400 "`type` is missing or names no frame of ours."
    MissingField "missing_field" 400 "A field that the frame needs is not there."
    InvalidField "invalid_field" 400 "A field has the wrong type or a value that cannot be."
    EmptyMessage "empty_message" 400 "The message says nothing."
    ContentTooLarge "content_too_large" 413 "The content is over its limit."
    SubjectTooLong "subject_too_long" 400 "The subject is over its limit."
    FrameTooLarge "frame_too_large" 413 "The frame is over its limit; the connection is closed."
    UnknownAttachment "unknown_attachment" 404 "An attachment that this user did not upload, or that belongs to a message already."
    AttachmentTooLarge "attachment_too_large" 413 "A file is over its limit."
    TooManyAttachments "too_many_attachments" 400 "There are more files than a message may have, or than may wait for one."
    UnknownRecipient "unknown_recipient" 404 "There is no such recipient, or not for this sender."
    NotFound "not_found" 404 "There is no such thing, or not for this user."
    ClientMessageIdReused "client_message_id_reused" 409 "The client message id was used for another message."
    NotOwner "not_owner" 403 "Only an owner of the group may do this."
    GroupFull "group_full" 409 "The group has as many members as are allowed."
    TooManyGroups "too_many_groups" 409 "Somebody would be a member of more groups than are allowed."
    TooManyBlocks "too_many_blocks" 409 "The user blocks as many users as are allowed."
    EditTooLate "edit_too_late" 409 "The message is too old to be changed."
    TooManyReactions "too_many_reactions" 409 "The user has as many reactions on the message as are allowed."
    UnknownMention "unknown_mention" 404 "Somebody is mentioned who is no member of the conversation."
    Unauthorized "unauthorized" 401 "No credentials, or none that count."
    WrongPassword "wrong_password" 403 "The current password is another."
    ForeignOrigin "foreign_origin" 403 "A page of another origin asked, or the request does not say which did."
    RegistrationClosed "registration_closed" 403 "Accounts are made by the operator here."
    UsernameTaken "username_taken" 409 "Somebody has this user name."
    TokenExpired "token_expired" 401 "The token was good once."
    MethodNotAllowed "method_not_allowed" 405 "The path is there, the method is not."
    UnsupportedMediaType "unsupported_media_type" 415 "The body is of another type than this path takes."
    RangeNotSatisfiable "range_not_satisfiable" 416 "The file has no such part."
    UpgradeRequired "upgrade_required" 426 "This path is for WebSocket handshakes."
    RateLimited "rate_limited" 429 "Too many of these: wait for `retry_after_ms`."
    TooManyConnections "too_many_connections" 429 "The user has as many connections as are allowed."
    StoreUnavailable "store_unavailable" 503 "The store did not answer: the outcome is unknown; repeat with the same client message id. Of files the status is 502."
    Overloaded "overloaded" 503 "More are being let in than this node takes at a time: come back after `retry_after_ms`."
    Draining "draining" 503 "This node is going away: connect again."
    Internal "internal" 500 "Something broke here; the log has more."
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a client does after its connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Connect again, with backoff, and resume from the cursor.
    Reconnect,
    /// Get new credentials, then connect again.
    Refresh,
    /// Do not connect again by itself.
    Stop,
}

/// Why the server closed a connection (RFC 6455, section 7.4; 4000 to 4999 are ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The client said goodbye, and this is the answer.
    Normal = 1000,
    /// The client broke the WebSocket protocol.
    ProtocolError = 1002,
    /// A text frame was not UTF-8.
    InvalidUtf8 = 1007,
    /// A frame was over the limit.
    FrameTooLarge = 1009,
    /// Something broke here.
    Internal = 1011,
    /// This node is going away.
    Restart = 1012,
    /// The store is out of reach, or what comes next in it is of a kind that only a later version reads.
    TryLater = 1013,
    /// The credentials of the connection have expired.
    CredentialsExpired = 4401,
    /// The session was logged out, its key or token revoked, or the user disabled.
    Revoked = 4403,
    /// No byte came from the client for two heartbeats.
    Silent = 4408,
    /// The client took no byte for 30 seconds while there was something for it.
    TooSlow = 4409,
}

impl CloseCode {
    /// Every code, in the order of the table.
    pub const ALL: &[Self] = &[
        Self::Normal,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::FrameTooLarge,
        Self::Internal,
        Self::Restart,
        Self::TryLater,
        Self::CredentialsExpired,
        Self::Revoked,
        Self::Silent,
        Self::TooSlow,
    ];

    /// The number in the close frame.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// A word for logs, metrics and the close frame's reason.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ProtocolError => "protocol_error",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::FrameTooLarge => "frame_too_large",
            Self::Internal => "internal",
            Self::Restart => "restart",
            Self::TryLater => "try_later",
            Self::CredentialsExpired => "credentials_expired",
            Self::Revoked => "revoked",
            Self::Silent => "silent",
            Self::TooSlow => "too_slow",
        }
    }

    /// What the client should do now.
    #[must_use]
    pub fn reaction(self) -> Reaction {
        match self {
            Self::Normal | Self::ProtocolError | Self::InvalidUtf8 | Self::FrameTooLarge | Self::Revoked => {
                Reaction::Stop
            }
            Self::Internal | Self::Restart | Self::TryLater | Self::Silent | Self::TooSlow => {
                Reaction::Reconnect
            }
            Self::CredentialsExpired => Reaction::Refresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn text_of_an_error_code_is_what_serde_writes() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{}\"", code.as_str()));
        }
    }
}
