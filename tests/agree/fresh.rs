//! What a client loads over HTTP that knows nothing yet.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchboard_protocol::api::{Me, SearchPage, Versions};
use switchboard_protocol::history::HistoryPage;
use switchboard_protocol::{ConversationId, ConversationSettings, MessageData, MessageId, Role, UserId};

use super::view::{Group, Shown, View};
use crate::harness::Cluster;
use crate::harness::http::{Answer, bearer, get};

/// Conversations and messages of a page.
const LIMITS: [usize; 2] = [3, 7];

/// Asks one node in the name of one user.
pub(super) struct Loader<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) user: UserId,
    pub(super) node: usize,
}

impl Loader<'_> {
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        get(self.cluster.address(self.node), &format!("/api/v1/{path}"), &[bearer(self.user.0)]).await
    }

    async fn load<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.get(path).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("{path}: {}", answer.body))
    }

    pub(super) async fn me(&self) -> anyhow::Result<Me> {
        self.load("me").await
    }

    /// All that the user sees.
    pub(super) async fn view(&self) -> anyhow::Result<View> {
        let mut view = View::new();
        let talks = self.talks("").await?;
        for talk in &talks {
            self.add(&mut view, talk).await.with_context(|| format!("{talk}"))?;
        }
        let [put_away, others] = [self.talks("&archived=true").await?, self.talks("&archived=false").await?];
        let is_put_away = |talk: &&Value| talk["is_archived"] == true;
        let (expected, rest): (Vec<&Value>, Vec<&Value>) = talks.iter().partition(is_put_away);
        ensure!(put_away.iter().eq(expected), "put away: {put_away:?}");
        ensure!(others.iter().eq(rest), "not put away: {others:?}");
        let blocks: Value = self.load("blocks").await?;
        for user in blocks["users"].as_array().context("no users")? {
            view.blocked.insert(user_of(user)?);
        }
        let settings: Value = self.load("settings").await?;
        view.sends_receipts = settings["send_receipts"].as_bool().context("no flag")?;
        view.settle(self.user);
        let counted = self.me().await?.unread_count;
        ensure!(counted == view.unread, "{counted} unread by the count, {} by the pages", view.unread);
        Ok(view)
    }

    /// The list of conversations, page by page: each once, the one with the latest message first.
    async fn talks(&self, more: &str) -> anyhow::Result<Vec<Value>> {
        let mut talks: Vec<Value> = Vec::new();
        let mut before = String::new();
        loop {
            let limit = LIMITS[0];
            let page: Value = self.load(&format!("conversations?limit={limit}{more}{before}")).await?;
            let page_talks = page["conversations"].as_array().context("no conversations")?;
            ensure!(page_talks.len() <= limit, "{page}");
            talks.extend(page_talks.iter().cloned());
            let Some(next) = page["before"].as_i64() else { break };
            ensure!(!page_talks.is_empty(), "a page of nothing, and yet another: {page}");
            before = format!("&before={next}");
        }
        let latest = talks.iter().filter_map(|talk| talk["last_message"]["message_id"].as_i64());
        ensure!(latest.is_sorted_by(|a, b| a > b), "not in order: {talks:?}");
        for (nth, talk) in talks.iter().enumerate() {
            ensure!(talks[..nth].iter().all(|it| it["id"] != talk["id"]), "{talk} is there twice");
        }
        Ok(talks)
    }

    /// One conversation of the list, its members and its messages.
    async fn add(&self, view: &mut View, talk: &Value) -> anyhow::Result<()> {
        let id = ConversationId(talk["id"].as_i64().context("no id")?);
        let mut detail: Value = self.load(&format!("conversations/{id}")).await?;
        let members = members(&detail)?;
        detail.as_object_mut().context("an object")?.remove("members");
        ensure!(without_reactions(&detail) == without_reactions(talk), "in the list otherwise: {detail}");
        ensure!(members.contains_key(&self.user), "a conversation of others: {members:?}");
        if talk["kind"] == "group" {
            let title = talk["title"].as_str().context("no title")?.to_owned();
            ensure!(talk["member_count"] == members.len(), "members: {members:?}");
            view.groups.insert(id, Group { title, members });
        } else {
            let other = user_of(&talk["user"])?;
            let both = [other, self.user].into_iter().map(|user| (user, Role::Member)).collect();
            ensure!(talk["kind"] == "direct" && members == both, "{members:?}");
        }
        view.settings.insert(id, serde_json::from_value::<ConversationSettings>(talk.clone())?);
        let messages = self.messages(id).await?;
        let last = messages.first().map(|last| last.message_id.0);
        ensure!(talk["last_message"]["message_id"].as_i64() == last, "its last message is {last:?}");
        if let Some(last) = messages.first() {
            let mut told: MessageData = serde_json::from_value(talk["last_message"].clone())?;
            told.reactions.clone_from(&last.reactions);
            ensure!(told == *last, "its last message is {last:?}");
        }
        let shown: BTreeMap<MessageId, Shown> =
            messages.iter().map(|data| (data.message_id, Shown::new(data))).collect();
        let n_unread = shown.values().filter(|message| message.is_unread_by(self.user)).count();
        ensure!(talk["unread_count"] == n_unread.min(100), "{n_unread} are unread");
        ensure!(shown.values().all(|message| message.conversation == id), "messages of others: {shown:?}");
        view.messages.extend(shown);
        Ok(())
    }

    async fn messages(&self, id: ConversationId) -> anyhow::Result<Vec<MessageData>> {
        let mut messages: Vec<MessageData> = Vec::new();
        let mut before = String::new();
        loop {
            let limit = LIMITS[1];
            let path = format!("conversations/{id}/messages?limit={limit}{before}");
            let page: HistoryPage = self.load(&path).await?;
            ensure!(page.messages.len() <= limit, "{page:?}");
            messages.extend(page.messages);
            let Some(next) = page.before else { break };
            before = format!("&before={next}");
        }
        ensure!(messages.is_sorted_by(|a, b| a.message_id > b.message_id), "not in order: {messages:?}");
        Ok(messages)
    }

    /// That a conversation is not there for the user.
    pub(super) async fn check_absent(&self, id: ConversationId) -> anyhow::Result<()> {
        for path in [format!("conversations/{id}"), format!("conversations/{id}/messages")] {
            let answer = self.get(&path).await?;
            let is_empty = || answer.json().is_ok_and(|page| page["messages"] == Value::Array(Vec::new()));
            ensure!(answer.status == 404 || is_empty(), "{path}: {} {}", answer.status, answer.body);
        }
        Ok(())
    }

    /// What a message said before, the oldest first; none if it is not there for the user.
    pub(super) async fn versions(&self, id: MessageId) -> anyhow::Result<Option<Vec<(String, String)>>> {
        let path = format!("messages/{id}/versions");
        if self.get(&path).await?.status == 404 {
            return Ok(None);
        }
        let Versions { versions } = self.load(&path).await?;
        ensure!(versions.is_sorted_by(|a, b| a.until > b.until), "not in order: {versions:?}");
        Ok(Some(versions.into_iter().rev().map(|version| (version.subject, version.content)).collect()))
    }

    /// Searches page by page, and finds what the user sees with this word, all of it and nothing else.
    pub(super) async fn search(&self, word: &str, view: &View) -> anyhow::Result<()> {
        let mut found: Vec<MessageData> = Vec::new();
        let mut before = String::new();
        loop {
            let limit = LIMITS[1];
            let page: SearchPage = self.load(&format!("search?query={word}&limit={limit}{before}")).await?;
            ensure!(page.messages.len() <= limit, "{page:?}");
            found.extend(page.messages);
            let Some(next) = page.before else { break };
            before = format!("&before={next}");
        }
        ensure!(found.is_sorted_by(|a, b| a.message_id > b.message_id), "not in order: {found:?}");
        let has_word = |message: &Shown| {
            [&message.subject, &message.content].iter().any(|text| text.to_lowercase().contains(word))
        };
        let expected = view.messages.iter().rev().filter(|(_, message)| has_word(message));
        // They may be left out there.
        let without_reactions = |message: &Shown| Shown { reactions: BTreeMap::new(), ..message.clone() };
        let expected: Vec<_> = expected.map(|(id, message)| (*id, without_reactions(message))).collect();
        let found: Vec<_> =
            found.iter().map(|data| (data.message_id, without_reactions(&Shown::new(data)))).collect();
        ensure!(found == expected, "`{word}` finds {found:?}, not {expected:?}");
        Ok(())
    }

    /// What a conversation is to the user, listed or not.
    pub(super) async fn settings(&self, id: ConversationId) -> anyhow::Result<ConversationSettings> {
        self.load(&format!("conversations/{id}")).await
    }
}

fn members(detail: &Value) -> anyhow::Result<BTreeMap<UserId, Role>> {
    let members = detail["members"].as_array().context("no members")?.iter();
    members.map(|it| Ok((user_of(&it["user"])?, serde_json::from_value(it["role"].clone())?))).collect()
}

fn user_of(user: &Value) -> anyhow::Result<UserId> {
    user["id"].as_i64().map(UserId).with_context(|| format!("no user: {user}"))
}

/// They may be left out beside the last message.
fn without_reactions(talk: &Value) -> Value {
    let mut talk = talk.clone();
    if let Some(last) = talk["last_message"].as_object_mut() {
        last.remove("reactions");
    }
    talk
}
