//! Edits.

use diesel::prelude::*;
use switchboard_protocol::limits::VERSIONS;

use super::{Batch, Change};
use crate::answer::{EMPTY, EditedText, NO_SUCH_RECIPIENT, TOO_LATE};
use crate::model::Edit;
use crate::schema::{kind, message_versions as versions, messages};

use super::held::Held;

impl Batch<'_> {
    /// What was done before is so whatever holds by now: an answer may have been lost.
    pub(super) fn edit(&mut self, edit: &Edit) -> QueryResult<()> {
        let (actor, message) = (edit.actor.0, edit.message.0);
        let Some(held) = self.find_held(actor, message)?.filter(|held| held.sender == actor) else {
            return Ok(());
        };
        let subject = edit.subject.as_ref().unwrap_or(&held.subject);
        let text = EditedText { subject: subject.as_str().into(), content: edit.content.as_str().into() };
        // Texts: writing them cannot fail.
        let detail = serde_json::to_string(&text).ok();
        let change = Change { conversation: held.conversation, message, actor, detail, ..Change::default() };
        if *subject == held.subject && edit.content == held.content {
            let at = held.edited_at.unwrap_or(held.created_at);
            return self.answer_as_unchanged(kind::EDITED, at, &change);
        }
        if let Some(problem) = self.find_problem_of_edit(edit, &held)? {
            self.refuse(problem, kind::EDITED, &change);
            return Ok(());
        }
        // Later than when it was last changed, whatever the clock says.
        let at = self.now.max(held.edited_at.map_or(0, |edited_at| edited_at + 1));
        if edit.keep {
            self.keep(message, at, &held)?;
        }
        diesel::update(messages::table.find(message))
            .set((
                messages::subject.eq(subject),
                messages::content.eq(&edit.content),
                messages::edited_at.eq(at),
            ))
            .execute(self.connection)?;
        self.tell(kind::EDITED, &Change { at: Some(at), ..change })
    }

    fn find_problem_of_edit(&mut self, edit: &Edit, held: &Held) -> QueryResult<Option<i16>> {
        Ok(if self.is_refused(edit.actor.0, held, edit.only_in_groups)? {
            Some(NO_SUCH_RECIPIENT)
        } else if self.now - held.created_at > edit.within {
            Some(TOO_LATE)
        } else if edit.content.is_empty() && held.attachments.is_none() {
            Some(EMPTY)
        } else {
            None
        })
    }

    /// Keeps what a message says until `at`, and of all that is kept of it the newest.
    fn keep(&mut self, message: i64, at: i64, held: &Held) -> QueryResult<()> {
        diesel::insert_into(versions::table)
            .values((
                versions::message_id.eq(message),
                versions::edited_at.eq(at),
                versions::subject.eq(&held.subject),
                versions::content.eq(&held.content),
            ))
            .execute(self.connection)?;
        let of_message = versions::table.filter(versions::message_id.eq(message));
        let newest_outdated: Option<i64> = of_message
            .order(versions::edited_at.desc())
            .offset(VERSIONS)
            .select(versions::edited_at)
            .first(self.connection)
            .optional()?;
        if let Some(at) = newest_outdated {
            diesel::delete(of_message.filter(versions::edited_at.le(at))).execute(self.connection)?;
        }
        Ok(())
    }
}
