use super::*;

fn revocations() -> Arc<Revocations> {
    Arc::new(Revocations { state: Mutex::default(), read_at: watch::Sender::new(Instant::now()) })
}

const SESSION: Credential = Credential::Session(SessionId(7));

fn admission(user: i64, credential: Credential) -> Admission {
    Admission { user: UserId(user), credential, valid_from: Timestamp(5) }
}

fn ended(revocation: Revocation, valid_from: Option<i64>) -> Ended {
    Ended { revocation, valid_from: valid_from.map(Timestamp) }
}

#[tokio::test]
async fn each_revocation_ends_what_it_names() {
    let log_out = Revocation::Session { user: UserId(1), session: SessionId(7) };
    let user = Revocation::User(UserId(1));
    let others = Revocation::Others { user: UserId(1), session: SessionId(7) };
    for (revocation, valid_from, expect) in [
        (log_out, None, [true, false, false, false]),
        (user, None, [true, true, true, false]),
        (user, Some(6), [true, true, true, false]),
        (user, Some(4), [true, true, true, false]),
        (user, Some(5), [false, false, false, false]),
        (others, Some(6), [false, true, true, false]),
        (others, Some(5), [false, false, false, false]),
        (Revocation::ApiKey(ApiKeyId(3)), None, [false, false, true, true]),
    ] {
        let revocations = revocations();
        let key = Credential::ApiKey(ApiKeyId(3));
        let sessions = [(1, SESSION), (1, Credential::Token(Timestamp(0))), (1, key), (2, key)];
        let leases = sessions.map(|(user, credential)| {
            revocations.register(admission(user, credential), revocations.cursor())
        });
        revocations.apply(Seq(1), vec![(Seq(1), ended(revocation, valid_from))]);
        let are_ended = leases.each_ref().map(|lease| lease.ended.is_cancelled());
        assert_eq!(are_ended, expect, "{revocation:?} {valid_from:?}");
        drop(leases);
        assert!(revocations.lock().live.is_empty());
    }
}

#[tokio::test]
async fn who_comes_in_meanwhile_is_not_missed() {
    let revocations = revocations();
    let since = revocations.cursor();
    revocations.apply(Seq(1), vec![(Seq(1), ended(Revocation::User(UserId(1)), None))]);
    revocations.apply(Seq(2), vec![(Seq(2), ended(Revocation::User(UserId(3)), Some(5)))]);
    let is_ended = |user, since| revocations.register(admission(user, SESSION), since).ended.is_cancelled();
    assert_eq!((is_ended(1, since), is_ended(2, since), is_ended(1, Seq(1))), (true, false, false));
    assert!(!is_ended(3, since), "they were let in after it");
    let many = (3..=1_100).map(|seq| (Seq(seq), ended(Revocation::User(UserId(9)), None)));
    revocations.apply(Seq(1_100), many.collect());
    assert!(is_ended(2, since), "what it would have to be compared with is forgotten");
    assert!(!is_ended(2, Seq(1_000)));
}

#[tokio::test]
async fn after_what_was_missed_nobody_is_in() {
    let revocations = revocations();
    let since = revocations.cursor();
    let lease = revocations.register(admission(1, SESSION), since);
    revocations.lock().end_all();
    revocations.apply(Seq(9), Vec::new());
    assert!(lease.ended.is_cancelled());
    assert!(
        revocations.register(admission(2, SESSION), since).ended.is_cancelled(),
        "they were let in before"
    );
    assert!(!revocations.register(admission(2, SESSION), Seq(9)).ended.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn an_old_reading_holds_up_what_is_handed_over() {
    let revocations = revocations();
    let lease = revocations.register(admission(1, SESSION), Seq(0));
    lease.fresh().await;
    tokio::time::advance(STALE).await;
    assert!(tokio::time::timeout(PERIOD, lease.fresh()).await.is_err());
    revocations.read_at.send_replace(Instant::now());
    lease.fresh().await;
}
