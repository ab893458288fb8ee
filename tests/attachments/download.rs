//! A file on its way out: parts of it, and what is said of it, so that no browser takes it for a page of ours.

use anyhow::ensure;
use switchboard_protocol::api::Uploaded;

use super::kit::{PNG, upload, urls};
use crate::harness::Cluster;
use crate::harness::http::{Answer, bearer, get, send};

const DIGITS: &[u8] = b"0123456789";

pub(super) async fn parts_of_a_file(cluster: Cluster) -> anyhow::Result<()> {
    let file = upload(cluster.address(0), 1, &[("digits", DIGITS)]).await?.remove(0).id;
    let whole = get(cluster.address(1), &urls(file)[0], &[bearer(1)]).await?;
    let tag = whole.header("etag").unwrap_or_default().to_owned();
    ensure!(tag.len() > 2 && whole.header("accept-ranges") == Some("bytes"), "{}", whole.head);
    let same = format!("If-Range: {tag}");
    let has_it = format!("If-None-Match: {tag}");
    let cases: [(&[&str], u16, &str, Option<&str>); 20] = [
        (&["Range: bytes=2-4"], 206, "234", Some("bytes 2-4/10")),
        (&["Range: bytes=0-0"], 206, "0", Some("bytes 0-0/10")),
        (&["Range: bytes=7-"], 206, "789", Some("bytes 7-9/10")),
        (&["Range: bytes=7-99"], 206, "789", Some("bytes 7-9/10")),
        (&["Range: bytes=-3"], 206, "789", Some("bytes 7-9/10")),
        (&["Range: bytes=-30"], 206, "0123456789", Some("bytes 0-9/10")),
        (&["Range: bytes=10-"], 416, "", Some("bytes */10")),
        (&["Range: bytes=-0"], 416, "", Some("bytes */10")),
        (&["Range: bytes=99999999999999999999-"], 416, "", Some("bytes */10")),
        (&["Range: bytes=0-1,3-4"], 200, "0123456789", None),
        (&["Range: bytes=0-1", "Range: bytes=3-4"], 200, "0123456789", None),
        (&["Range: bytes=4-2"], 200, "0123456789", None),
        (&["Range: bytes=a-b"], 200, "0123456789", None),
        (&["Range: lines=1-2"], 200, "0123456789", None),
        (&["Range:"], 200, "0123456789", None),
        (&["Range: bytes=2-4", &same], 206, "234", Some("bytes 2-4/10")),
        (&["Range: bytes=2-4", "If-Range: \"another\""], 200, "0123456789", None),
        (&[&has_it], 304, "", None),
        (&[&has_it, "Range: bytes=2-4"], 304, "", None),
        (&["If-None-Match: \"another\""], 200, "0123456789", None),
    ];
    for url in urls(file) {
        for (headers, status, body, range) in cases {
            let headers: Vec<_> = headers.iter().map(|line| (*line).to_owned()).chain([bearer(1)]).collect();
            let answer = get(cluster.address(1), &url, &headers).await?;
            ensure!(answer.status == status, "{headers:?}: {} {}", answer.status, answer.body);
            ensure!(answer.header("content-range") == range, "{headers:?}: {}", answer.head);
            ensure!(status == 416 || answer.body == body, "{headers:?}: {}", answer.body);
            ensure!(status != 416 || answer.body.contains("range_not_satisfiable"), "{}", answer.body);
        }
        let head = send(cluster.address(1), "HEAD", &url, &[bearer(1)], &[]).await?;
        ensure!(head.status == 200 && head.bytes.is_empty(), "{}", head.head);
        for name in ["content-length", "etag", "content-type", "content-disposition", "last-modified"] {
            ensure!(head.header(name).is_some() && head.header(name) == whole.header(name), "{}", head.head);
        }
        ensure!(head.header("content-length") == Some("10"));
    }
    cluster.finish().await
}

fn check_safe(answer: &Answer) -> anyhow::Result<()> {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        ensure!(answer.header(name) == Some(value), "{name}: {}", answer.head);
    }
    let cache = answer.header("cache-control").unwrap_or_default();
    ensure!(cache.contains("private") && !cache.contains("public"), "{}", answer.head);
    Ok(())
}

pub(super) async fn what_is_said_of_a_file(cluster: Cluster) -> anyhow::Result<()> {
    let octets = "application/octet-stream";
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let cases: [(&str, &[u8], &str); 8] = [
        ("a.png", PNG, "image/png"),
        ("lie.html", PNG, "image/png"),
        ("page.html", b"<!DOCTYPE html><html><script>alert(1)</script></html>", octets),
        ("page.png", b"<html><script>alert(1)</script></html>", octets),
        ("a.svg", svg, octets),
        ("a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", octets),
        ("a.xml", b"<?xml version=\"1.0\"?><a/>", octets),
        ("a.js", b"alert(1)", octets),
    ];
    let files: Vec<_> = cases.iter().map(|(name, bytes, _)| (*name, *bytes)).collect();
    let uploaded = upload(cluster.address(0), 1, &files).await?;
    for (file, (name, bytes, media_type)) in uploaded.iter().zip(cases) {
        for url in urls(file.id) {
            for more in [None, Some("Range: bytes=0-3"), Some("Range: bytes=999-")] {
                let headers: Vec<_> = more.iter().map(|line| (*line).to_owned()).chain([bearer(1)]).collect();
                let answer = get(cluster.address(1), &url, &headers).await?;
                if answer.status == 416 {
                    continue;
                }
                check_safe(&answer)?;
                ensure!(answer.header("content-type") == Some(media_type), "{name}: {}", answer.head);
                let disposition = answer.header("content-disposition").unwrap_or_default();
                ensure!(disposition.starts_with("attachment; "), "{disposition}");
                ensure!(more.is_some() || answer.bytes == bytes, "{name}");
            }
        }
    }
    cluster.finish().await
}

/// Names as RFC 8187 writes them, and what becomes of each: in lists, and in the header once decoded.
pub(super) async fn names_are_names(cluster: Cluster) -> anyhow::Result<()> {
    let long = "a".repeat(300);
    let cases: [(&str, &str); 13] = [
        ("plain.txt", "plain.txt"),
        ("a%22b.txt", "a\"b.txt"),
        ("x%22%3B%20filename=%22evil.exe", "x\"; filename=\"evil.exe"),
        ("a%0D%0AX-Evil:%201%0D%0A%0D%0A.txt", "aX-Evil: 1.txt"),
        ("%2E%2E%2F%2E%2E%2Fetc%2Fpasswd", "passwd"),
        ("..%5C..%5Cboot.ini", "boot.ini"),
        ("%2Fetc%2Fpasswd", "passwd"),
        ("a%00b.txt", "ab.txt"),
        ("ann%E2%80%AEfdp.exe", "annfdp.exe"),
        ("%F0%9F%98%80%20%D0%BE%D1%82%D1%87%D1%91%D1%82.txt", "\u{1F600} отчёт.txt"),
        (".htaccess", "htaccess"),
        ("%2E%2E", "file"),
        (&long, &long[..255]),
    ];
    for (raw, expect) in cases {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"; filename*=UTF-8''{raw}\r\n\r\n\
             bytes\r\n--b--\r\n"
        );
        let headers = [bearer(1), "Content-Type: multipart/form-data; boundary=b".to_owned()];
        let answer =
            send(cluster.address(0), "POST", "/api/v1/attachments", &headers, body.as_bytes()).await?;
        ensure!(answer.status == 201, "{raw}: {}", answer.body);
        let Uploaded { attachments } = serde_json::from_str(&answer.body)?;
        ensure!(attachments[0].filename == expect, "{raw}: {:?}", attachments[0].filename);
        for url in urls(attachments[0].id) {
            let answer = get(cluster.address(1), &url, &[bearer(1)]).await?;
            check_disposition(&answer, expect)?;
        }
    }
    cluster.finish().await
}

fn check_disposition(answer: &Answer, name: &str) -> anyhow::Result<()> {
    ensure!(answer.status == 200 && answer.body == "bytes", "{}", answer.body);
    ensure!(answer.header("x-evil").is_none(), "{}", answer.head);
    let disposition = answer.header("content-disposition").unwrap_or_default();
    ensure!(disposition.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{disposition}");
    let rest = disposition.strip_prefix("attachment; filename=\"").unwrap_or_default();
    let (plain, encoded) = rest.split_once("\"; filename*=UTF-8''").unwrap_or_default();
    ensure!(!plain.is_empty() && !plain.contains(['"', '\\', '/', '%']), "{disposition}");
    ensure!(!encoded.contains([' ', '"', ';', '\'', '/']), "{disposition}");
    let decoded: Vec<u8> =
        url::form_urlencoded::parse(format!("n={}", encoded.replace('+', "%2B")).as_bytes())
            .flat_map(|(_, value)| value.into_owned().into_bytes())
            .collect();
    ensure!(decoded == name.as_bytes(), "{disposition} for {name}");
    Ok(())
}
