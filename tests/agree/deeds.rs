//! What users ask for: mostly what they may, among what they see, and mostly with the latest, so that much is done to the
//! same. Now and then what is not theirs.

mod among;

use switchboard_protocol::client_frame::{
    CreateGroup, EditMessage, ReadMark, SendMessage, SetConversation, SetReaction,
};
use switchboard_protocol::{ClientFrame, ConversationId, Role, Target, UserId};

use super::Dice;
use super::model::Model;
use super::ways::{Answer, Way, ask};
use super::world::{USERS, World};
use crate::harness::Cluster;

/// Somebody whom there is not.
const NOBODY: UserId = UserId(999);
/// Groups that are made, but for few more.
const GROUPS: usize = 5;
const REACTIONS: [&str; 4] = ["\u{1F44D}", "\u{2764}\u{FE0F}", "+1", "a/b%?"];

#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) user: UserId,
    pub(super) way: Way,
    pub(super) frame: ClientFrame,
}

impl Deed {
    /// One that is about a certain conversation, if one is given.
    pub(super) fn choose(dice: &mut Dice, world: &mut World, focus: Option<ConversationId>) -> Self {
        world.n_named += 1;
        let n = world.n_named;
        let model = world.models.first().cloned().unwrap_or_default();
        let user = any_user(dice);
        let node = dice.roll(2) as usize;
        let way = if dice.roll(2) == 0 { Way::Frame(node) } else { Way::Http(node) };
        let (user, frame) = Chooser { dice, model: &model, focus, user, n }.choose();
        Self { user, way, frame }
    }

    pub(super) async fn carry_out(&self, cluster: &Cluster) -> anyhow::Result<Answer> {
        ask(cluster, self.user, self.way, &self.frame).await
    }
}

fn any_user(dice: &mut Dice) -> UserId {
    *dice.pick(&USERS).expect("there are users")
}

/// A conversation, at times, that all that is done at once is about.
pub(super) fn focus(dice: &mut Dice, world: &World) -> Option<ConversationId> {
    let all = world.models.iter().take(1).flat_map(|model| USERS.map(|user| model.conversations(user)));
    let all: Vec<_> = all.flatten().collect();
    if dice.roll(3) == 0 { dice.pick(&all).copied() } else { None }
}

/// For one deed.
struct Chooser<'a> {
    dice: &'a mut Dice,
    model: &'a Model,
    focus: Option<ConversationId>,
    user: UserId,
    /// A number of its own.
    n: usize,
}

impl Chooser<'_> {
    fn choose(mut self) -> (UserId, ClientFrame) {
        let user = self.user;
        let frame = match self.dice.roll(100) {
            0..28 => self.send(),
            28..31 => return self.repeat(),
            31..41 => self.read(),
            41..47 => self.read_up_to(),
            47..54 => self.edit(),
            54..60 => ClientFrame::DeleteMessage { message_id: self.message() },
            60..69 => self.react(),
            69..87 => return self.of_group(),
            87..92 => self.settings(),
            92..97 => {
                ClientFrame::SetBlock { user_id: self.other_user(), is_blocked: self.dice.roll(3) == 0 }
            }
            _ => ClientFrame::SetReceipts { send_receipts: self.dice.roll(2) == 0 },
        };
        (user, frame)
    }

    fn send(&mut self) -> ClientFrame {
        let user = match self.dice.roll(30) {
            0 => NOBODY,
            _ => any_user(self.dice),
        };
        let to = match self.dice.roll(3) {
            0 => Target::User(user),
            _ => Target::Conversation(self.conversation()),
        };
        let reply_to_id = (self.dice.roll(3) == 0).then(|| self.message_of(to));
        let mention_ids = match self.dice.roll(4) {
            0 => self.members_of(to).into_iter().filter(|_| self.dice.roll(2) == 0).collect(),
            1 if self.dice.roll(4) == 0 => vec![self.other_user()],
            _ => Vec::new(),
        };
        let n = self.n;
        ClientFrame::SendMessage(SendMessage {
            to,
            subject: if n.is_multiple_of(3) { format!("On {n}") } else { String::new() },
            content: format!("Message {n} of {}", self.user),
            client_message_id: Some(format!("agree-{n}")),
            attachment_ids: Vec::new(),
            reply_to_id,
            mention_ids,
        })
    }

    /// One of what was sent before, again.
    fn repeat(&mut self) -> (UserId, ClientFrame) {
        let sends: Vec<_> = self.model.sends().collect();
        match self.dice.pick(&sends) {
            Some((user, sent)) => (*user, ClientFrame::SendMessage((*sent).clone())),
            None => (self.user, self.send()),
        }
    }

    fn read(&mut self) -> ClientFrame {
        ClientFrame::MarkAsRead(ReadMark::Message { message_id: self.message() })
    }

    fn read_up_to(&mut self) -> ClientFrame {
        let message = self.message();
        let of_it = self.model.messages.get(&message).map(|message| message.conversation);
        let conversation_id = match (self.dice.roll(8), of_it) {
            (1.., Some(conversation)) => conversation,
            _ => self.conversation(),
        };
        ClientFrame::MarkAsRead(ReadMark::UpTo { conversation_id, up_to: message })
    }

    fn edit(&mut self) -> ClientFrame {
        let user = self.user;
        let own: Vec<_> = self.seen().filter(|id| self.model.messages[id].sender == user).collect();
        let message_id = match self.dice.roll(6) {
            0 => self.message(),
            _ => self.latest(&own).unwrap_or_default(),
        };
        let before = self.model.messages.get(&message_id).map(|message| message.content.clone());
        let content = match (self.dice.roll(6), before) {
            (0, Some(before)) => before,
            _ => format!("Changed to {}", self.dice.roll(20)),
        };
        let subject = (self.dice.roll(3) == 0).then(|| format!("Subject {}", self.dice.roll(2)));
        ClientFrame::EditMessage(EditMessage { message_id, content, subject })
    }

    fn react(&mut self) -> ClientFrame {
        let message_id = self.message();
        let reactions = self.model.messages.get(&message_id).map(|message| &message.reactions);
        let user = self.user;
        let is_own = |users: &std::collections::BTreeSet<UserId>| users.contains(&user);
        let own = reactions.into_iter().flatten().find(|(_, users)| is_own(users));
        let (reaction, is_set) = match (self.dice.roll(2), own) {
            (0, Some((own, _))) => (own.clone(), false),
            _ => {
                let reaction = self.dice.pick(&REACTIONS).expect("there are some");
                ((*reaction).to_owned(), self.dice.roll(5) > 0)
            }
        };
        ClientFrame::SetReaction(SetReaction { message_id, reaction, is_set })
    }

    /// Mostly by an owner.
    fn of_group(&mut self) -> (UserId, ClientFrame) {
        let n_groups = self.model.groups.len();
        let conversation_id = self.group();
        let owners: Vec<_> =
            self.model.groups.get(&conversation_id).into_iter().flat_map(|group| group.owners()).collect();
        if self.dice.roll(3) > 0 {
            self.user = self.dice.pick(&owners).copied().unwrap_or(self.user);
        }
        let user_id = self.member(conversation_id);
        let frame = match self.dice.roll(18) {
            0 => self.create(),
            1..6 if n_groups < GROUPS => self.create(),
            1..8 => {
                let first = self.other_user();
                let more = USERS.into_iter().filter(|user| *user != first && self.dice.roll(3) == 0);
                let mut user_ids: Vec<_> = more.chain([first]).collect();
                user_ids.sort_unstable();
                ClientFrame::AddMembers { conversation_id, user_ids }
            }
            8..10 => ClientFrame::RemoveMember { conversation_id, user_id },
            10 => ClientFrame::RemoveMember { conversation_id, user_id: self.user },
            11..15 => {
                let role = if self.dice.roll(2) == 0 { Role::Owner } else { Role::Member };
                ClientFrame::SetRole { conversation_id, user_id, role }
            }
            _ => ClientFrame::SetTitle { conversation_id, title: format!("Title {}", self.dice.roll(3)) },
        };
        (self.user, frame)
    }

    fn create(&mut self) -> ClientFrame {
        let before: Vec<_> = self.model.names(self.user).collect();
        let name = match self.dice.pick(&before) {
            Some(name) if self.dice.roll(3) == 0 => (*name).to_owned(),
            _ => format!("group-{}", self.n),
        };
        let mut member_ids: Vec<_> = USERS.into_iter().filter(|_| self.dice.roll(2) == 0).collect();
        member_ids.extend((self.dice.roll(12) == 0).then_some(NOBODY));
        ClientFrame::CreateGroup(CreateGroup {
            title: format!("Group {}", self.n),
            member_ids,
            client_conversation_id: Some(name),
        })
    }

    fn settings(&mut self) -> ClientFrame {
        let is_muted = (self.dice.roll(2) == 0).then(|| self.dice.roll(2) == 0);
        let is_archived = (self.dice.roll(2) == 0).then(|| self.dice.roll(2) == 0);
        let draft = match (self.dice.roll(4), is_muted, is_archived) {
            (0, ..) => Some(String::new()),
            (1, ..) | (_, None, None) => Some(format!("Draft {}", self.dice.roll(3))),
            _ => None,
        };
        let conversation_id = self.conversation();
        ClientFrame::SetConversation(SetConversation { conversation_id, is_muted, is_archived, draft })
    }
}
