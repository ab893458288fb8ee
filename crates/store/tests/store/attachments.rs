//! Files: who finds them, who may read them, and when their bytes can go.

use anyhow::Context;
use futures_util::FutureExt;
use switchboard_protocol::{AttachmentId, UserId};
use switchboard_store::{FileLabel, Outcome, Refusal, Store};

use crate::Test;
use crate::kit::{commit, delete, in_seconds, send_files, sending, upload};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("an_upload_is_found_by_its_uploader", |store| an_upload_is_found_by_its_uploader(store).boxed()),
    ("a_file_is_for_those_who_have_its_message", |store| a_file_is_for_those_who_have_it(store).boxed()),
    ("shared_bytes_stay_until_the_last_goes", |store| shared_bytes_stay_until_the_last_goes(store).boxed()),
    ("what_nobody_sends_is_let_go", |store| what_nobody_sends_is_let_go(store).boxed()),
];

fn ids(files: &[FileLabel]) -> Vec<AttachmentId> {
    files.iter().map(|file| file.id).collect()
}

async fn an_upload_is_found_by_its_uploader(store: Store) -> anyhow::Result<()> {
    let (one, two) = (upload(&store, 1, "one").await?, upload(&store, 1, "two").await?);
    assert_eq!((two.filename.as_str(), two.size, two.media_type.as_str()), ("two", 5, "image/png"));
    let theirs = upload(&store, 2, "theirs").await?;
    let coming = store.register_upload(UserId(1), "coming", "key", 100).await?.context("there is room")?;
    // What waits is counted, each user's by itself.
    assert_eq!(store.register_upload(UserId(1), "one more", "other", 1).await?, None);
    assert!(store.register_upload(UserId(2), "more of theirs", "third", 2).await?.is_some());
    let given_up = upload(&store, 1, "given up").await?;
    store.give_up_uploads(&[given_up.id]).await?;
    let asked = [two.id, coming, theirs.id, AttachmentId(99), one.id, given_up.id];
    assert_eq!(store.find_uploads(UserId(1), &asked).await?, [two, one]);
    assert_eq!(store.find_uploads(UserId(1), &[]).await?, []);
    store.give_up_uploads(&[coming]).await?;
    assert_eq!(store.finish_upload(coming, 1, "x", "y").await?, None);
    Ok(())
}

async fn a_file_is_for_those_who_have_it(store: Store) -> anyhow::Result<()> {
    let file = upload(&store, 1, "file").await?;
    check_readers(&store, &file, &[1]).await?;
    let coming = store.register_upload(UserId(1), "coming", "key", 100).await?.context("there is room")?;
    assert_eq!(store.find_attachment(coming, UserId(1)).await?, None);
    let message = send_files(&store, 1, 2, "with a file", vec![file.clone()]).await?;
    check_readers(&store, &file, &[1, 2]).await?;
    // A message has it: it can still be found, for the same request again, and it cannot be given up.
    store.give_up_uploads(&[file.id]).await?;
    assert_eq!(store.find_uploads(UserId(1), &[file.id]).await?, std::slice::from_ref(&file));
    delete(&store, 2, message).await?;
    check_readers(&store, &file, &[1]).await?;
    delete(&store, 1, message).await?;
    check_readers(&store, &file, &[]).await
}

async fn check_readers(store: &Store, file: &FileLabel, expected: &[i64]) -> anyhow::Result<()> {
    let mut readers = Vec::new();
    for user in 1..=5 {
        if let Some(found) = store.find_attachment(file.id, UserId(user)).await? {
            assert_eq!(
                (&found.filename, found.size, &found.media_type),
                (&file.filename, 5, &file.media_type)
            );
            assert_eq!(
                (found.sha256.as_str(), found.storage_key),
                ("abc", format!("key-of-{}", file.filename))
            );
            readers.push(user);
        }
    }
    assert_eq!(readers, expected);
    Ok(())
}

async fn shared_bytes_stay_until_the_last_goes(store: Store) -> anyhow::Result<()> {
    let files = vec![upload(&store, 1, "a").await?, upload(&store, 1, "b").await?];
    let asked = [files[1].id, AttachmentId(99), files[0].id];
    let sets = store.share_uploads(UserId(1), &asked, 2).await?;
    assert_eq!(sets.len(), 2);
    for set in &sets {
        assert_eq!(set.iter().map(|file| file.filename.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(store.find_uploads(UserId(1), &ids(set)).await?, *set);
    }
    assert_eq!(store.share_uploads(UserId(2), &asked, 2).await?, [vec![], vec![]], "they are not theirs");
    assert_eq!(store.share_uploads(UserId(1), &[], 1).await?, [vec![]]);
    let mut messages = Vec::new();
    for (recipient, set) in (2..).zip([files.clone(), sets[0].clone(), sets[1].clone()]) {
        messages.push(send_files(&store, 1, recipient, "to all", set).await?);
    }
    for message in messages {
        assert!(store.loose_files(in_seconds(60), 10).await?.is_empty());
        delete(&store, 1, message).await?;
    }
    assert_eq!(store.loose_files(in_seconds(-60), 10).await?, ["key-of-a", "key-of-b"]);
    assert_eq!(store.share_uploads(UserId(1), &asked, 1).await?, [vec![]], "nothing makes them live again");
    store.forget_file("key-of-a").await?;
    assert_eq!(store.loose_files(in_seconds(-60), 10).await?, ["key-of-b"]);
    Ok(())
}

async fn what_nobody_sends_is_let_go(store: Store) -> anyhow::Result<()> {
    let (waits, sent) = (upload(&store, 1, "waits").await?, upload(&store, 1, "sent").await?);
    store.register_upload(UserId(1), "coming", "key-of-coming", 100).await?;
    send_files(&store, 1, 2, "x", vec![sent.clone()]).await?;
    assert!(store.loose_files(in_seconds(-60), 10).await?.is_empty(), "they are young");
    assert_eq!(store.loose_files(in_seconds(60), 10).await?, ["key-of-coming", "key-of-waits"]);
    assert_eq!(store.find_attachment(waits.id, UserId(1)).await?, None);
    let outcomes = commit(&store, vec![sending(1, 2, "late", vec![waits])]).await?;
    assert_eq!(outcomes, [Outcome::Refused(Refusal::UnknownAttachment)]);
    for key in store.loose_files(in_seconds(60), 10).await? {
        store.forget_file(&key).await?;
    }
    store.forget_file("key-of-sent").await?;
    assert!(store.loose_files(in_seconds(60), 10).await?.is_empty());
    assert!(store.find_attachment(sent.id, UserId(2)).await?.is_some());
    Ok(())
}
