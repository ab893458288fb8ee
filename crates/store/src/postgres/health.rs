//! What a Postgres server says of itself.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::RunQueryDsl;

use super::Postgres;
use crate::error::StoreError;
use crate::health::{Health, Server, Setting};

/// `reserved_connections` is of Postgres 16 and later. Who may not see others' connections sees that they are there.
const QUESTION: &str = "
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int8 AS version_number,
           current_setting('fsync') AS fsync,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('synchronous_standby_names') <> '' AS has_standbys,
           pg_is_in_recovery() AS is_standby,
           current_setting('max_connections')::int8 AS max_connections,
           current_setting('superuser_reserved_connections')::int8
               + coalesce(current_setting('reserved_connections', true)::int8, 0) AS reserved_connections,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS open_connections";

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = BigInt)]
    version_number: i64,
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    full_page_writes: String,
    #[diesel(sql_type = Text)]
    synchronous_commit: String,
    #[diesel(sql_type = Bool)]
    has_standbys: bool,
    #[diesel(sql_type = Bool)]
    is_standby: bool,
    #[diesel(sql_type = BigInt)]
    max_connections: i64,
    #[diesel(sql_type = BigInt)]
    reserved_connections: i64,
    #[diesel(sql_type = BigInt)]
    open_connections: i64,
}

impl Postgres {
    pub(crate) async fn health(&self) -> Result<Health, StoreError> {
        let mut connection = self.connect().await?;
        let answer: Answer = diesel::sql_query(QUESTION).get_result(&mut connection).await?;
        Ok(Health {
            version: format!("Postgres {}", answer.version),
            durability: durability(&answer),
            server: Some(Server {
                version_number: answer.version_number,
                is_standby: answer.is_standby,
                max_connections: answer.max_connections,
                reserved_connections: answer.reserved_connections,
                open_connections: answer.open_connections,
            }),
        })
    }
}

fn durability(answer: &Answer) -> Vec<Setting> {
    let setting = |name, value: &str, risk| Setting { name, value: value.to_owned(), wanted: "on", risk };
    let commit = match answer.synchronous_commit.as_str() {
        "off" => Some("acknowledged messages are lost when the server crashes"),
        "local" | "remote_write" if answer.has_standbys => {
            Some("acknowledged messages can be lost when a standby takes over")
        }
        _ => None,
    };
    let off = |value: &str, risk| (value == "off").then_some(risk);
    vec![
        setting(
            "fsync",
            &answer.fsync,
            off(
                &answer.fsync,
                "a crash of the machine can lose acknowledged messages, or all of the database",
            ),
        ),
        setting(
            "full_page_writes",
            &answer.full_page_writes,
            off(&answer.full_page_writes, "a page torn by a crash of the machine stays torn"),
        ),
        setting("synchronous_commit", &answer.synchronous_commit, commit),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fsync: &str, synchronous_commit: &str, has_standbys: bool, risky: &[&str]) {
        let answer = Answer {
            version: String::new(),
            version_number: 0,
            fsync: fsync.to_owned(),
            full_page_writes: "on".to_owned(),
            synchronous_commit: synchronous_commit.to_owned(),
            has_standbys,
            is_standby: false,
            max_connections: 0,
            reserved_connections: 0,
            open_connections: 0,
        };
        let settings = durability(&answer);
        let found: Vec<_> =
            settings.iter().filter(|setting| setting.risk.is_some()).map(|setting| setting.name).collect();
        assert_eq!(found, risky);
    }

    #[test]
    fn settings_that_lose_messages_are_known() {
        check("on", "on", false, &[]);
        check("on", "remote_apply", true, &[]);
        // Without standbys it only means that none is waited for.
        check("on", "local", false, &[]);
        check("on", "local", true, &["synchronous_commit"]);
        check("on", "off", false, &["synchronous_commit"]);
        check("off", "on", false, &["fsync"]);
    }
}
