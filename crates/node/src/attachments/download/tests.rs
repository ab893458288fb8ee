use std::io::{Read, Write};
use std::net::TcpStream;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpServer, web};

use super::super::tests::Temporary;
use super::*;

const BYTES: &[u8] = b"0123456789";

async fn download(
    files: web::Data<Files>,
    file: web::Data<FileInfo>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    respond(&request, &files, &file).await
}

async fn stored(files: &Temporary, bytes: &[u8], filename: &str) -> FileInfo {
    let (key, stored) = files.store(bytes).await;
    FileInfo {
        key,
        filename: filename.to_owned(),
        size: stored.size,
        media_type: stored.media_type.to_owned(),
        sha256: stored.sha256_hex,
        created_at: Timestamp(1_767_225_600_123_456),
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks for a file with headers, each written as `Name: value`.
async fn ask(files: &Files, file: &FileInfo, method: Method, headers: &[&str]) -> Answer {
    let app = App::new()
        .app_data(web::Data::new(files.clone()))
        .app_data(web::Data::new(file.clone()))
        .default_service(web::to(download));
    let app = init_service(app).await;
    let mut request = TestRequest::get().method(method);
    for header in headers {
        request = request.append_header(header.split_once(": ").unwrap());
    }
    let response = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: read_body(response).await }
}

#[actix_web::test]
async fn a_store_that_is_away_is_no_node_that_is_away() {
    let files = Temporary::new();
    let file = stored(&files, BYTES, "digits.txt").await;
    let shelf = files.folder().join("files").join(&file.key[..2]);
    std::fs::remove_dir_all(&shelf).unwrap();
    std::fs::write(shelf, "no folder").unwrap();
    let answer = ask(&files, &file, Method::GET, &[]).await;
    assert_eq!(answer.status, 502, "balancers leave a node for its 503");
    assert!(String::from_utf8_lossy(&answer.body).contains("store_unavailable"));
}

#[actix_web::test]
async fn the_part_that_was_asked_for() {
    let files = Temporary::new();
    let file = stored(&files, BYTES, "digits.txt").await;
    let tag = format!("If-Range: \"{}\"", file.sha256);
    let weak_tag = format!("If-Range: W/\"{}\"", file.sha256);
    for (headers, status, body, range) in [
        (vec![], 200, "0123456789", ""),
        (vec!["Range: bytes=2-4"], 206, "234", "bytes 2-4/10"),
        (vec!["Range: bytes=7-"], 206, "789", "bytes 7-9/10"),
        (vec!["Range: bytes=-1"], 206, "9", "bytes 9-9/10"),
        (vec!["Range: bytes=0-99"], 206, "0123456789", "bytes 0-9/10"),
        (vec!["Range: "], 200, "0123456789", ""),
        (vec!["Range: bytes=0-1,3-4"], 200, "0123456789", ""),
        (vec!["Range: bytes=0-1", "Range: bytes=3-4"], 200, "0123456789", ""),
        (vec!["Range: bytes=2-4", &tag], 206, "234", "bytes 2-4/10"),
        (vec!["Range: bytes=2-4", &weak_tag], 200, "0123456789", ""),
        (vec!["Range: bytes=2-4", "If-Range: \"other\""], 200, "0123456789", ""),
        (vec!["Range: bytes=2-4", "If-Range: Thu, 01 Jan 2026 00:00:00 GMT"], 200, "0123456789", ""),
    ] {
        let answer = ask(&files, &file, Method::GET, &headers).await;
        assert_eq!((answer.status, &answer.body[..]), (status, body.as_bytes()), "{headers:?}");
        assert_eq!((answer.header("content-range"), answer.header("accept-ranges")), (range, "bytes"));
    }
    for range in ["Range: bytes=10-", "Range: bytes=-0"] {
        let answer = ask(&files, &file, Method::GET, &[range]).await;
        assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"));
        assert!(String::from_utf8_lossy(&answer.body).contains("range_not_satisfiable"));
    }
}

#[actix_web::test]
async fn what_the_client_has_is_not_sent_again() {
    let files = Temporary::new();
    let file = stored(&files, BYTES, "digits.txt").await;
    let tag = format!("\"{}\"", file.sha256);
    for (known, status) in [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: \"other\", W/{tag}"), 304),
        ("If-None-Match: *".to_owned(), 304),
        ("If-None-Match: \"other\"".to_owned(), 200),
        (format!("If-None-Match: {}", file.sha256), 200),
    ] {
        let answer =
            ask(&files, &file, Method::GET, &[&known, "Range: bytes=0-1"][..1 + usize::from(status == 304)])
                .await;
        assert_eq!((answer.status, answer.header("etag")), (status, &tag[..]), "{known}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[actix_web::test]
async fn no_browser_takes_a_file_for_a_page() {
    let files = Temporary::new();
    for (bytes, media_type) in [
        (b"<html><script>alert(1)</script></html>".as_slice(), "application/octet-stream"),
        (b"%PDF-1.7", "application/octet-stream"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
        (b"RIFF\x1a\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x1a\0\0\0\0\0\0\0", "application/octet-stream"),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "application/octet-stream"),
        (b"<?xml version=\"1.0\"?><a/>", "application/octet-stream"),
    ] {
        let file = stored(&files, bytes, "a.html").await;
        let answer = ask(&files, &file, Method::GET, &["Range: bytes=0-"]).await;
        assert_eq!(answer.header("content-type"), media_type);
        assert!(answer.header("content-disposition").starts_with("attachment; "));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("last-modified"), "Thu, 01 Jan 2026 00:00:00 GMT");
    }
}

#[actix_web::test]
async fn bytes_that_are_gone_are_an_error_and_no_broken_answer() {
    let files = Temporary::new();
    let file = stored(&files, BYTES, "digits.txt").await;
    let wrong = FileInfo { size: 9, ..file.clone() };
    assert_eq!(ask(&files, &wrong, Method::GET, &[]).await.status, 500);
    files.remove(&file.key).await.unwrap();
    let answer = ask(&files, &file, Method::GET, &["Range: bytes=0-1"]).await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"));
}

#[actix_web::test]
async fn a_head_says_what_a_get_would_and_leaves_the_connection_in_order() {
    let files = Temporary::new();
    let file = stored(&files, BYTES, "digits.txt").await;
    let (store, info) = (web::Data::new(Files::clone(&files)), web::Data::new(file));
    let app =
        move || App::new().app_data(store.clone()).app_data(info.clone()).default_service(web::to(download));
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let stop = server.handle();
    let talk = std::thread::spawn(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        let head = "HEAD / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n";
        let get = "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=4-5\r\nConnection: close\r\n\r\n";
        socket.write_all(format!("{head}{get}").as_bytes()).unwrap();
        let mut answers = String::new();
        socket.read_to_string(&mut answers).unwrap();
        answers
    });
    let client = async {
        let answers = web::block(move || talk.join().unwrap()).await.unwrap();
        stop.stop(false).await;
        answers
    };
    let (served, answers) = futures_util::join!(server, client);
    served.unwrap();
    let (head, get) = answers.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 10"), "{head}");
    assert!(get.starts_with("HTTP/1.1 206") && get.contains("content-length: 2"), "{get}");
    assert!(get.ends_with("\r\n\r\n45"), "{get}");
}

#[track_caller]
fn check_disposition(filename: &str, fallback: &str, encoded: &str) {
    let expect = format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{encoded}");
    assert_eq!(disposition(filename), expect);
    HeaderValue::from_str(&expect).unwrap();
}

#[test]
fn no_name_breaks_out_of_its_header() {
    check_disposition("report 1.pdf", "report 1.pdf", "report%201.pdf");
    check_disposition("ф.txt", "_.txt", "%D1%84.txt");
    check_disposition("a\"; filename=b.exe", "a_; filename=b.exe", "a%22%3B%20filename%3Db.exe");
    check_disposition("a\r\nX: y", "aX: y", "aX%3A%20y");
    check_disposition("100%41.txt", "100_41.txt", "100%2541.txt");
    check_disposition("..\\..\\a'b(c)*.txt", "a'b(c)*.txt", "a%27b%28c%29%2A.txt");
    check_disposition("\u{202E}\0", "file", "file");
}

#[test]
fn no_time_is_beyond_a_header() {
    for (micros, expect) in [
        (i64::MIN, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1_767_225_600_999_999, "Thu, 01 Jan 2026 00:00:00 GMT"),
        (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(HttpDate::from(time(Timestamp(micros))).to_string(), expect);
    }
}
