//! Groups, and what is a user's own: what each act makes, what is refused, what a repeat answers, and races.

mod owners;
mod policy;

use anyhow::{Context, ensure};
use futures_util::FutureExt;
use switchboard_protocol::Member;
use switchboard_protocol::limits::GROUP_MEMBERS;
use switchboard_protocol::{
    ConversationId, ConversationSettings, GroupChange, MessageId, Role, Seq, Target, UserId,
};
use switchboard_store::{
    BlockChange, Command, Entry, Event, GroupAct, Import, Outcome, OwnAct, ReceiptsChange, Refusal,
    SendCommand, Store,
};

use crate::Test;
use crate::commands::deadline;
use crate::kit::{account, commit};
use policy::strictly;

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("a_group_is_made_once", |store| a_group_is_made_once(store).boxed()),
    ("members_learn_what_changes", |store| members_learn_what_changes(store).boxed()),
    ("a_change_that_changes_nothing", |store| a_change_that_changes_nothing(store).boxed()),
    ("who_may_not_is_refused", |store| who_may_not_is_refused(store).boxed()),
    ("who_leaves_has_nothing_unread", |store| who_leaves_has_nothing_unread(store).boxed()),
    ("who_comes_back_begins_anew", |store| who_comes_back_begins_anew(store).boxed()),
    ("the_eldest_inherits", |store| the_eldest_inherits(store).boxed()),
    ("a_group_has_room_for_a_hundred", |store| a_group_has_room_for_a_hundred(store).boxed()),
    ("who_blocked_one_is_not_added", |store| who_blocked_one_is_not_added(store).boxed()),
    ("only_who_shares_a_group_is_added", |store| only_who_shares_a_group_is_added(store).boxed()),
    ("what_is_ones_own_is_set", |store| what_is_ones_own_is_set(store).boxed()),
    ("members_come_and_go_while_others_send", |store| members_come_and_go(store).boxed()),
    ("groups_are_made_by_import", |store| groups_are_made_by_import(store).boxed()),
    ("strangers_are_not_blocked", |store| policy::strangers_are_not_blocked(store).boxed()),
    ("only_groups_of_the_operator_count", |store| policy::only_groups_of_the_operator_count(store).boxed()),
    ("who_is_disabled_looks_like_who_blocks", |store| {
        policy::who_is_disabled_looks_like_who_blocks(store).boxed()
    }),
    ("what_one_did_to_oneself_is_repeated", |store| {
        owners::what_one_did_to_oneself_is_repeated(store).boxed()
    }),
    ("who_is_disabled_owns_nothing", |store| owners::who_is_disabled_owns_nothing(store).boxed()),
    ("an_import_makes_members_owners", |store| owners::an_import_makes_members_owners(store).boxed()),
    ("one_is_in_so_many_groups", |store| owners::one_is_in_so_many_groups(store).boxed()),
    ("one_blocks_so_many", |store| owners::one_blocks_so_many(store).boxed()),
];

fn ids(users: &[i64]) -> Vec<UserId> {
    users.iter().copied().map(UserId).collect()
}

fn by(actor: i64, act: GroupAct) -> Command {
    Command::Group { actor: UserId(actor), act, only_in_groups: false }
}

fn create(actor: i64, others: &[i64], name: &str) -> Command {
    let act = GroupAct::Create {
        title: format!("title of {name}"),
        members: ids(others),
        client_conversation_id: name.to_owned(),
    };
    by(actor, act)
}

fn add(actor: i64, group: ConversationId, users: &[i64]) -> Command {
    by(actor, GroupAct::Add { group, users: ids(users) })
}

fn remove(actor: i64, group: ConversationId, user: i64) -> Command {
    by(actor, GroupAct::Remove { group, user: UserId(user) })
}

fn set_role(actor: i64, group: ConversationId, user: i64, role: Role) -> Command {
    by(actor, GroupAct::Role { group, user: UserId(user), role })
}

fn set_title(actor: i64, group: ConversationId, title: &str) -> Command {
    by(actor, GroupAct::Title { group, title: title.to_owned() })
}

fn own(user: i64, act: OwnAct) -> Command {
    Command::Own { user: UserId(user), act }
}

fn block(user: i64, other: i64, is_blocked: bool) -> Command {
    own(user, OwnAct::Block { user: UserId(other), is_blocked, only_in_groups: false })
}

fn post(sender: i64, group: ConversationId, content: &str) -> Command {
    Command::Send(SendCommand {
        sender: UserId(sender),
        to: Target::Conversation(group),
        subject: String::new(),
        content: content.to_owned(),
        client_message_id: content.to_owned(),
        attachments: Vec::new(),
        reply_to: None,
        mentions: Vec::new(),
        only_in_groups: false,
    })
}

async fn outcome(store: &Store, command: Command) -> anyhow::Result<Outcome> {
    Ok(commit(store, vec![command]).await?.remove(0))
}

/// The entries of what must have been done.
async fn entries(store: &Store, command: Command) -> anyhow::Result<Vec<Entry>> {
    match outcome(store, command).await? {
        Outcome::Committed(entries) => Ok(entries),
        other => anyhow::bail!("not committed: {other:?}"),
    }
}

async fn refused(store: &Store, command: Command, refusal: Refusal) -> anyhow::Result<()> {
    let outcome = outcome(store, command.clone()).await?;
    ensure!(outcome == Outcome::Refused(refusal), "{command:?}: {outcome:?}");
    Ok(())
}

async fn make(store: &Store, owner: i64, others: &[i64]) -> anyhow::Result<ConversationId> {
    match &entries(store, create(owner, others, "made")).await?[0].event {
        Event::Group { group, .. } => Ok(*group),
        other => anyhow::bail!("no group: {other:?}"),
    }
}

async fn send(store: &Store, sender: i64, group: ConversationId, text: &str) -> anyhow::Result<MessageId> {
    match &entries(store, post(sender, group, text)).await?[0].event {
        Event::Sent(message) => Ok(message.id),
        other => anyhow::bail!("not sent: {other:?}"),
    }
}

fn change(entry: &Entry) -> &GroupChange {
    match &entry.event {
        Event::Group { change, .. } => change,
        other => panic!("no change of a group: {other:?}"),
    }
}

/// The users whose mailboxes the entries are in, the first first, the others by id.
async fn owners(store: &Store, entries: &[Entry]) -> anyhow::Result<Vec<i64>> {
    let mut owners = Vec::new();
    for user in 1..=5 {
        let mailbox = account(store, user).await?.mailbox;
        owners.extend(entries.iter().filter(|entry| entry.mailbox == mailbox).map(|_| user));
    }
    let first = account(store, owners[0]).await?.mailbox;
    if let Some(entry) = entries.first().filter(|entry| entry.mailbox != first) {
        for (place, user) in owners.clone().into_iter().enumerate() {
            if account(store, user).await?.mailbox == entry.mailbox {
                let user = owners.remove(place);
                owners.insert(0, user);
                break;
            }
        }
    }
    Ok(owners)
}

/// What was handed out is what is read back.
async fn read_back(store: &Store, entries: &[Entry]) -> anyhow::Result<()> {
    for entry in entries {
        let page = store.page(entry.mailbox, Seq(entry.seq.0 - 1), 1).await?;
        ensure!(page.first().is_some_and(|found| found.event == entry.event), "{entry:?}: {page:?}");
    }
    Ok(())
}

fn members(owners: &[i64], others: &[i64]) -> Vec<Member> {
    let member = |role| move |user: &i64| Member { user_id: UserId(*user), role };
    let mut members: Vec<_> = owners.iter().map(member(Role::Owner)).collect();
    members.extend(others.iter().map(member(Role::Member)));
    members.sort_by_key(|member| member.user_id);
    members
}

async fn a_group_is_made_once(store: Store) -> anyhow::Result<()> {
    let made = entries(&store, create(2, &[3, 1], "mine")).await?;
    assert_eq!(owners(&store, &made).await?, [2, 1, 3]);
    let joined = |name: Option<&str>| GroupChange::Joined {
        title: "title of mine".to_owned(),
        members: members(&[2], &[1, 3]),
        client_conversation_id: name.map(str::to_owned),
    };
    let changes: Vec<_> = made.iter().map(change).cloned().collect();
    assert_eq!(changes, [joined(Some("mine")), joined(None), joined(None)]);
    read_back(&store, &made).await?;
    // Whatever else is asked for under the same name; with the group as it is by now.
    let Event::Group { group, .. } = made[0].event else { panic!("{made:?}") };
    entries(&store, set_title(2, group, "another")).await?;
    let again = Command::Group {
        actor: UserId(2),
        act: GroupAct::Create {
            title: "x".to_owned(),
            members: ids(&[4711]),
            client_conversation_id: "mine".to_owned(),
        },
        only_in_groups: true,
    };
    let Outcome::Repeated(entry) = outcome(&store, again).await? else { panic!("it was made again") };
    assert_eq!((entry.seq, entry.mailbox), (Seq(2), made[0].mailbox));
    assert!(
        matches!(change(&entry), GroupChange::Joined { title, client_conversation_id: Some(name), .. } if title == "another" && name == "mine")
    );
    // Another's name is another's; one that the service gave is shown to nobody; one may be alone.
    let alone = entries(&store, create(1, &[], " generated")).await?;
    assert!(matches!(change(&alone[0]), GroupChange::Joined { client_conversation_id: None, .. }));
    assert_eq!(entries(&store, create(1, &[], "mine")).await?.len(), 1);
    // Who has left has no group of that name.
    entries(&store, remove(2, group, 2)).await?;
    refused(&store, create(2, &[], "mine"), Refusal::NotFound).await
}

async fn members_learn_what_changes(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 2, &[1]).await?;
    let added = entries(&store, add(2, group, &[4, 1, 3])).await?;
    assert_eq!(owners(&store, &added).await?, [2, 1, 3, 4]);
    let joined = GroupChange::Joined {
        title: "title of made".to_owned(),
        members: members(&[2], &[1, 3, 4]),
        client_conversation_id: None,
    };
    let news = GroupChange::Added { user_ids: ids(&[4, 3]) };
    let changes: Vec<_> = added.iter().map(change).collect();
    assert_eq!(changes, [&news, &news, &joined, &joined]);
    read_back(&store, &added).await?;
    let title = GroupChange::Titled { title: "Überschrift \"🙂\"".to_owned() };
    let role = GroupChange::Role { user_id: UserId(3), role: Role::Owner };
    let back = GroupChange::Role { user_id: UserId(2), role: Role::Member };
    let gone = GroupChange::Removed { user_id: UserId(2) };
    for (command, expect, first) in [
        (set_title(2, group, "Überschrift \"🙂\""), title, 2),
        (set_role(2, group, 3, Role::Owner), role, 2),
        (set_role(3, group, 2, Role::Member), back, 3),
        (remove(3, group, 2), gone, 3),
    ] {
        let actor = command.actor();
        let made = entries(&store, command).await?;
        let rest: Vec<_> = (1..=4).filter(|user| *user != first).collect();
        assert_eq!(owners(&store, &made).await?, [vec![first], rest].concat());
        for entry in &made {
            assert_eq!(entry.event, Event::Group { group, actor, change: expect.clone() });
        }
        read_back(&store, &made).await?;
    }
    // Who was taken out learns no more.
    assert_eq!(owners(&store, &entries(&store, set_title(3, group, "x")).await?).await?, [3, 1, 4]);
    Ok(())
}

/// As after an outcome that nobody learned: whoever asks again is told that it is so.
async fn a_change_that_changes_nothing(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2, 3]).await?;
    for command in [
        set_title(1, group, "new"),
        add(1, group, &[4]),
        set_role(1, group, 2, Role::Owner),
        remove(1, group, 3),
    ] {
        let first = entries(&store, command.clone()).await?.remove(0);
        send(&store, 2, group, &format!("{command:?}")).await?;
        let Outcome::Repeated(again) = outcome(&store, command.clone()).await? else {
            panic!("done again: {command:?}")
        };
        assert_eq!(again.event, first.event);
        assert_eq!(again.seq, first.seq.next(), "the present end, after what was sent");
        assert_eq!(again.unread, first.unread + 1, "the present count");
    }
    // The same at once, in one batch.
    let outcomes = commit(&store, vec![set_title(1, group, "x"), set_title(1, group, "x")]).await?;
    assert!(matches!(outcomes[..], [Outcome::Committed(_), Outcome::Repeated(_)]), "{outcomes:?}");
    Ok(())
}

async fn who_may_not_is_refused(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2]).await?;
    let nowhere = ConversationId(4711);
    let direct = match &entries(&store, direct(1, 2)).await?[0].event {
        Event::Sent(message) => message.conversation,
        other => panic!("{other:?}"),
    };
    store.disable_user("user5").await?;
    for user in [1, 2] {
        for group in [nowhere, direct] {
            refused(&store, set_title(user, group, "x"), Refusal::NotFound).await?;
            refused(&store, add(user, group, &[3]), Refusal::NotFound).await?;
            refused(&store, remove(user, group, user), Refusal::NotFound).await?;
            refused(&store, set_role(user, group, user, Role::Member), Refusal::NotFound).await?;
        }
    }
    for (actor, refusal) in [(3, Refusal::NotFound), (2, Refusal::NotOwner)] {
        refused(&store, set_title(actor, group, "x"), refusal).await?;
        refused(&store, add(actor, group, &[4]), refusal).await?;
        refused(&store, remove(actor, group, 1), refusal).await?;
        refused(&store, set_role(actor, group, actor, Role::Owner), refusal).await?;
        refused(&store, set_role(actor, group, 1, Role::Owner), refusal).await?;
    }
    refused(&store, remove(3, group, 3), Refusal::NotFound).await?;
    refused(&store, post(3, group, "x"), Refusal::NotFound).await?;
    refused(&store, set_role(1, group, 1, Role::Member), Refusal::NotOwner).await?;
    refused(&store, set_role(1, group, 3, Role::Owner), Refusal::NotFound).await?;
    // One who is not there, or not any more, spoils the others.
    for unknown in [4711, 5] {
        refused(&store, add(1, group, &[3, unknown]), Refusal::UnknownRecipient).await?;
        refused(&store, create(1, &[3, unknown], "other"), Refusal::UnknownRecipient).await?;
    }
    refused(&store, create(4711, &[1], "x"), Refusal::NotFound).await?;
    assert_eq!(account(&store, 3).await?.last_seq, Seq(0), "nothing was changed");
    assert_eq!(account(&store, 1).await?.last_seq, Seq(2));
    Ok(())
}

fn direct(sender: i64, recipient: i64) -> Command {
    let Command::Send(send) = post(sender, ConversationId(0), "direct") else { unreachable!() };
    Command::Send(SendCommand { to: Target::User(UserId(recipient)), ..send })
}

async fn who_leaves_has_nothing_unread(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2, 3]).await?;
    let read = send(&store, 1, group, "read").await?;
    entries(&store, Command::MarkRead { reader: UserId(2), messages: vec![read] }).await?;
    for text in ["a", "b", "c"] {
        send(&store, 3, group, text).await?;
    }
    entries(&store, direct(1, 2)).await?;
    assert_eq!(account(&store, 2).await?.unread, 4);
    let left = entries(&store, remove(2, group, 2)).await?;
    assert_eq!(owners(&store, &left).await?, [2, 1, 3]);
    let unread: Vec<_> = left.iter().map(|entry| entry.unread).collect();
    assert_eq!(unread, [1, 3, 1], "of each after it: what is direct stays");
    // What was said before cannot be read any more, nor does what is said now come.
    let late = send(&store, 1, group, "late").await?;
    for message in [read, late] {
        let again = Command::MarkRead { reader: UserId(2), messages: vec![message] };
        refused(&store, again, Refusal::NotFound).await?;
    }
    let Outcome::Repeated(again) = outcome(&store, remove(1, group, 2)).await? else { panic!("again") };
    assert_eq!(change(&again), &GroupChange::Removed { user_id: UserId(2) });
    assert_eq!(account(&store, 2).await?.last_seq, left[0].seq);
    Ok(())
}

async fn who_comes_back_begins_anew(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2]).await?;
    let unread = send(&store, 1, group, "not read").await?;
    entries(&store, remove(1, group, 2)).await?;
    entries(&store, add(1, group, &[2])).await?;
    assert_eq!(account(&store, 2).await?.unread, 0);
    let before = Command::MarkRead { reader: UserId(2), messages: vec![unread] };
    refused(&store, before, Refusal::NotFound).await?;
    let new = send(&store, 1, group, "new").await?;
    assert!(new > unread);
    assert_eq!(account(&store, 2).await?.unread, 1);
    let reader = account(&store, 2).await?;
    let history = store.history(&reader, group, None, 9).await?.context("a member")?;
    assert_eq!(history.iter().map(|message| message.id).collect::<Vec<_>>(), [new]);
    Ok(())
}

async fn the_eldest_inherits(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 5, &[4]).await?;
    entries(&store, add(5, group, &[1, 2])).await?;
    let left = entries(&store, remove(5, group, 5)).await?;
    assert_eq!(owners(&store, &left).await?, [5, 1, 1, 2, 2, 4, 4], "the new owner is news to who stays");
    let inherits = GroupChange::Role { user_id: UserId(4), role: Role::Owner };
    assert!(left[4..].iter().all(|entry| change(entry) == &inherits), "{left:?}");
    read_back(&store, &left).await?;
    // While another owner is there, nobody inherits; of those who came at once, the first.
    entries(&store, set_role(4, group, 2, Role::Owner)).await?;
    assert_eq!(entries(&store, remove(4, group, 4)).await?.len(), 3);
    entries(&store, add(2, group, &[3])).await?;
    let left = entries(&store, remove(2, group, 2)).await?;
    let last = left.last().context("entries")?;
    assert_eq!(change(last), &GroupChange::Role { user_id: UserId(1), role: Role::Owner });
    entries(&store, remove(1, group, 3)).await?;
    assert_eq!(entries(&store, remove(1, group, 1)).await?.len(), 1, "nobody is left");
    refused(&store, set_title(1, group, "x"), Refusal::NotFound).await
}

async fn a_group_has_room_for_a_hundred(store: Store) -> anyhow::Result<()> {
    let import = |n| Import { username: format!("more{n}"), full_name: String::new(), password_hash: None };
    let more = store.import_users((0..GROUP_MEMBERS).map(import).collect()).await?;
    let more: Vec<i64> = more.into_iter().map(|user| user.0).collect();
    refused(&store, create(1, &more, "too many"), Refusal::GroupFull).await?;
    let group = make(&store, 1, &more[..98]).await?;
    refused(&store, add(1, group, &more[98..]), Refusal::GroupFull).await?;
    // Those who are there already take no more room.
    let added = entries(&store, add(1, group, &more[..99])).await?;
    assert_eq!(added.len(), 100);
    assert_eq!(entries(&store, post(more[7], group, "to all")).await?.len(), 100);
    refused(&store, add(1, group, &[2]), Refusal::GroupFull).await?;
    entries(&store, remove(1, group, more[0])).await?;
    entries(&store, add(1, group, &[2])).await.map(|_| ())
}

async fn who_blocked_one_is_not_added(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[3]).await?;
    entries(&store, block(2, 1, true)).await?;
    entries(&store, block(3, 1, true)).await?;
    refused(&store, add(1, group, &[4, 2]), Refusal::UnknownRecipient).await?;
    refused(&store, create(1, &[2], "x"), Refusal::UnknownRecipient).await?;
    // Between members it does not matter, nor whom one has blocked oneself.
    let Outcome::Repeated(_) = outcome(&store, add(1, group, &[3])).await? else { panic!("added twice") };
    send(&store, 1, group, "x").await?;
    entries(&store, create(2, &[1], "of two")).await?;
    entries(&store, block(2, 1, false)).await?;
    assert_eq!(entries(&store, add(1, group, &[4, 2])).await?.len(), 4);
    Ok(())
}

async fn only_who_shares_a_group_is_added(store: Store) -> anyhow::Result<()> {
    let class = [1, 2, 3].map(|user| (UserId(user), Role::Member));
    let group = store.import_group("class", &class).await?.expect("a group");
    entries(&store, direct(2, 4)).await?;
    for strangers in [[4].as_slice(), &[3, 4]] {
        refused(&store, strictly(create(2, strangers, "x")), Refusal::UnknownRecipient).await?;
    }
    let other = match &entries(&store, strictly(create(2, &[3], "x"))).await?[0].event {
        Event::Group { group, .. } => *group,
        event => panic!("{event:?}"),
    };
    refused(&store, strictly(add(2, other, &[1, 5])), Refusal::UnknownRecipient).await?;
    entries(&store, strictly(add(2, other, &[1]))).await?;
    // Once the group that they shared is left, they are strangers.
    entries(&store, remove(3, group, 3)).await?;
    entries(&store, remove(3, other, 3)).await?;
    refused(&store, strictly(add(2, other, &[3])), Refusal::UnknownRecipient).await
}

async fn what_is_ones_own_is_set(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2]).await?;
    let conversation = |user, conversation, is_muted, draft: Option<&str>| {
        let draft = draft.map(str::to_owned);
        own(user, OwnAct::Conversation { conversation, is_muted, is_archived: None, draft })
    };
    let receipts = |send| own(2, OwnAct::Receipts { send });
    let event = |is_muted, draft: &str| Event::Conversation {
        conversation: group,
        settings: ConversationSettings { is_muted, is_archived: false, draft: draft.to_owned() },
    };
    let blocked = |is_blocked| Event::Block(BlockChange { user_id: UserId(5), is_blocked });
    let sends = |send_receipts| Event::Receipts(ReceiptsChange { send_receipts });
    for (command, is_new, expect) in [
        (conversation(2, group, Some(true), None), true, event(true, "")),
        (conversation(2, group, None, Some("ein \"Ä")), true, event(true, "ein \"Ä")),
        (conversation(2, group, Some(true), None), false, event(true, "ein \"Ä")),
        (conversation(2, group, None, None), false, event(true, "ein \"Ä")),
        (conversation(2, group, Some(false), Some("")), true, event(false, "")),
        (block(2, 5, false), false, blocked(false)),
        (block(2, 5, true), true, blocked(true)),
        (block(2, 5, true), false, blocked(true)),
        (block(2, 5, false), true, blocked(false)),
        (receipts(true), false, sends(true)),
        (receipts(false), true, sends(false)),
        (receipts(false), false, sends(false)),
    ] {
        let before = account(&store, 2).await?;
        let expect_at = |seq| Entry { mailbox: before.mailbox, seq, unread: before.unread, event: expect };
        match outcome(&store, command).await? {
            Outcome::Committed(made) if is_new => {
                assert_eq!(made, [expect_at(before.last_seq.next())]);
                read_back(&store, &made).await?;
            }
            Outcome::Repeated(entry) if !is_new => assert_eq!(entry, expect_at(before.last_seq)),
            other => panic!("{other:?}"),
        }
    }
    refused(&store, conversation(3, group, Some(true), None), Refusal::NotFound).await?;
    refused(&store, conversation(1, ConversationId(4711), None, None), Refusal::NotFound).await?;
    for nobody in [2, 4711] {
        refused(&store, block(2, nobody, true), Refusal::UnknownRecipient).await?;
    }
    // What was set goes with the membership.
    entries(&store, conversation(2, group, Some(true), Some("begun"))).await?;
    entries(&store, remove(2, group, 2)).await?;
    refused(&store, conversation(2, group, None, None), Refusal::NotFound).await?;
    entries(&store, add(1, group, &[2])).await?;
    let Outcome::Repeated(entry) = outcome(&store, conversation(2, group, None, None)).await? else {
        panic!("changed")
    };
    assert_eq!(entry.event, event(false, ""));
    Ok(())
}

/// Each with a writer of their own. What must hold then, the audit says: no gap, right counts, nothing for who is gone.
async fn members_come_and_go(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2, 3, 4, 5]).await?;
    let other = make(&store, 2, &[1, 3, 4, 5]).await?;
    let mut racers = tokio::task::JoinSet::new();
    for racer in 1..=4_i64 {
        let mut committer = store.committer();
        racers.spawn(async move {
            let mut n_sent = 0;
            for round in 0..25 {
                let other_one = 3 + (round + racer) % 3;
                let mut batch = match racer {
                    1 => vec![remove(1, group, other_one), add(1, group, &[3, 4, 5])],
                    2 => vec![add(2, other, &[3, 4, 5]), remove(other_one, other, other_one)],
                    _ => vec![remove(racer, group, racer), block(racer, other_one, round % 2 == 0)],
                };
                let text = format!("{racer}-{round}");
                batch.insert(1, post(racer, group, &text));
                batch.push(post(1 + (round + racer) % 5, other, &format!("{text}-other")));
                let outcomes = committer.commit(batch.into(), deadline()).await?;
                let mut received = Vec::new();
                for outcome in &outcomes {
                    ensure!(*outcome != Outcome::Refused(Refusal::Failed), "{outcomes:?}");
                    if let Outcome::Committed(entries) = outcome
                        && let Event::Sent(message) = &entries[0].event
                    {
                        n_sent += 1;
                        received.push(message.id);
                    }
                }
                let reads = (1..=5)
                    .map(|reader| Command::MarkRead { reader: UserId(reader), messages: received.clone() });
                if !received.is_empty() {
                    committer.commit(reads.take(4).collect(), deadline()).await?;
                }
            }
            anyhow::Ok(n_sent)
        });
    }
    let mut n_sent = 0;
    while let Some(result) = racers.join_next().await {
        n_sent += result??;
    }
    assert_eq!(store.count_messages().await?, n_sent, "each is there once");
    assert!(n_sent > 50, "hardly anything was sent: {n_sent}");
    Ok(())
}

async fn groups_are_made_by_import(store: Store) -> anyhow::Result<()> {
    let import = async |title: &str, members: &[(i64, Role)]| {
        let members: Vec<_> = members.iter().map(|(user, role)| (UserId(*user), *role)).collect();
        store.import_group(title, &members).await
    };
    let (owner, member) = (Role::Owner, Role::Member);
    let group = import("Class 5b", &[(1, member), (2, owner)])
        .await?
        .map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    assert_eq!(import("Class 5b", &[(2, member)]).await?, Ok(group), "who is there keeps their role");
    assert_eq!(account(&store, 1).await?.last_seq, Seq(1));
    entries(&store, set_title(2, group, "Class 6b")).await?;
    assert_eq!(import("Class 5b", &[(3, owner), (1, member)]).await?, Ok(group), "whatever it is called now");
    assert_ne!(import("Class 6b", &[(3, member)]).await?, Ok(group));
    for unknown in [4711, 0] {
        assert_eq!(
            import("Class 5b", &[(4, member), (unknown, member)]).await?,
            Err(Refusal::UnknownRecipient)
        );
    }
    let names = ["user3", "nobody", "user1"].map(str::to_owned);
    let found = store.find_usernames(&names).await?;
    assert_eq!((found.len(), found["user3"], found["user1"]), (2, UserId(3), UserId(1)));
    let joined = store.page(account(&store, 3).await?.mailbox, Seq(0), 9).await?;
    let expect = GroupChange::Joined {
        title: "Class 6b".to_owned(),
        members: members(&[2, 3], &[1]),
        client_conversation_id: None,
    };
    assert_eq!(joined[0].event, Event::Group { group, actor: UserId(2), change: expect });
    // Nobody is named as an owner: the first is one.
    assert!(
        matches!(change(&joined[1]), GroupChange::Joined { members, .. } if members[..] == [Member { user_id: UserId(3), role: owner }])
    );
    // Where all have left, those who come have an owner too.
    for user in [2, 3, 1] {
        entries(&store, remove(user, group, user)).await?;
    }
    assert_eq!(import("Class 5b", &[(4, member), (5, member)]).await?, Ok(group));
    assert_eq!(entries(&store, set_title(4, group, "x")).await?.len(), 2);
    Ok(())
}
