//! Groups.

use std::collections::BTreeMap;

use switchboard_protocol::client_frame::CreateGroup;
use switchboard_protocol::{ConversationId, ErrorCode, Role, UserId};

use super::super::ways::Done;
use super::{Model, Verdict, is_user};

#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Group {
    pub(super) title: String,
    pub(in super::super) members: BTreeMap<UserId, Membership>,
    /// How often somebody joined.
    n_joins: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Membership {
    pub(super) role: Role,
    /// Those who joined at once have the same.
    since: u64,
}

impl Model {
    pub(super) fn create(&mut self, user: UserId, asked: &CreateGroup, given: &Done) -> Verdict {
        let name = (user, asked.client_conversation_id.clone().unwrap_or_default());
        if let Some(id) = self.named.get(&name).copied() {
            // Who has left it has it no more.
            self.group(user, id)?;
            let is_same = given.conversation.is_none_or(|given| given == id);
            return if is_same { Ok(false) } else { Err(ErrorCode::Internal) };
        }
        self.check_addable(user, &asked.member_ids)?;
        let member = |role| Membership { role, since: 0 };
        let mut members: BTreeMap<_, _> =
            asked.member_ids.iter().map(|user| (*user, member(Role::Member))).collect();
        members.insert(user, member(Role::Owner));
        let id = given.conversation.unwrap_or_default();
        self.named.insert(name, id);
        self.groups.insert(id, Group { title: asked.title.clone(), members, n_joins: 1 });
        Ok(true)
    }

    /// Nobody is added by whom they blocked.
    fn check_addable(&self, user: UserId, others: &[UserId]) -> Result<(), ErrorCode> {
        let is_addable = |other: &UserId| is_user(*other) && !self.has_blocked(*other, user);
        if others.iter().all(is_addable) { Ok(()) } else { Err(ErrorCode::UnknownRecipient) }
    }

    /// The group of a member.
    fn group(&mut self, user: UserId, id: ConversationId) -> Result<&mut Group, ErrorCode> {
        let group = self.groups.get_mut(&id).filter(|group| group.members.contains_key(&user));
        group.ok_or(ErrorCode::NotFound)
    }

    /// The group of an owner.
    fn own_group(&mut self, user: UserId, id: ConversationId) -> Result<&mut Group, ErrorCode> {
        let group = self.group(user, id)?;
        if group.members[&user].role == Role::Owner { Ok(group) } else { Err(ErrorCode::NotOwner) }
    }

    pub(super) fn set_title(&mut self, user: UserId, id: ConversationId, title: &str) -> Verdict {
        let group = self.own_group(user, id)?;
        let is_changed = group.title != title;
        title.clone_into(&mut group.title);
        Ok(is_changed)
    }

    pub(super) fn add(&mut self, user: UserId, id: ConversationId, users: &[UserId]) -> Verdict {
        let group = self.own_group(user, id)?;
        let is_new = |other: &UserId| !group.members.contains_key(other);
        let others: Vec<_> = users.iter().copied().filter(is_new).collect();
        self.check_addable(user, &others)?;
        let group = self.own_group(user, id)?;
        for other in &others {
            group.members.insert(*other, Membership { role: Role::Member, since: group.n_joins });
        }
        group.n_joins += u64::from(!others.is_empty());
        self.left.retain(|(user, group)| *group != id || !others.contains(user));
        Ok(!others.is_empty())
    }

    pub(super) fn remove(&mut self, user: UserId, id: ConversationId, other: UserId) -> Verdict {
        if other == user && self.left.contains(&(user, id)) {
            return Ok(false);
        }
        let group = if other == user { self.group(user, id)? } else { self.own_group(user, id)? };
        if group.members.remove(&other).is_none() {
            return Ok(false);
        }
        if group.n_owners() == 0 {
            let next = group.members.iter().min_by_key(|(user, member)| (member.since, **user));
            if let Some(next) = next.map(|(user, _)| *user) {
                group.members.get_mut(&next).into_iter().for_each(|member| member.role = Role::Owner);
            }
        }
        if other == user {
            self.left.insert((user, id));
        }
        self.forget(other, id);
        Ok(true)
    }

    /// There is always an owner.
    pub(super) fn set_role(
        &mut self,
        user: UserId,
        id: ConversationId,
        other: UserId,
        role: Role,
    ) -> Verdict {
        let has_it = self.group(user, id)?.members[&user].role == role;
        if other == user && has_it {
            return Ok(false);
        }
        let group = self.own_group(user, id)?;
        let n_owners = group.n_owners();
        let member = group.members.get_mut(&other).ok_or(ErrorCode::NotFound)?;
        if member.role == role {
            return Ok(false);
        }
        if role == Role::Member && n_owners == 1 {
            return Err(ErrorCode::NotOwner);
        }
        member.role = role;
        Ok(true)
    }
}

impl Group {
    pub(in super::super) fn owners(&self) -> impl Iterator<Item = UserId> {
        self.members.iter().filter(|(_, member)| member.role == Role::Owner).map(|(user, _)| *user)
    }

    fn n_owners(&self) -> usize {
        self.owners().count()
    }
}
