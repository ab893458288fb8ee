use std::sync::mpsc::channel;
use std::{fs, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use tokio::time::timeout;

use super::super::tests::{Temporary, noise};
use super::*;

/// A part on a disk.
const PART: usize = 256 * 1024;

async fn read(files: &Files, key: &str, range: Option<Range<u64>>) -> Vec<u8> {
    files.read(key, range).await.unwrap().map_ok(|piece| piece.to_vec()).try_concat().await.unwrap()
}

#[actix_web::test]
async fn what_is_stored_is_read_in_whole_and_in_part() {
    let files = Temporary::new();
    for size in [0, 1, PIECE, PART - 1, PART, PART + 1, 3 * PART + 7] {
        let bytes = noise(size);
        let key = Files::new_key();
        let mut upload = files.begin(&key);
        for chunk in bytes.chunks(50_001) {
            upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        assert!(
            matches!(files.read(&key, None).await, Err(FilesError::Missing)),
            "visible while it comes in"
        );
        assert_eq!(upload.finish().await.unwrap().size, size as u64);
        assert!(read(&files, &key, None).await == bytes, "{size} bytes");
        if size > 9 {
            assert_eq!(read(&files, &key, Some(3..9)).await, bytes[3..9]);
            assert_eq!(read(&files, &key, Some(size as u64 - 1..size as u64)).await, bytes[size - 1..]);
        }
    }
    files.settled().await;
    assert_eq!(files.n_files(), 7, "parts were left");
}

#[actix_web::test]
async fn type_and_hash_are_those_of_the_bytes() {
    let files = Temporary::new();
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(files.store(b"abc").await.1.sha256_hex, known);
    for (bytes, expect) in [
        (b"\x89PNG\r\n\x1a\n".as_slice(), "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "application/octet-stream"),
        (b"just text", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ] {
        assert_eq!(files.store(bytes).await.1.media_type, expect);
    }
}

#[actix_web::test]
async fn nothing_is_left_of_an_upload_that_does_not_finish() {
    let files = Temporary::new();
    for size in [10, 3 * PART + 7] {
        let begin = async || {
            let mut upload = files.begin(&Files::new_key());
            upload.write(noise(size).into()).await.unwrap();
            upload
        };
        begin().await.abort().await;
        assert_eq!(files.n_files(), 0, "after aborting {size} bytes");
        drop(begin().await);
        files.settled().await;
        assert_eq!(files.n_files(), 0, "after dropping {size} bytes");
        let finish = begin().await.finish();
        assert!(finish.now_or_never().is_none(), "finished without waiting for the disk");
        files.settled().await;
        assert_eq!(files.n_files(), 0, "after dropping the last step of {size} bytes");
    }
}

#[actix_web::test]
async fn an_upload_waits_for_a_store_that_does_not_keep_up() {
    let files = Temporary::new();
    let (resume, stop) = channel::<()>();
    files.runtime().spawn(async move { stop.recv() });
    let mut upload = files.begin("ab/c");
    let fits = (PIECES + 1) * PIECE - 1;
    assert!(upload.write(noise(fits).into()).now_or_never().is_some(), "no room for {fits} bytes");
    let mut more = Box::pin(upload.write(Bytes::from_static(b"more")));
    assert!((&mut more).now_or_never().is_none(), "has taken more than fits");
    drop(resume);
    more.await.unwrap();
    assert_eq!(upload.finish().await.unwrap().size, fits as u64 + 4);
}

#[actix_web::test]
async fn a_reader_who_goes_ends_the_reading() {
    let files = Temporary::new();
    let (key, _) = files.store(&noise(4 * 1024 * 1024)).await;
    let mut reading = files.read(&key, None).await.unwrap();
    reading.next().await.unwrap().unwrap();
    assert!(files.settled().now_or_never().is_none(), "has read all of it ahead");
    drop(reading);
    timeout(Duration::from_secs(10), files.settled()).await.expect("reads on for nobody");
}

#[actix_web::test]
async fn a_store_that_fails_says_so_each_time() {
    let files = Temporary::new();
    fs::write(files.folder().join("files/ab"), "no folder").unwrap();
    let mut upload = files.begin("ab/small");
    upload.write(Bytes::from_static(b"bytes")).await.unwrap();
    assert!(matches!(upload.finish().await, Err(FilesError::Unavailable(_))));
    let mut upload = files.begin("ab/large");
    let more = || Bytes::from(noise(PART + (PIECES + 2) * PIECE));
    assert!(upload.write(more()).await.is_err());
    assert!(upload.write(more()).await.is_err());
    assert!(upload.finish().await.is_err());
    files.settled().await;
    assert_eq!(files.n_files(), 1);
}

#[actix_web::test]
async fn removing_twice_is_as_good_as_once() {
    let files = Temporary::new();
    let (key, _) = files.store(b"bytes").await;
    files.remove(&key).await.unwrap();
    files.remove(&key).await.unwrap();
    assert!(matches!(files.read(&key, None).await, Err(FilesError::Missing)));
    assert_eq!(files.n_files(), 0);
}

#[actix_web::test]
async fn no_key_leads_out_of_the_folder() {
    let files = Temporary::new();
    let secret = files.folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    for key in
        ["../secret", "ab/../../secret", "..%2fsecret", &secret.to_string_lossy(), "", "/", "ab", "a\0b"]
    {
        assert!(files.read(key, None).await.is_err(), "{key}");
        let _refused_or_nothing_there = files.remove(key).await;
    }
    assert!(secret.exists());
}

#[actix_web::test]
async fn what_a_crash_left_is_swept_when_it_is_old() {
    let files = Temporary::new();
    let (key, _) = files.store(b"whole").await;
    // As the store itself names it: what is taken beyond the first part shows that it was begun.
    let mut upload = files.begin("ab/cd");
    upload.write(noise(PART + (PIECES + 2) * PIECE).into()).await.unwrap();
    assert_eq!(files.n_files(), 2);
    fs::create_dir_all(files.folder().join("files/ef")).unwrap();
    fs::write(files.folder().join("files/ef/gh#12"), "cut").unwrap();
    fs::write(files.folder().join("files/ef/gh#x"), "no such name is ours").unwrap();
    assert_eq!(files.sweep_partial(Duration::from_secs(60)).await.unwrap(), 0);
    assert_eq!(files.sweep_partial(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(files.n_files(), 2);
    assert_eq!(read(&files, &key, None).await, b"whole");
    assert!(upload.finish().await.is_err());
}

#[tokio::test]
async fn addresses() {
    let folder = tempfile::tempdir().unwrap();
    let open = |url: &str| Files::open(url, &folder.path().join("default"), Handle::current());
    open("").unwrap();
    assert!(folder.path().join("default").is_dir());
    let url = format!("file://{}/a%20b/c", folder.path().display());
    open(&url).unwrap();
    assert!(folder.path().join("a b/c").is_dir());
    fs::write(folder.path().join("file"), "no folder").unwrap();
    let file = format!("file://{}/file", folder.path().display());
    for url in ["attachments", "/var/files", "http://x/y", "file://host/x", "s3:", &file] {
        assert!(matches!(open(url), Err(FilesError::Address(_))), "{url}");
    }
    let refusal = open("s3://bucket/a/prefix").err().map(|error| error.to_string());
    let names_the_feature = refusal.is_some_and(|sentence| sentence.contains("cargo feature `s3`"));
    assert_eq!(names_the_feature, cfg!(not(feature = "s3")));
}
