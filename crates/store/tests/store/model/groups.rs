//! What is done to groups.

use std::collections::BTreeMap;

use anyhow::bail;
use switchboard_protocol::{ConversationId, GroupChange, Member, Role, Target, UserId};
use switchboard_store::{Event, GroupAct, Outcome, Refusal};

use super::{Line, Made, Model, refused};

/// A group.
pub(super) struct Group {
    title: String,
    pub(super) members: BTreeMap<UserId, Seat>,
    /// How often somebody came in.
    n_entrances: usize,
}

pub(super) struct Seat {
    role: Role,
    /// With whose entrance, in their order.
    since: usize,
}

impl Group {
    fn seat(&mut self, users: impl IntoIterator<Item = UserId>) {
        self.n_entrances += 1;
        let since = self.n_entrances;
        self.members.extend(users.into_iter().map(|user| (user, Seat { role: Role::Member, since })));
    }

    fn set_role(&mut self, user: UserId, role: Role) {
        self.members.get_mut(&user).expect("a member").role = role;
    }

    fn n_owners(&self) -> usize {
        self.members.values().filter(|seat| seat.role == Role::Owner).count()
    }

    fn eldest(&self) -> Option<UserId> {
        self.members.iter().min_by_key(|(user, seat)| (seat.since, **user)).map(|(user, _)| *user)
    }

    fn joined(&self, client_conversation_id: Option<String>) -> GroupChange {
        let member = |(user, seat): (&UserId, &Seat)| Member { user_id: *user, role: seat.role };
        let members = self.members.iter().map(member).collect();
        GroupChange::Joined { title: self.title.clone(), members, client_conversation_id }
    }
}

impl Model {
    pub(super) fn change_group(
        &mut self,
        actor: UserId,
        act: &GroupAct,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let (GroupAct::Title { group, .. }
        | GroupAct::Add { group, .. }
        | GroupAct::Remove { group, .. }
        | GroupAct::Role { group, .. }) = act
        else {
            return self.create(actor, act, outcome);
        };
        let Some(seat) = self.groups.get(group).and_then(|group| group.members.get(&actor)) else {
            return match act {
                GroupAct::Remove { user, .. } if *user == actor => self.leave_again(actor, *group, outcome),
                _ => refused(Refusal::NotFound, outcome),
            };
        };
        let is_free = match act {
            GroupAct::Remove { user, .. } => *user == actor,
            GroupAct::Role { user, role, .. } => *user == actor && *role == seat.role,
            _ => false,
        };
        if seat.role == Role::Member && !is_free {
            return refused(Refusal::NotOwner, outcome);
        }
        match act {
            GroupAct::Create { .. } => bail!("it is not there yet"),
            GroupAct::Title { title, .. } => self.set_title(actor, *group, title, outcome),
            GroupAct::Add { users, .. } => self.add(actor, *group, users, outcome),
            GroupAct::Remove { user, .. } => self.remove(actor, *group, *user, outcome),
            GroupAct::Role { user, role, .. } => self.set_role(actor, *group, (*user, *role), outcome),
        }
    }

    /// Who left by themselves is told so again.
    fn leave_again(&self, actor: UserId, id: ConversationId, outcome: &Outcome) -> anyhow::Result<()> {
        let of_group = |line: &&Line| matches!(line, Line::Group { group, .. } if *group == id);
        let last = self.logs.get(&actor).and_then(|log| log.lines.iter().rfind(of_group));
        let left = Line::Group { group: id, by: actor, change: GroupChange::Removed { user_id: actor } };
        if last == Some(&left) {
            self.unchanged(actor, &left, outcome)
        } else {
            refused(Refusal::NotFound, outcome)
        }
    }

    /// Those who are named must all be there.
    fn create(&mut self, actor: UserId, act: &GroupAct, outcome: &Outcome) -> anyhow::Result<()> {
        let GroupAct::Create { title, members, client_conversation_id } = act else {
            bail!("it makes no group: {act:?}");
        };
        let Outcome::Committed(entries) = outcome else {
            bail!("not committed: {outcome:?}");
        };
        let Event::Group { group: id, .. } = entries[0].event else {
            bail!("no group: {entries:?}");
        };
        let mut group = Group { title: title.clone(), members: BTreeMap::new(), n_entrances: 0 };
        group.seat(members.iter().copied().chain([actor]));
        group.set_role(actor, Role::Owner);
        let line = |name| Line::Group { group: id, by: actor, change: group.joined(name) };
        let mut made = vec![Made::new(actor, line(Some(client_conversation_id.clone())))];
        made.extend(members.iter().map(|user| Made::new(*user, line(None))));
        self.groups.insert(id, group);
        self.make(made, outcome)
    }

    /// The same for all members, the actor first.
    fn tell_all(&self, actor: UserId, group: ConversationId, change: &GroupChange) -> Vec<Made> {
        let others = self.groups[&group].members.keys().copied().filter(|user| *user != actor);
        let line = || Line::Group { group, by: actor, change: change.clone() };
        std::iter::once(actor).chain(others).map(|user| Made::new(user, line())).collect()
    }

    fn set_title(
        &mut self,
        actor: UserId,
        group: ConversationId,
        title: &str,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let change = GroupChange::Titled { title: title.to_owned() };
        if self.groups[&group].title == title {
            return self.unchanged(actor, &Line::Group { group, by: actor, change }, outcome);
        }
        title.clone_into(&mut self.groups.get_mut(&group).expect("it is there").title);
        self.make(self.tell_all(actor, group, &change), outcome)
    }

    fn add(
        &mut self,
        actor: UserId,
        group: ConversationId,
        users: &[UserId],
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let is_new = |user: &&UserId| !self.groups[&group].members.contains_key(user);
        let new: Vec<UserId> = users.iter().filter(is_new).copied().collect();
        if new.is_empty() {
            let change = GroupChange::Added { user_ids: users.to_vec() };
            return self.unchanged(actor, &Line::Group { group, by: actor, change }, outcome);
        }
        if !new.iter().all(|user| self.logs.contains_key(user)) {
            return refused(Refusal::UnknownRecipient, outcome);
        }
        let mut made = self.tell_all(actor, group, &GroupChange::Added { user_ids: new.clone() });
        let seats = self.groups.get_mut(&group).expect("it is there");
        seats.seat(new.iter().copied());
        let joined = Line::Group { group, by: actor, change: seats.joined(None) };
        made.extend(new.into_iter().map(|user| Made::new(user, joined.clone())));
        self.make(made, outcome)
    }

    /// Who goes has nothing of the group any more, and the eldest of the others owns it if nobody else does.
    fn remove(
        &mut self,
        actor: UserId,
        group: ConversationId,
        user: UserId,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let change = GroupChange::Removed { user_id: user };
        if !self.groups[&group].members.contains_key(&user) {
            return self.unchanged(actor, &Line::Group { group, by: actor, change }, outcome);
        }
        let mut made = self.tell_all(actor, group, &change);
        let messages = &self.messages;
        let n_unread = self.logs.get_mut(&user).expect("a user").forget(|message| {
            messages.get(&message).is_some_and(|letter| letter.send.to == Target::Conversation(group))
        });
        made.iter_mut().filter(|made| made.owner == user).for_each(|made| made.unread = -n_unread);
        let seats = self.groups.get_mut(&group).expect("it is there");
        seats.members.remove(&user);
        if seats.n_owners() == 0
            && let Some(eldest) = seats.eldest()
        {
            seats.set_role(eldest, Role::Owner);
            let change = GroupChange::Role { user_id: eldest, role: Role::Owner };
            let line = Line::Group { group, by: actor, change };
            made.extend(seats.members.keys().map(|user| Made::new(*user, line.clone())));
        }
        self.make(made, outcome)
    }

    fn set_role(
        &mut self,
        actor: UserId,
        group: ConversationId,
        (user, role): (UserId, Role),
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let seats = self.groups.get_mut(&group).expect("it is there");
        let change = GroupChange::Role { user_id: user, role };
        match seats.members.get(&user) {
            None => return refused(Refusal::NotFound, outcome),
            Some(seat) if seat.role == role => {
                return self.unchanged(actor, &Line::Group { group, by: actor, change }, outcome);
            }
            Some(_) if role == Role::Member && seats.n_owners() == 1 => {
                return refused(Refusal::NotOwner, outcome);
            }
            Some(_) => seats.set_role(user, role),
        }
        self.make(self.tell_all(actor, group, &change), outcome)
    }
}
