//! A form as a browser or a script posts it: texts into memory, files into the store as they come.

mod budget;

#[cfg(test)]
mod tests;

use std::time::Duration;

use actix_multipart::{Field, Multipart};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::mime::Mime;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use switchboard_protocol::ErrorCode;
use tokio::time::timeout;
use url::form_urlencoded;

use super::{Files, Stored, refusal, safe_filename};
use crate::problem::ApiError;
use budget::{Budget, check_field};

/// A body of which nothing comes for this long is given up: actix has no deadline for that.
const BODY_STALL: Duration = Duration::from_secs(30);

/// What files a form may have. Texts have limits of their own: 256 KiB a field, 512 KiB with names together,
/// and 1,100 fields.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    /// How many.
    pub files: usize,
    /// Each, in bytes.
    pub file_bytes: u64,
    /// When all of it has come, or never will.
    pub deadline: Duration,
}

/// A form, whole. The files are stored and stay so: whoever drops this leaves them to the collector of what
/// no message has. They are not removed by dropping, since a request may be given up while the store commits
/// the message that has them.
#[derive(Debug)]
pub struct Form<T> {
    /// Names and texts, in their order.
    pub fields: Vec<(String, String)>,
    /// The files that have any bytes, in their order.
    pub files: Vec<UploadedFile<T>>,
}

/// A file of a form.
#[derive(Debug)]
pub struct UploadedFile<T> {
    /// The name of the field.
    pub field: String,
    /// What the client calls it, fit to be shown: see [`safe_filename`].
    pub filename: String,
    /// Its key in the store of files.
    pub key: String,
    /// What is known of its bytes.
    pub stored: Stored,
    /// What its key was registered as.
    pub registered: T,
}

impl<T> Form<T> {
    /// The first text of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every text of that name, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.as_str())
    }
}

/// Reads a body of type `multipart/form-data`, or `application/x-www-form-urlencoded`, which has no files.
/// A file without a name or without bytes is what browsers send for an input that nobody touched: it is
/// skipped.
///
/// `register` is given the key and the name of a file before the first byte of it is stored, to note the key
/// where the collector finds it. Memory: the texts, 128 KiB of the body, and one [`super::Upload`].
///
/// # Errors
/// `unsupported_media_type`; `invalid_field` for a form that is broken or stops coming; `content_too_large`
/// for too much text; `attachment_too_large`, `too_many_attachments`; `store_unavailable`; those of
/// `register`. What was stored before is removed again, also if the future is dropped.
pub async fn read<T>(
    payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static,
    headers: &HeaderMap,
    limits: FormLimits,
    files: &Files,
    register: impl AsyncFn(&str, &str) -> Result<T, ApiError>,
) -> Result<Form<T>, ApiError> {
    let reading = read_in_time(payload, headers, limits, files, register);
    let late = |_elapsed| Err(ApiError::new(ErrorCode::InvalidField, "the form did not come in time"));
    timeout(limits.deadline, reading).await.unwrap_or_else(late)
}

async fn read_in_time<T>(
    payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static,
    headers: &HeaderMap,
    limits: FormLimits,
    files: &Files,
    register: impl AsyncFn(&str, &str) -> Result<T, ApiError>,
) -> Result<Form<T>, ApiError> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.parse::<Mime>().ok());
    match media_type.as_ref().map(Mime::essence_str) {
        Some("multipart/form-data") => {
            let (form, stored) = (Form { fields: Vec::new(), files: Vec::new() }, Uncommitted::new(files));
            let reader = Reader { limits, files, register, texts: Budget::default(), form, stored };
            reader.read(Multipart::new(headers, payload)).await
        }
        Some("application/x-www-form-urlencoded") => {
            Ok(Form { fields: urlencoded(payload).await?, files: Vec::new() })
        }
        _ => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "the body is neither `multipart/form-data` nor `application/x-www-form-urlencoded`",
        )),
    }
}

struct Reader<'a, T, R> {
    limits: FormLimits,
    files: &'a Files,
    register: R,
    texts: Budget,
    form: Form<T>,
    stored: Uncommitted<'a>,
}

impl<T, R: AsyncFn(&str, &str) -> Result<T, ApiError>> Reader<'_, T, R> {
    async fn read(mut self, mut parts: Multipart) -> Result<Form<T>, ApiError> {
        while let Some(mut part) = next(&mut parts).await? {
            let (name, filename) = names(&part);
            self.texts.take(name.len())?;
            match filename.as_deref() {
                None => {
                    let text = self.text(&mut part).await?;
                    self.form.fields.push((name, text));
                }
                Some("") => drop(self.text(&mut part).await?),
                Some(filename) => self.file(&mut part, name, filename).await?,
            }
        }
        self.stored.keys.clear();
        Ok(self.form)
    }

    async fn text(&mut self, part: &mut Field) -> Result<String, ApiError> {
        self.texts.count_field()?;
        let mut text = Vec::new();
        while let Some(chunk) = next(part).await? {
            self.texts.take(chunk.len())?;
            text.extend_from_slice(&chunk);
            check_field(&text)?;
        }
        String::from_utf8(text).map_err(|_not_utf8| broken("a field is not UTF-8"))
    }

    async fn file(&mut self, part: &mut Field, field: String, filename: &str) -> Result<(), ApiError> {
        let Some(first) = next(part).await? else { return self.texts.count_field() };
        let FormLimits { files, file_bytes, .. } = self.limits;
        if self.form.files.len() == files {
            let sentence = format!("a message may have at most {files} files");
            return Err(ApiError::new(ErrorCode::TooManyAttachments, sentence));
        }
        let (key, filename) = (Files::new_key(), safe_filename(filename));
        let registered = (self.register)(&key, &filename).await?;
        self.stored.keys.push(key.clone());
        let mut upload = self.files.begin(&key);
        let (mut chunk, mut size) = (Some(first), 0);
        while let Some(bytes) = chunk {
            size += bytes.len() as u64;
            if size > file_bytes {
                let sentence = format!("a file may have at most {file_bytes} bytes");
                return Err(ApiError::new(ErrorCode::AttachmentTooLarge, sentence));
            }
            upload.write(bytes).await.map_err(|error| refusal(&error))?;
            chunk = next(part).await?;
        }
        let stored = upload.finish().await.map_err(|error| refusal(&error))?;
        self.form.files.push(UploadedFile { field, filename, key, stored, registered });
        Ok(())
    }
}

/// The name of a field, and of the file in it if it is one. Some scripts write names beyond ASCII as mail
/// does, which RFC 7578 forbids.
fn names(part: &Field) -> (String, Option<String>) {
    let Some(disposition) = part.content_disposition() else { return (String::new(), None) };
    let plain = disposition.get_filename().map(str::to_owned);
    let extended =
        disposition.get_filename_ext().map(|name| String::from_utf8_lossy(&name.value).into_owned());
    (disposition.get_name().unwrap_or_default().to_owned(), extended.or(plain))
}

async fn urlencoded(
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
) -> Result<Vec<(String, String)>, ApiError> {
    let (mut body, mut texts) = (Vec::new(), Budget::default());
    while let Some(chunk) = next(&mut payload).await? {
        texts.take(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let mut fields = Vec::new();
    for (name, text) in form_urlencoded::parse(&body) {
        texts.count_field()?;
        check_field(text.as_bytes())?;
        fields.push((name.into_owned(), text.into_owned()));
    }
    Ok(fields)
}

/// What comes next of a body, while it keeps coming.
async fn next<T, E>(body: &mut (impl Stream<Item = Result<T, E>> + Unpin)) -> Result<Option<T>, ApiError> {
    match timeout(BODY_STALL, body.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(_broken))) => Err(broken("the form is broken or was cut off")),
        Err(_elapsed) => Err(broken("the body of the request stopped coming")),
    }
}

fn broken(sentence: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidField, sentence)
}

/// The keys of a form that has not come to its end. Dropping this removes what is under them.
struct Uncommitted<'a> {
    files: &'a Files,
    keys: Vec<String>,
}

impl<'a> Uncommitted<'a> {
    fn new(files: &'a Files) -> Self {
        Self { files, keys: Vec::new() }
    }
}

impl Drop for Uncommitted<'_> {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| self.files.remove_later(key));
    }
}
