//! Who is told of what somebody does, and who knows whom.

use switchboard_protocol::{Role, Target, Timestamp, UserId};
use switchboard_store::{Audience, OwnAct, Store};

use crate::kit::{account, leave, make_group, send, set_own};

async fn block(store: &Store, user: i64, other: i64) -> anyhow::Result<()> {
    set_own(store, user, OwnAct::Block { user: UserId(other), is_blocked: true, only_in_groups: false }).await
}

pub(super) async fn who_hears_of_what_one_does(store: Store) -> anyhow::Result<()> {
    let class = [(UserId(1), Role::Owner), (UserId(2), Role::Member)];
    assert!(store.import_group("class", &class).await?.is_ok());
    let group = make_group(&store, 1, "Us", &[2, 3, 4]).await?;
    leave(&store, 4, group).await?;
    send(&store, 1, 5, "direct").await?;
    send(&store, 1, 2, "direct").await?;
    send(&store, 1, 1, "note").await?;
    let reader = account(&store, 1).await?;
    let talks = store.conversations(&reader, None, None, 10).await?;
    let [own, with_2, with_5, _] = [0, 1, 2, 3].map(|n| talks[n].conversation);
    let check = async |user: i64, to: Target, only_in_groups: bool, expected: Option<(_, &[i64])>| {
        let mut mailboxes = Vec::new();
        for other in expected.map_or(&[][..], |(_, others)| others) {
            mailboxes.push(account(&store, *other).await?.mailbox);
        }
        let expected = expected.map(|(conversation, _)| Audience { conversation, mailboxes });
        assert_eq!(store.audience(UserId(user), to, only_in_groups).await?, expected, "{user} to {to:?}");
        anyhow::Ok(())
    };
    let of = |user| Target::User(UserId(user));
    check(1, group.into(), true, Some((group, &[2, 3]))).await?;
    check(4, group.into(), false, None).await?;
    check(5, group.into(), false, None).await?;
    check(1, of(2), true, Some((with_2, &[2]))).await?;
    check(2, with_2.into(), true, Some((with_2, &[1]))).await?;
    check(1, of(5), false, Some((with_5, &[5]))).await?;
    check(1, of(5), true, None).await?;
    check(5, with_5.into(), true, None).await?;
    check(1, of(1), true, Some((own, &[]))).await?;
    check(1, own.into(), true, Some((own, &[]))).await?;
    // Nothing was ever said between them.
    check(1, of(3), false, None).await?;
    block(&store, 2, 1).await?;
    check(1, of(2), false, None).await?;
    check(1, with_2.into(), false, None).await?;
    check(2, of(1), false, Some((with_2, &[1]))).await?;
    check(1, group.into(), false, Some((group, &[3]))).await?;
    check(2, group.into(), false, Some((group, &[1, 3]))).await?;
    store.disable_user("user5").await?;
    check(1, of(5), false, None).await
}

pub(super) async fn who_knows_whom(store: Store) -> anyhow::Result<()> {
    let group = make_group(&store, 1, "Us", &[2, 3]).await?;
    send(&store, 4, 1, "direct").await?;
    let others: Vec<_> = (2..=6).map(UserId).collect();
    let known = async |user: i64| {
        let found = store.acquaintances(UserId(user), &others).await?;
        anyhow::Ok(found.into_iter().map(|user| user.0).collect::<Vec<_>>())
    };
    assert_eq!(known(1).await?, [2, 3, 4]);
    assert_eq!(known(5).await?, [0_i64; 0]);
    block(&store, 2, 1).await?;
    block(&store, 1, 4).await?;
    assert_eq!(known(1).await?, [3, 4]);
    leave(&store, 3, group).await?;
    assert_eq!(known(1).await?, [4]);
    let blocked = store.blocked(UserId(1)).await?;
    assert_eq!(blocked.iter().map(|person| person.username.as_str()).collect::<Vec<_>>(), ["user4"]);
    assert_eq!(store.blocked(UserId(3)).await?, []);

    let begun = store.clock().await?.unwrap_or_else(Timestamp::now);
    store.note_seen(&[UserId(1), UserId(3)]).await?;
    let seen = store.last_seen(&[UserId(1), UserId(2), UserId(3)]).await?;
    let ended = store.clock().await?.unwrap_or_else(Timestamp::now);
    assert_eq!((seen.len(), seen[&UserId(1)]), (2, seen[&UserId(3)]));
    assert!((begun..=ended).contains(&seen[&UserId(1)]));
    Ok(())
}
