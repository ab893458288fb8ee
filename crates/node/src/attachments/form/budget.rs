//! The room that the texts of a form may take.

use switchboard_protocol::ErrorCode;

use crate::problem::ApiError;

/// A text field, in bytes: room for a content that is too long, so that it is the content that is refused.
pub(super) const FIELD_BYTES: usize = 256 * 1024;
/// All text fields with all names, in bytes.
pub(super) const FIELDS_BYTES: usize = 512 * 1024;
/// Parts that are no stored file: a thousand recipients, and what a page adds.
pub(super) const FIELDS: usize = 1_100;

/// What of that room is taken.
#[derive(Debug, Default)]
pub(super) struct Budget {
    bytes: usize,
    fields: usize,
}

impl Budget {
    /// Counts bytes of names and texts.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.bytes += bytes;
        if self.bytes > FIELDS_BYTES {
            return Err(too_large(format!("the fields may have at most {FIELDS_BYTES} bytes together")));
        }
        Ok(())
    }

    /// Counts a field.
    pub(super) fn count_field(&mut self) -> Result<(), ApiError> {
        self.fields += 1;
        if self.fields > FIELDS {
            let sentence = format!("a form may have at most {FIELDS} fields");
            return Err(ApiError::new(ErrorCode::InvalidField, sentence));
        }
        Ok(())
    }
}

/// Refuses a text that is too long for one field.
pub(super) fn check_field(text: &[u8]) -> Result<(), ApiError> {
    if text.len() > FIELD_BYTES {
        return Err(too_large(format!("a field may have at most {FIELD_BYTES} bytes")));
    }
    Ok(())
}

fn too_large(sentence: String) -> ApiError {
    ApiError::new(ErrorCode::ContentTooLarge, sentence)
}
