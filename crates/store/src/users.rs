//! The statements that create users, for both back ends. Macros, since no name can be given to their types.

/// Creates a user, or renames the one of that user name; returns the id.
macro_rules! upsert {
    ($user:expr) => {
        diesel::insert_into(crate::schema::users::table)
            .values((
                crate::schema::users::username.eq(&$user.username),
                crate::schema::users::full_name.eq(&$user.full_name),
                crate::schema::users::created_at.eq(switchboard_protocol::Timestamp::now().0),
            ))
            .on_conflict(crate::schema::users::username)
            .do_update()
            .set(crate::schema::users::full_name.eq(&$user.full_name))
            .returning(crate::schema::users::id)
    };
}
pub(crate) use upsert;

/// Gives a user a mailbox, if there is none.
macro_rules! give_mailbox {
    ($user:expr) => {
        diesel::insert_into(crate::schema::mailboxes::table)
            .values((
                crate::schema::mailboxes::owner_id.eq($user),
                crate::schema::mailboxes::epoch.eq(format!("{:016x}", rand::random::<u64>())),
            ))
            .on_conflict(crate::schema::mailboxes::owner_id)
            .do_nothing()
    };
}
pub(crate) use give_mailbox;
