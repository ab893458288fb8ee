use std::cell::RefCell;
use std::rc::Rc;

use actix_web::http::header::HeaderValue;
use futures_util::{TryStreamExt, stream};
use tokio::sync::Notify;

use super::super::tests::{Temporary, noise};
use super::budget::{FIELD_BYTES, FIELDS};
use super::*;

const FORM: &str = "multipart/form-data; boundary=xYx";
const LIMITS: FormLimits = FormLimits { files: 2, file_bytes: 100_000, deadline: Duration::from_secs(3600) };

fn text(name: &str, text: impl AsRef<[u8]>) -> Vec<u8> {
    part(&format!("form-data; name=\"{name}\""), text)
}

fn file(name: &str, filename: &str, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    part(&format!("form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: text/html"), bytes)
}

fn part(disposition: &str, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("--xYx\r\nContent-Disposition: {disposition}\r\n\r\n");
    [head.as_bytes(), bytes.as_ref(), b"\r\n"].concat()
}

/// The parts, and what closes them.
fn whole(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--xYx--\r\n".to_vec()].concat()
}

fn headers(media_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !media_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    headers
}

/// Posts a body that comes in chunks; a key is registered as the name of its file.
async fn post(
    files: &Files,
    media_type: &'static str,
    body: &[u8],
    chunk: usize,
) -> Result<Form<String>, ApiError> {
    let chunks: Vec<_> = body.chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let register = async |_key: &str, filename: &str| Ok(filename.to_owned());
    read(stream::iter(chunks), &headers(media_type), LIMITS, files, register).await
}

#[track_caller]
fn check_code<T>(result: Result<T, ApiError>, code: ErrorCode, what: &str) {
    let found = result.err().map(|error| error.problem().code);
    assert_eq!(found, Some(code), "{what}");
}

#[actix_web::test]
async fn texts_and_files_come_in_however_the_body_is_cut() {
    let files = Temporary::new();
    let odd = b"\r\n--xY\r\n\r--x\r\r\n--\n--xYx".repeat(3);
    let body = whole(&[
        text("recipients", "1"),
        file("attachments", "../a\u{202E}b.txt", &odd),
        text("recipients", "2"),
        file("attachments", "", ""),
        file("attachments", "empty.txt", ""),
        part("form-data; name=f; filename*=UTF-8''%D1%84.txt", "two"),
        text("content", "привет\r\n"),
    ]);
    for chunk in [1, 2, 7, 1000, body.len()] {
        let form = post(&files, FORM, &body, chunk).await.unwrap();
        assert_eq!(form.all("recipients").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.field("content"), form.field("f")), (Some("привет\r\n"), None));
        let [one, two] = &form.files[..] else { panic!("{:?}", form.files) };
        assert_eq!((one.field.as_str(), one.filename.as_str()), ("attachments", "ab.txt"));
        assert_eq!((two.filename.as_str(), two.registered.as_str(), two.stored.size), ("ф.txt", "ф.txt", 3));
        let pieces = files.read(&one.key, None).await.unwrap().map_ok(|piece| piece.to_vec());
        assert_eq!(pieces.try_concat().await.unwrap(), odd, "chunks of {chunk}");
    }
    files.settled().await;
    assert_eq!(files.n_files(), 10);
}

#[actix_web::test]
async fn what_fits_exactly_is_taken() {
    let files = Temporary::new();
    let large = file("a", "b", noise(100_000));
    let mut parts = vec![large.clone(), large, text("c", "x".repeat(FIELD_BYTES))];
    parts.resize(FIELDS + 2, text("recipients", "1234567"));
    let form = post(&files, FORM, &whole(&parts), 64 * 1024).await.unwrap();
    assert_eq!((form.files.len(), form.fields.len()), (2, FIELDS));
}

#[actix_web::test]
async fn what_is_refused_leaves_nothing() {
    use ErrorCode::{
        AttachmentTooLarge, ContentTooLarge, InvalidField, TooManyAttachments, UnsupportedMediaType,
    };
    let files = Temporary::new();
    let (one, ok) = (file("a", "1", "one"), text("c", "x"));
    let fine = whole(std::slice::from_ref(&ok));
    let large_text = text("c", "x".repeat(200 * 1024));
    for (what, media_type, body, code) in [
        ("no type", "", fine.clone(), UnsupportedMediaType),
        ("json", "application/json", b"{}".to_vec(), UnsupportedMediaType),
        ("mixed", "multipart/mixed; boundary=xYx", fine.clone(), UnsupportedMediaType),
        ("no boundary", "multipart/form-data", fine.clone(), InvalidField),
        ("other boundary", "multipart/form-data; boundary=z", fine.clone(), InvalidField),
        ("no body", FORM, vec![], InvalidField),
        ("cut in a file", FORM, [&one[..], &one[..one.len() - 4]].concat(), InvalidField),
        ("cut in a head", FORM, [&one[..], &one[..20]].concat(), InvalidField),
        ("no name", FORM, whole(&[one.clone(), part("form-data", "x")]), InvalidField),
        ("no disposition", FORM, [&one[..], b"--xYx\r\nX: y\r\n\r\nx\r\n--xYx--\r\n"].concat(), InvalidField),
        ("endless head", FORM, [&one[..], b"--xYx\r\nX: ", &noise(200_000)].concat(), InvalidField),
        ("not UTF-8", FORM, whole(&[one.clone(), text("c", b"\xff\xfe")]), InvalidField),
        ("long text", FORM, whole(&[one.clone(), text("c", "x".repeat(FIELD_BYTES + 1))]), ContentTooLarge),
        (
            "much text",
            FORM,
            whole(&[one.clone(), large_text.clone(), large_text.clone(), large_text]),
            ContentTooLarge,
        ),
        ("long names", FORM, whole(&vec![text(&"n".repeat(60_000), ""); 9]), ContentTooLarge),
        ("nameless file", FORM, whole(&[one.clone(), file("a", "", noise(300_000))]), ContentTooLarge),
        ("many fields", FORM, whole(&vec![ok.clone(); FIELDS + 1]), InvalidField),
        ("many empty files", FORM, whole(&vec![file("a", "b", ""); FIELDS + 1]), InvalidField),
        ("large file", FORM, whole(&[one.clone(), file("a", "2", noise(100_001))]), AttachmentTooLarge),
        ("many files", FORM, whole(&[one.clone(), one.clone(), one.clone()]), TooManyAttachments),
    ] {
        check_code(post(&files, media_type, &body, 10_000).await, code, what);
        files.settled().await;
        assert_eq!(files.n_files(), 0, "{what}");
    }
}

#[actix_web::test]
async fn a_store_that_is_away_is_no_node_that_is_away() {
    let files = Temporary::new();
    let folder = files.folder().join("files");
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(folder, "no folder").unwrap();
    let refused = post(&files, FORM, &whole(&[file("a", "1", "one")]), 10_000).await.unwrap_err();
    let problem = refused.problem();
    assert_eq!((problem.code, problem.status), (ErrorCode::StoreUnavailable, 502));
}

#[actix_web::test]
async fn nothing_is_stored_that_is_not_registered() {
    let files = Temporary::new();
    let refused = ApiError::new(ErrorCode::StoreUnavailable, "no");
    let body = whole(&[file("a", "1", "one"), file("a", "2", "two")]);
    let seen = RefCell::new(Vec::new());
    let register = async |key: &str, filename: &str| {
        let is_stored = files.read(key, None).await.is_ok();
        seen.borrow_mut().push((key.to_owned(), is_stored));
        if filename == "2" { Err(refused.clone()) } else { Ok(()) }
    };
    let payload = stream::iter([Ok(Bytes::from(body))]);
    let form = read(payload, &headers(FORM), LIMITS, &files, register).await;
    assert_eq!(form.unwrap_err(), refused);
    let seen = seen.into_inner();
    assert!(seen.len() == 2 && seen[0].0 != seen[1].0 && seen.iter().all(|(_, is_stored)| !is_stored));
    files.settled().await;
    assert_eq!(files.n_files(), 0);
}

#[actix_web::test]
async fn a_request_that_is_given_up_leaves_nothing() {
    let files = Temporary::new();
    let second = Rc::new(Notify::new());
    let register = async |_key: &str, filename: &str| {
        if filename == "2" {
            second.notify_one();
        }
        Ok(())
    };
    let begun = [file("a", "1", "one"), file("a", "2", noise(90_000))].concat();
    let payload = stream::iter([Ok(Bytes::from(begun))]).chain(stream::pending());
    let headers = headers(FORM);
    tokio::select! {
        form = read(payload, &headers, LIMITS, &files, register) => panic!("{form:?}"),
        () = second.notified() => assert_eq!(files.n_files(), 1),
    }
    files.settled().await;
    assert_eq!(files.n_files(), 0);
}

#[actix_web::test]
async fn a_body_that_stops_coming_is_given_up() {
    let files = Temporary::new();
    tokio::time::pause();
    for (media_type, begun) in
        [(FORM, text("c", "x")), ("application/x-www-form-urlencoded", b"c=x".to_vec())]
    {
        let payload = Box::pin(stream::iter([Ok(Bytes::from(begun))]).chain(stream::pending()));
        let headers = headers(media_type);
        let form = read(payload, &headers, LIMITS, &files, async |_: &str, _: &str| Ok(()));
        let form = timeout(2 * BODY_STALL, form).await.expect("waits for ever");
        check_code(form, ErrorCode::InvalidField, media_type);
    }
}

#[actix_web::test]
async fn urlencoded_bodies_have_texts() {
    let files = Temporary::new();
    let post = async |body: &str| {
        post(&files, "application/x-www-form-urlencoded; charset=UTF-8", body.as_bytes(), 5).await
    };
    let form = post("usn=a+b%26&usn=%D1%84&empty=&=x").await.unwrap();
    let expect = [("usn", "a b&"), ("usn", "ф"), ("empty", ""), ("", "x")];
    assert!(form.fields.iter().map(|(name, text)| (&name[..], &text[..])).eq(expect), "{:?}", form.fields);
    assert!(form.files.is_empty());
    check_code(post(&"a=b&".repeat(FIELDS + 1)).await, ErrorCode::InvalidField, "many fields");
    check_code(
        post(&format!("a={}", "x".repeat(FIELD_BYTES + 1))).await,
        ErrorCode::ContentTooLarge,
        "a long field",
    );
    check_code(post(&"&".repeat(2 * FIELD_BYTES + 1)).await, ErrorCode::ContentTooLarge, "a long body");
}
