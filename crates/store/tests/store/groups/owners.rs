//! Who owns a group while accounts are disabled, what is done to oneself twice, and how many groups one is in.

use switchboard_protocol::limits::{BLOCKS, GROUPS};
use switchboard_protocol::{GroupChange, Role, Seq, UserId};
use switchboard_store::{Event, Import, Outcome, Refusal, Store};

use super::{
    add, block, change, create, entries, make, outcome, owners, read_back, refused, remove, set_role,
    set_title,
};
use crate::kit::{account, commit};

/// As after an answer that was lost.
pub(super) async fn what_one_did_to_oneself_is_repeated(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2, 3]).await?;
    let left = entries(&store, remove(2, group, 2)).await?;
    entries(&store, create(2, &[], "another")).await?;
    let Outcome::Repeated(again) = outcome(&store, remove(2, group, 2)).await? else { panic!("not again") };
    assert_eq!(again.event, left[0].event);
    assert_eq!(again.seq, account(&store, 2).await?.last_seq, "the present end");
    // Only that: the rest is nothing of theirs, nor is it once another took them out.
    refused(&store, remove(2, group, 1), Refusal::NotFound).await?;
    refused(&store, set_role(2, group, 2, Role::Member), Refusal::NotFound).await?;
    entries(&store, add(1, group, &[2])).await?;
    entries(&store, remove(1, group, 2)).await?;
    refused(&store, remove(2, group, 2), Refusal::NotFound).await?;
    refused(&store, remove(4, group, 4), Refusal::NotFound).await?;
    // Who gave their role away has the one that they ask for.
    entries(&store, set_role(1, group, 3, Role::Owner)).await?;
    let given = entries(&store, set_role(1, group, 1, Role::Member)).await?;
    let Outcome::Repeated(again) = outcome(&store, set_role(1, group, 1, Role::Member)).await? else {
        panic!("not again")
    };
    assert_eq!((&again.event, again.seq), (&given[0].event, given[0].seq));
    refused(&store, set_role(1, group, 3, Role::Owner), Refusal::NotOwner).await?;
    refused(&store, set_role(1, group, 1, Role::Owner), Refusal::NotOwner).await
}

pub(super) async fn who_is_disabled_owns_nothing(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 5, &[1]).await?;
    entries(&store, add(5, group, &[2, 3])).await?;
    store.disable_user("user1").await?;
    let left = entries(&store, remove(5, group, 5)).await?;
    let inherits = GroupChange::Role { user_id: UserId(2), role: Role::Owner };
    assert_eq!(change(left.last().expect("an entry")), &inherits, "the eldest who can come in");
    read_back(&store, &left).await?;
    // An owner who cannot come in is none.
    entries(&store, set_role(2, group, 1, Role::Owner)).await?;
    refused(&store, set_role(2, group, 2, Role::Member), Refusal::NotOwner).await?;
    entries(&store, set_role(2, group, 1, Role::Member)).await?;
    entries(&store, set_role(2, group, 1, Role::Owner)).await?;
    let left = entries(&store, remove(2, group, 2)).await?;
    let inherits = GroupChange::Role { user_id: UserId(3), role: Role::Owner };
    assert_eq!(change(left.last().expect("an entry")), &inherits);
    assert_eq!(owners(&store, &left).await?, [2, 1, 1, 3, 3]);
    // Whoever goes: then too it is seen whether there is still one.
    entries(&store, add(3, group, &[4, 5])).await?;
    store.disable_user("user3").await?;
    let left = entries(&store, remove(5, group, 5)).await?;
    let inherits = GroupChange::Role { user_id: UserId(4), role: Role::Owner };
    assert_eq!(change(left.last().expect("an entry")), &inherits);
    // Where nobody can come in, it has an owner all the same.
    entries(&store, set_role(4, group, 3, Role::Member)).await?;
    entries(&store, set_role(4, group, 1, Role::Member)).await?;
    let left = entries(&store, remove(4, group, 4)).await?;
    let inherits = GroupChange::Role { user_id: UserId(1), role: Role::Owner };
    assert_eq!(change(left.last().expect("an entry")), &inherits);
    Ok(())
}

pub(super) async fn an_import_makes_members_owners(store: Store) -> anyhow::Result<()> {
    let import = async |members: &[(i64, Role)]| {
        let members: Vec<_> = members.iter().map(|(user, role)| (UserId(*user), *role)).collect();
        store.import_group("class", &members).await
    };
    let group = import(&[(1, Role::Owner), (2, Role::Member)]).await?.expect("a group");
    store.disable_user("user1").await?;
    assert_eq!(import(&[(2, Role::Owner), (1, Role::Member)]).await?, Ok(group));
    let log = store.page(account(&store, 2).await?.mailbox, Seq(1), 9).await?;
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(change(&log[0]), &GroupChange::Role { user_id: UserId(2), role: Role::Owner });
    entries(&store, set_title(2, group, "theirs")).await?;
    // Where no owner can come in and none is named, the first of those who come is one.
    store.disable_user("user2").await?;
    assert_eq!(import(&[(3, Role::Member), (4, Role::Member)]).await?, Ok(group));
    entries(&store, set_title(3, group, "again")).await.map(|_| ())
}

pub(super) async fn one_is_in_so_many_groups(store: Store) -> anyhow::Result<()> {
    let makes = (0..GROUPS).map(|n| create(1, &[], &n.to_string())).collect();
    let made = commit(&store, makes).await?;
    assert!(made.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))));
    refused(&store, create(1, &[], "one more"), Refusal::TooManyGroups).await?;
    assert!(matches!(outcome(&store, create(1, &[], "7")).await?, Outcome::Repeated(_)));
    refused(&store, create(2, &[1, 3], "theirs"), Refusal::TooManyGroups).await?;
    let group = make(&store, 2, &[]).await?;
    refused(&store, add(2, group, &[3, 1]), Refusal::TooManyGroups).await?;
    assert_eq!(account(&store, 3).await?.last_seq.0, 0, "nobody is added");
    let members = [(UserId(4), Role::Owner), (UserId(1), Role::Member)];
    assert_eq!(store.import_group("class", &members).await?, Err(Refusal::TooManyGroups));
    let Outcome::Committed(first) = &made[0] else { panic!("{:?}", made[0]) };
    let Event::Group { group: left, .. } = first[0].event else { panic!("{first:?}") };
    entries(&store, remove(1, left, 1)).await?;
    entries(&store, add(2, group, &[3, 1])).await.map(|_| ())
}

pub(super) async fn one_blocks_so_many(store: Store) -> anyhow::Result<()> {
    let import = |n| Import { username: format!("more{n}"), full_name: String::new(), password_hash: None };
    let more = store.import_users((0..=BLOCKS).map(import).collect()).await?;
    let (last, rest) = more.split_last().expect("some");
    let blocked = commit(&store, rest.iter().map(|user| block(1, user.0, true)).collect()).await?;
    assert!(blocked.iter().all(|outcome| matches!(outcome, Outcome::Committed(_))));
    refused(&store, block(1, last.0, true), Refusal::TooManyBlocks).await?;
    assert!(matches!(outcome(&store, block(1, rest[0].0, true)).await?, Outcome::Repeated(_)));
    entries(&store, block(1, rest[0].0, false)).await?;
    entries(&store, block(1, last.0, true)).await.map(|_| ())
}
