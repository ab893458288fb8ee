//! Who may have to do with whom: under the policy of shared groups, and where somebody is disabled.

use switchboard_protocol::{ConversationId, MessageId, Role, UserId};
use switchboard_store::{Command, Edit, Event, Outcome, OwnAct, Refusal, SendCommand, Store};

use super::{add, block, create, direct, entries, make, outcome, post, refused, remove};
use crate::kit::{account, message, sending};

/// The same where only members of a shared group may write to each other.
pub(super) fn strictly(command: Command) -> Command {
    let only_in_groups = true;
    match command {
        Command::Send(send) => Command::Send(SendCommand { only_in_groups, ..send }),
        Command::Edit(edit) => Command::Edit(Edit { only_in_groups, ..edit }),
        Command::React { actor, message, reaction, is_set, .. } => {
            Command::React { actor, message, reaction, is_set, only_in_groups }
        }
        Command::Group { actor, act, .. } => Command::Group { actor, act, only_in_groups },
        Command::Own { user, act: OwnAct::Block { user: other, is_blocked, .. } } => {
            Command::Own { user, act: OwnAct::Block { user: other, is_blocked, only_in_groups } }
        }
        other => other,
    }
}

async fn repeated(store: &Store, command: Command) -> anyhow::Result<()> {
    let outcome = outcome(store, command.clone()).await?;
    assert!(matches!(outcome, Outcome::Repeated(_)), "{command:?}: {outcome:?}");
    Ok(())
}

pub(super) async fn strangers_are_not_blocked(store: Store) -> anyhow::Result<()> {
    let group = make(&store, 1, &[2]).await?;
    entries(&store, direct(1, 3)).await?;
    for stranger in [4, 4711] {
        refused(&store, strictly(block(1, stranger, true)), Refusal::UnknownRecipient).await?;
        repeated(&store, strictly(block(1, stranger, false))).await?;
    }
    for known in [2, 3] {
        entries(&store, strictly(block(1, known, true))).await?;
    }
    // What was done stays so among strangers, and may be taken back.
    entries(&store, remove(1, group, 2)).await?;
    repeated(&store, strictly(block(1, 2, true))).await?;
    entries(&store, strictly(block(1, 2, false))).await?;
    refused(&store, strictly(block(1, 2, true)), Refusal::UnknownRecipient).await?;
    entries(&store, block(1, 4, true)).await?;
    let blocked = store.blocked(UserId(1)).await?;
    assert_eq!(blocked.iter().map(|person| person.id.0).collect::<Vec<_>>(), [3, 4]);
    Ok(())
}

/// The texts and reactions that are refused to who may not write to the other of two.
fn at(actor: i64, message: MessageId) -> [Command; 2] {
    let edit = Edit {
        actor: UserId(actor),
        message,
        subject: None,
        content: "changed".to_owned(),
        within: i64::MAX,
        keep: false,
        only_in_groups: false,
    };
    let reaction = "👍".to_owned();
    let react =
        Command::React { actor: UserId(actor), message, reaction, is_set: true, only_in_groups: false };
    [Command::Edit(edit), react]
}

/// To the other of two, by the id of the other and by that of what they have said to each other.
fn to_other(sender: i64, recipient: i64, conversation: ConversationId) -> [Command; 2] {
    let to = [UserId(recipient).into(), conversation.into()];
    to.map(|to| Command::Send(message(sender, to, "once more", Vec::new())))
}

pub(super) async fn only_groups_of_the_operator_count(store: Store) -> anyhow::Result<()> {
    let members = [(UserId(1), Role::Owner), (UserId(2), Role::Member), (UserId(3), Role::Member)];
    let class = store.import_group("class", &members).await?.expect("a group");
    let entry = entries(&store, strictly(direct(1, 2))).await?.remove(0);
    let Event::Sent(message) = entry.event else { panic!("{entry:?}") };
    let own_group = match &entries(&store, strictly(create(1, &[2], "mine"))).await?[0].event {
        Event::Group { group, .. } => *group,
        other => panic!("{other:?}"),
    };
    entries(&store, remove(1, class, 2)).await?;
    // What they have left is a group of their own making: there they go on, and nowhere else.
    entries(&store, strictly(post(2, own_group, "among us"))).await?;
    let commands = to_other(1, 2, message.conversation).into_iter().chain(at(1, message.id));
    for command in commands.chain([create(1, &[2], "x"), create(2, &[3], "y"), add(1, own_group, &[4])]) {
        refused(&store, strictly(command), Refusal::UnknownRecipient).await?;
    }
    let audience = store.audience(UserId(1), UserId(2).into(), true).await?;
    assert_eq!(audience, None);
    let listed = store.list_users(None, UserId(0), 10, UserId(1), true).await?;
    assert_eq!(listed.iter().map(|person| person.id.0).collect::<Vec<_>>(), [1, 3]);
    let listed = store.all_users(UserId(1), true).await?;
    assert_eq!(listed.iter().map(|(person, _)| person.id.0).collect::<Vec<_>>(), [1, 3]);
    // Without the policy the sections are what they were.
    let everybody = store.all_users(UserId(1), false).await?;
    assert_eq!(everybody[1].1, ["title of mine"]);
    // A member of both brings the others of one group into no talk with those of the other.
    entries(&store, strictly(add(1, own_group, &[3]))).await?;
    refused(&store, strictly(direct(3, 2)), Refusal::UnknownRecipient).await?;
    entries(&store, strictly(direct(3, 1))).await.map(|_| ())
}

pub(super) async fn who_is_disabled_looks_like_who_blocks(store: Store) -> anyhow::Result<()> {
    let mut at_first = Vec::new();
    for (peer, name) in [(2, "user2"), (3, "user3")] {
        let entry = entries(&store, sending(1, peer, "once", Vec::new())).await?.remove(0);
        let Event::Sent(message) = entry.event else { panic!("{entry:?}") };
        match peer {
            2 => drop(entries(&store, block(peer, 1, true)).await?),
            _ => drop(store.disable_user(name).await?),
        }
        at_first.push((peer, message));
    }
    let before = account(&store, 1).await?;
    for (peer, message) in at_first {
        let to_them = to_other(1, peer, message.conversation);
        for command in to_them.into_iter().chain(at(1, message.id)) {
            refused(&store, command, Refusal::UnknownRecipient).await?;
        }
        // What was done before is so whatever holds by now, and what was said may be taken back.
        repeated(&store, sending(1, peer, "once", Vec::new())).await?;
        entries(&store, Command::Delete { actor: UserId(1), message: message.id }).await?;
    }
    assert_eq!(account(&store, 1).await?.last_seq.0, before.last_seq.0 + 2);
    // To a group they belong as before.
    let group = make(&store, 1, &[4]).await?;
    store.disable_user("user4").await?;
    entries(&store, post(1, group, "to all")).await?;
    entries(&store, strictly(remove(1, group, 4))).await.map(|_| ())
}
