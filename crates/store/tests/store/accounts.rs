//! Accounts and what people come in with: what is found, what counts once, what ends, and who is told.

use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::join_all;
use switchboard_protocol::{Seq, Timestamp, UserId};
use switchboard_store::{Account, ApiKeyId, Import, NewAccount, NewTicket, Revocation, SessionId, Store};

use crate::kit::{account, in_seconds, send};
use crate::{PASSWORD_HASH, Test};

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("an_account_is_found_by_its_name", |store| an_account_is_found_by_its_name(store).boxed()),
    ("someone_from_outside_is_created_once", |store| someone_from_outside_is_created_once(store).boxed()),
    ("an_outside_name_that_is_taken_gets_an_end", |store| an_outside_name_that_is_taken(store).boxed()),
    ("a_session_needs_the_present_password", |store| a_session_needs_the_present_password(store).boxed()),
    ("a_session_ends", |store| a_session_ends(store).boxed()),
    ("a_ticket_counts_once", |store| a_ticket_counts_once(store).boxed()),
    ("a_ticket_counts_no_longer_than_its_credentials", |store| a_ticket_counts_no_longer(store).boxed()),
    ("an_api_key_acts_for_users_until_revoked", |store| an_api_key_acts_for_users(store).boxed()),
    ("a_disabled_user_loses_everything", |store| a_disabled_user_loses_everything(store).boxed()),
    ("an_imported_password_ends_what_was", |store| an_imported_password_ends_what_was(store).boxed()),
    ("a_new_password_spares_one_session", |store| a_new_password_spares_one_session(store).boxed()),
    ("revocations_are_paged", |store| revocations_are_paged(store).boxed()),
    ("a_change_that_nobody_waits_for_is_whole", |store| a_change_that_nobody_waits_for(store).boxed()),
];

fn new_account(username: &str) -> NewAccount {
    NewAccount { username: username.into(), full_name: "Some One".into(), password_hash: Some("phc".into()) }
}

fn ticket(token_hash: &str) -> NewTicket {
    NewTicket {
        token_hash: token_hash.into(),
        user: UserId(1),
        session: None,
        api_key: None,
        issued_at: in_seconds(-5),
        credentials_expire_at: in_seconds(60),
        expires_at: in_seconds(30),
    }
}

async fn revocations(store: &Store) -> anyhow::Result<Vec<Revocation>> {
    let revocations = store.revocations(Seq(0), 1000).await?;
    let seqs: Vec<_> = revocations.entries.iter().map(|(seq, _)| seq.0).collect();
    assert_eq!(seqs, (1..=revocations.last_seq.0).collect::<Vec<_>>());
    Ok(revocations.entries.into_iter().map(|(_, revocation)| revocation).collect())
}

async fn an_account_is_found_by_its_name(store: Store) -> anyhow::Result<()> {
    let created = store.create_account(new_account("ann")).await?.context("the name is free")?;
    assert_eq!(
        (created.id, created.full_name.as_str(), created.role.as_str()),
        (UserId(6), "Some One", "user")
    );
    assert_eq!(account(&store, 6).await?, created);
    assert_eq!(store.find_login("ann").await?, Some((created, Some("phc".into()))));
    assert_eq!(store.create_account(new_account("ann")).await?, None);
    assert_eq!(store.find_login("user1").await?.context("is there")?.1, Some(PASSWORD_HASH.into()));
    assert_eq!(store.find_login("Ann").await?, None);
    // It can be written to.
    send(&store, 1, 6, "welcome").await?;
    Ok(())
}

async fn someone_from_outside_is_created_once(store: Store) -> anyhow::Result<()> {
    for round in 0..8 {
        let subject = format!("issuer who{round}");
        let nodes = [store.clone(), store.clone(), store.clone()];
        let seen = join_all(nodes.iter().map(|node| node.account_of_external(&subject, "Who"))).await;
        let accounts: Vec<Account> = seen.into_iter().collect::<Result<_, _>>()?;
        assert!(accounts.iter().all(|account| *account == accounts[0]), "{accounts:?}");
        assert_eq!(accounts[0].username, format!("who{round}"));
        assert_eq!(store.find_external(&subject).await?.as_ref(), Some(&accounts[0]));
    }
    assert_eq!(store.all_users(UserId(1), false).await?.len(), 5 + 8);
    assert_eq!(store.find_external("issuer nobody").await?, None);
    Ok(())
}

async fn an_outside_name_that_is_taken(store: Store) -> anyhow::Result<()> {
    let outside = store.account_of_external("issuer user1", "Another").await?;
    assert!(outside.username.starts_with("user1-") && outside.id != UserId(1), "{outside:?}");
    // The subject decides who it is, and who is known is not renamed.
    assert_eq!(store.account_of_external("issuer user1", "Renamed").await?, outside);
    assert_ne!(store.account_of_external("other user1", "Another").await?.id, outside.id);
    Ok(())
}

async fn begin_session(
    store: &Store,
    user: UserId,
    token_hash: &str,
    expires_at: Timestamp,
) -> anyhow::Result<SessionId> {
    let session = store.create_session(user, PASSWORD_HASH, token_hash, expires_at).await?;
    session.context("they have this password")
}

/// Whoever compared a password that is not the present one, or of a user who is disabled since, is too late.
async fn a_session_needs_the_present_password(store: Store) -> anyhow::Result<()> {
    let begin = async |password| store.create_session(UserId(1), password, "hash", in_seconds(60)).await;
    assert_eq!(begin("another").await?, None);
    store.disable_user("user1").await?;
    assert_eq!(begin(PASSWORD_HASH).await?, None);
    store.enable_user("user1").await?;
    assert!(begin(PASSWORD_HASH).await?.is_some());
    Ok(())
}

async fn a_session_ends(store: Store) -> anyhow::Result<()> {
    let session = begin_session(&store, UserId(1), "hash", in_seconds(60)).await?;
    let expired = begin_session(&store, UserId(1), "expired", in_seconds(-1)).await?;
    let found = store.find_session("hash").await?.context("it lives")?;
    assert_eq!((found.id, &found.account), (session, &account(&store, 1).await?));
    assert_eq!(store.find_session("expired").await?, None);
    assert_eq!(store.find_session("other").await?, None);
    store.create_ticket(&NewTicket { session: Some(session), ..ticket("in-it") }).await?;
    store.create_ticket(&ticket("not-in-it")).await?;
    // It is nobody else's to end.
    store.end_session(session, UserId(2)).await?;
    assert!(store.find_session("hash").await?.is_some());
    store.end_session(session, UserId(1)).await?;
    store.end_session(session, UserId(1)).await?;
    assert_eq!(store.find_session("hash").await?, None);
    assert_eq!(store.redeem_ticket("in-it").await?, None);
    assert!(store.redeem_ticket("not-in-it").await?.is_some());
    assert_eq!(revocations(&store).await?, [Revocation::Session { user: UserId(1), session }]);
    store.forget_expired().await?;
    store.end_session(expired, UserId(1)).await?;
    assert_eq!(revocations(&store).await?.len(), 1, "what was forgotten is not ended again");
    Ok(())
}

async fn a_ticket_counts_once(store: Store) -> anyhow::Result<()> {
    for round in 0..10 {
        let hash = format!("ticket{round}");
        let created = ticket(&hash);
        store.create_ticket(&created).await?;
        let redeemers = (0..3).map(|_| {
            let (store, hash) = (store.clone(), hash.clone());
            tokio::spawn(async move { store.redeem_ticket(&hash).await })
        });
        let mut redeemed = Vec::new();
        for redeemer in join_all(redeemers).await {
            redeemed.extend(redeemer??);
        }
        assert_eq!(redeemed.len(), 1);
        assert_eq!(redeemed[0].account, account(&store, 1).await?);
        assert_eq!((redeemed[0].session, redeemed[0].api_key), (None, None));
        assert_eq!(redeemed[0].issued_at, created.issued_at);
        assert_eq!(redeemed[0].credentials_expire_at, created.credentials_expire_at);
    }
    Ok(())
}

async fn a_ticket_counts_no_longer(store: Store) -> anyhow::Result<()> {
    let session = begin_session(&store, UserId(1), "hash", in_seconds(60)).await?;
    let key = store.create_api_key("robot", "key").await?.context("the name is free")?;
    let tickets = [
        (NewTicket { expires_at: in_seconds(-1), ..ticket("ended") }, false),
        (NewTicket { credentials_expire_at: in_seconds(-1), ..ticket("ended credentials") }, false),
        (NewTicket { session: Some(SessionId(99)), ..ticket("session that never was") }, false),
        (NewTicket { api_key: Some(ApiKeyId(99)), ..ticket("key that never was") }, false),
        (NewTicket { user: UserId(99), ..ticket("user that never was") }, false),
        (NewTicket { session: Some(session), ..ticket("session") }, true),
        (NewTicket { api_key: Some(key), ..ticket("key") }, true),
    ];
    for (ticket, counts) in &tickets {
        store.create_ticket(ticket).await?;
        let redeemed = store.redeem_ticket(&ticket.token_hash).await?;
        assert_eq!(redeemed.is_some(), *counts, "{}", ticket.token_hash);
        if let Some(redeemed) = redeemed {
            assert_eq!((redeemed.session, redeemed.api_key), (ticket.session, ticket.api_key));
        }
    }
    store.create_ticket(&NewTicket { api_key: Some(key), ..ticket("revoked key") }).await?;
    assert!(store.revoke_api_key("robot").await?);
    assert_eq!(store.redeem_ticket("revoked key").await?, None);
    Ok(())
}

async fn an_api_key_acts_for_users(store: Store) -> anyhow::Result<()> {
    let key = store.create_api_key("robot", "hash").await?.context("the name is free")?;
    assert_eq!(store.create_api_key("robot", "other").await?, None);
    assert_eq!(store.find_by_api_key("hash", UserId(2)).await?, Some((key, account(&store, 2).await?)));
    assert_eq!(store.find_by_api_key("hash", UserId(99)).await?, None);
    assert_eq!(store.find_by_api_key("other", UserId(2)).await?, None);
    assert!(store.revoke_api_key("robot").await?);
    assert!(!store.revoke_api_key("robot").await? && !store.revoke_api_key("nobody").await?);
    assert_eq!(store.find_by_api_key("hash", UserId(2)).await?, None);
    let listed = store.list_api_keys().await?;
    assert_eq!((listed.len(), listed[0].id, listed[0].name.as_str()), (1, key, "robot"));
    assert!(listed[0].revoked_at >= Some(listed[0].created_at));
    assert_eq!(revocations(&store).await?, [Revocation::ApiKey(key)]);
    Ok(())
}

async fn a_disabled_user_loses_everything(store: Store) -> anyhow::Result<()> {
    let session = begin_session(&store, UserId(1), "hash", in_seconds(60)).await?;
    begin_session(&store, UserId(2), "other", in_seconds(60)).await?;
    store.create_ticket(&NewTicket { session: Some(session), ..ticket("ticket") }).await?;
    store.create_ticket(&ticket("of a token")).await?;
    let before = account(&store, 1).await?;
    assert_eq!(store.disable_user("nobody").await?, None);
    assert_eq!(store.disable_user("user1").await?, Some(UserId(1)));
    let disabled = account(&store, 1).await?;
    assert!(disabled.disabled && disabled.tokens_valid_from > before.tokens_valid_from);
    assert_eq!(store.find_session("hash").await?, None);
    assert_eq!(store.redeem_ticket("ticket").await?, None);
    assert_eq!(store.redeem_ticket("of a token").await?, None);
    assert!(store.find_session("other").await?.is_some());
    assert!(store.all_users(UserId(2), false).await?.iter().all(|(person, _)| person.id != UserId(1)));
    assert_eq!(store.disable_user("user2").await?, Some(UserId(2)));
    let ended = [Revocation::User(UserId(1)), Revocation::User(UserId(2))];
    assert_eq!(revocations(&store).await?, ended);
    assert_eq!(store.enable_user("user1").await?, Some(UserId(1)));
    assert_eq!(store.enable_user("nobody").await?, None);
    let enabled = account(&store, 1).await?;
    assert_eq!((enabled.disabled, enabled.tokens_valid_from), (false, disabled.tokens_valid_from));
    Ok(())
}

async fn a_new_password_spares_one_session(store: Store) -> anyhow::Result<()> {
    let user = UserId(1);
    let spared = begin_session(&store, user, "spared", in_seconds(60)).await?;
    begin_session(&store, user, "ended", in_seconds(60)).await?;
    begin_session(&store, UserId(2), "of another", in_seconds(60)).await?;
    store.create_ticket(&NewTicket { session: Some(spared), ..ticket("in-it") }).await?;
    store.create_ticket(&ticket("of a token")).await?;
    let before = account(&store, 1).await?;
    assert!(!store.change_password(user, ("another", "new"), Some(spared)).await?);
    assert_eq!((account(&store, 1).await?, revocations(&store).await?), (before.clone(), Vec::new()));
    assert!(store.change_password(user, (PASSWORD_HASH, "new"), Some(spared)).await?);
    assert_eq!(store.find_login("user1").await?.context("is there")?.1, Some("new".into()));
    assert!(account(&store, 1).await?.tokens_valid_from > before.tokens_valid_from);
    assert!(store.find_session("spared").await?.is_some() && store.redeem_ticket("in-it").await?.is_some());
    assert_eq!((store.find_session("ended").await?, store.redeem_ticket("of a token").await?), (None, None));
    assert!(store.find_session("of another").await?.is_some());
    // Without one to be spared, none is.
    assert!(store.change_password(user, ("new", "newer"), None).await?);
    assert_eq!(store.find_session("spared").await?, None);
    assert_eq!(
        revocations(&store).await?,
        [Revocation::Others { user, session: spared }, Revocation::User(user)]
    );
    store.disable_user("user1").await?;
    assert!(!store.change_password(user, ("newer", "newest"), None).await?);
    store.rename_user(UserId(2), "Bob").await?;
    let renamed = account(&store, 2).await?;
    assert_eq!((renamed.full_name.as_str(), renamed.has_password), ("Bob", true));
    assert!(!store.account_of_external("issuer who", "").await?.has_password);
    Ok(())
}

async fn an_imported_password_ends_what_was(store: Store) -> anyhow::Result<()> {
    begin_session(&store, UserId(1), "one", in_seconds(60)).await?;
    begin_session(&store, UserId(2), "two", in_seconds(60)).await?;
    let import = |username: &str, hash: Option<&str>| Import {
        username: username.into(),
        full_name: "New Name".into(),
        password_hash: hash.map(str::to_owned),
    };
    let users = vec![import("user1", Some("new")), import("user2", None), import("newcomer", Some("first"))];
    let ids = store.import_users(users).await?;
    assert_eq!((ids.len(), &ids[..2]), (3, &[UserId(1), UserId(2)][..]));
    let mut hashes = Vec::new();
    for name in ["user1", "user2", "newcomer"] {
        let (account, hash) = store.find_login(name).await?.context("is there")?;
        assert_eq!(account.full_name, "New Name");
        hashes.push(hash);
    }
    assert_eq!(hashes, ["new", PASSWORD_HASH, "first"].map(|hash| Some(hash.to_owned())));
    assert!(store.find_session("one").await?.is_none() && store.find_session("two").await?.is_some());
    assert_eq!(revocations(&store).await?, [Revocation::User(UserId(1))]);
    assert!(account(&store, 1).await?.tokens_valid_from > account(&store, 2).await?.tokens_valid_from);
    // None leaves it as it is.
    store.import_users(vec![import("user1", None)]).await?;
    assert_eq!(store.find_login("user1").await?.context("is there")?.1, Some("new".into()));
    Ok(())
}

async fn revocations_are_paged(store: Store) -> anyhow::Result<()> {
    let none = store.revocations(Seq(0), 10).await?;
    assert_eq!((none.last_seq, none.entries.len()), (Seq(0), 0));
    // Those that are made at once have an order too.
    let names: Vec<_> = (1..=5).map(|n| format!("user{n}")).collect();
    for outcome in join_all(names.iter().map(|name| store.disable_user(name))).await {
        assert!(outcome?.is_some());
    }
    assert_eq!(revocations(&store).await?.len(), 5);
    let first = store.revocations(Seq(0), 3).await?;
    assert_eq!((first.last_seq, first.entries.len()), (Seq(3), 3));
    let second = store.revocations(first.last_seq, 3).await?;
    assert_eq!((second.last_seq, second.entries[0].0, second.entries.len()), (Seq(5), Seq(4), 2));
    assert_eq!(store.revocations(Seq(i64::MAX), 3).await?.last_seq, Seq(5));
    // What is old is forgotten, and what comes then goes on from it.
    store.forget_revocations(in_seconds(-60)).await?;
    assert_eq!(revocations(&store).await?.len(), 5);
    store.forget_revocations(in_seconds(60)).await?;
    store.forget_revocations(in_seconds(60)).await?;
    let none = store.revocations(Seq(0), 10).await?;
    assert_eq!((none.last_seq, none.entries.len()), (Seq(5), 0));
    store.disable_user("user1").await?;
    assert_eq!(store.revocations(Seq(5), 10).await?.entries, [(Seq(6), Revocation::User(UserId(1)))]);
    Ok(())
}

/// Requests are dropped where they stand. What they began is done or undone, and keeps nobody waiting.
async fn a_change_that_nobody_waits_for(store: Store) -> anyhow::Result<()> {
    let mut dropped = 0;
    for n in 0..60 {
        let name = format!("hasty{n}");
        let creation = store.create_account(new_account(&name));
        if tokio::time::timeout(Duration::from_micros(n * 60), creation).await.is_ok() {
            continue;
        }
        dropped += 1;
        // What a name is taken by has a mailbox. A commit may still be on its way to the server.
        let taken = store.create_account(new_account(&name)).await?.is_none();
        assert!(!taken || store.find_login(&name).await?.is_some(), "{name} is half there");
    }
    assert!(dropped > 0);
    send(&store, 1, 2, "nothing is locked").await?;
    Ok(())
}
