//! A file on its way out, so that no browser takes it for a page of ours.
//!
//! Whether the caller may have it is checked before: on each request, since the address is no secret.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::{Duration, SystemTime};

use actix_web::body::SizedStream;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue, HttpDate};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use bytes::Bytes;
use futures_util::stream;
use switchboard_protocol::{ErrorCode, Timestamp};

use super::range::{Selection, select};
use super::{Files, FilesError, refusal, safe_filename};
use crate::problem::ApiError;

/// The types that a browser may be told, since it only draws them. Anything else could hold a script.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// The end of the year 9999, in seconds: no later date can be written in a header.
const LAST_SECOND: u64 = 253_402_300_799;

/// What is known of a file that is to be sent.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// Its key in the store of files.
    pub key: String,
    /// Its name, for people.
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// Its type by its first bytes.
    pub media_type: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// Answers `GET` and `HEAD` with a file, one range of it (206), or that the client has it already (304).
///
/// # Errors
/// `not_found` if the bytes are gone, `store_unavailable`; a range that is not there is an answer (416).
pub async fn respond(
    request: &HttpRequest,
    files: &Files,
    file: &FileInfo,
) -> Result<HttpResponse, ApiError> {
    let tag = format!("\"{}\"", file.sha256);
    if has_already(request.headers(), &tag) {
        return Ok(head(StatusCode::NOT_MODIFIED, file, &tag).finish());
    }
    if request.method() == Method::HEAD {
        let nothing = stream::empty::<Result<Bytes, FilesError>>();
        return Ok(content(StatusCode::OK, file, &tag).body(SizedStream::new(file.size, nothing)));
    }
    match selection(request.headers(), &tag, file.size) {
        Selection::Whole => {
            let body = open(files, file, None).await?;
            Ok(content(StatusCode::OK, file, &tag).body(body))
        }
        Selection::Part(range) => {
            let body = open(files, file, Some(range.clone())).await?;
            let part = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
            let mut response = content(StatusCode::PARTIAL_CONTENT, file, &tag);
            Ok(response.insert_header((header::CONTENT_RANGE, part)).body(body))
        }
        Selection::Nothing => {
            let refusal = ApiError::new(ErrorCode::RangeNotSatisfiable, "the file has no such part");
            let mut response = refusal.error_response();
            let size = HeaderValue::try_from(format!("bytes */{}", file.size));
            response.headers_mut().insert(header::CONTENT_RANGE, size.expect("it is a number after ASCII"));
            Ok(response)
        }
    }
}

/// Opens the bytes before anything is answered, so that a file that is gone is an error and no broken answer.
async fn open(
    files: &Files,
    file: &FileInfo,
    range: Option<Range<u64>>,
) -> Result<SizedStream<impl stream::Stream<Item = Result<Bytes, FilesError>> + use<>>, ApiError> {
    let length = range.as_ref().map_or(file.size, |range| range.end - range.start);
    let reading = files.read(&file.key, range).await.map_err(|error| refusal(&error))?;
    if reading.size() != file.size {
        tracing::error!("an attachment has {} bytes stored, and {} in its row", reading.size(), file.size);
        return Err(ApiError::new(ErrorCode::Internal, "something broke here"));
    }
    Ok(SizedStream::new(length, reading))
}

/// Whether the client names this version as one that it has. Whoever has it may still see it: asked again
/// each time (`no-cache`), we only spare the bytes.
fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| {
        // A weak tag is as good here (RFC 9110, section 13.1.2).
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// What the client asks for. A condition that names anything but this version asks for all of it.
fn selection(headers: &HeaderMap, tag: &str, size: u64) -> Selection {
    if headers.get(header::IF_RANGE).is_some_and(|version| version.as_bytes() != tag.as_bytes()) {
        return Selection::Whole;
    }
    let mut ranges = headers.get_all(header::RANGE);
    match (ranges.next().and_then(|range| range.to_str().ok()), ranges.next()) {
        (Some(range), None) => select(range, size),
        _ => Selection::Whole,
    }
}

/// What each answer with this file says.
fn head(status: StatusCode, file: &FileInfo, tag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, tag))
        .insert_header((header::LAST_MODIFIED, HttpDate::from(time(file.created_at))))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "same-origin"));
    response
}

/// The same, with what it says of the bytes that follow.
fn content(status: StatusCode, file: &FileInfo, tag: &str) -> HttpResponseBuilder {
    let image = IMAGES.into_iter().find(|image| *image == file.media_type);
    let mut response = head(status, file, tag);
    response
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CONTENT_TYPE, image.unwrap_or("application/octet-stream")))
        .insert_header((header::CONTENT_DISPOSITION, disposition(&file.filename)));
    response
}

fn time(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.0 / 1_000_000).unwrap_or(0).min(LAST_SECOND);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// To be saved, never shown in place (RFC 6266): the name in ASCII for old programs, and as it is (RFC 8187).
fn disposition(filename: &str) -> String {
    let filename = safe_filename(filename);
    // Some programs decode percent signs even here, and some end the name at a quote that is escaped.
    let ascii = |character: char| match character {
        '"' | '\\' | '%' => '_',
        ' '..='~' => character,
        _ => '_',
    };
    let mut encoded = String::new();
    for byte in filename.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            b'!' | b'#' | b'$' | b'&' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    let fallback: String = filename.chars().map(ascii).collect();
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{encoded}")
}
