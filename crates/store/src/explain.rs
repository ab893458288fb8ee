//! How the back end would answer the readings that every client causes: for `doctor`, and for the test that they
//! cost the same at any size.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl;

use crate::error::StoreError;
use crate::schema::users;
use crate::store::{Backend, Store};
use crate::{attachments, conversations, lists, queries};

/// How a reading is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which reading.
    pub reading: &'static str,
    /// The plan, as the back end words it.
    pub text: String,
    /// Whether it goes through a whole table that grows with every message. Right for a small one.
    pub scans: bool,
}

/// A query behind `EXPLAIN`; `P` is that word, in the dialect of the back end.
struct Explain<Q, P>(Q, P);

#[derive(Clone, Copy)]
struct OfPostgres;

#[derive(Clone, Copy)]
struct OfSqlite;

impl<Q, P> QueryId for Explain<Q, P> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q, OfPostgres> {
    type SqlType = Text;
}

impl<Q> Query for Explain<Q, OfSqlite> {
    type SqlType = (Integer, Integer, Integer, Text);
}

impl<Q: QueryFragment<diesel::pg::Pg>> QueryFragment<diesel::pg::Pg> for Explain<Q, OfPostgres> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN (COSTS OFF) ");
        self.0.walk_ast(out)
    }
}

impl<Q: QueryFragment<diesel::sqlite::Sqlite>> QueryFragment<diesel::sqlite::Sqlite>
    for Explain<Q, OfSqlite>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::sqlite::Sqlite>) -> QueryResult<()> {
        out.push_sql("EXPLAIN QUERY PLAN ");
        self.0.walk_ast(out)
    }
}

/// Asks whichever back end there is how it would run a query.
macro_rules! explain {
    ($store:expr, $reading:literal, $query:expr) => {{
        let text = match &*$store.backend {
            Backend::Postgres(postgres) => {
                let mut reader = postgres.reader().await?;
                let lines = Explain($query, OfPostgres).load::<String>(&mut *reader).await?;
                reader.finish();
                lines.join("\n")
            }
            Backend::Sqlite(sqlite) => {
                let mut reader = sqlite.reader().await?;
                let query = Explain($query, OfSqlite);
                let lines: Vec<(i32, i32, i32, String)> = query.load(&mut *reader).await?;
                lines.into_iter().map(|(.., line)| line).collect::<Vec<_>>().join("\n")
            }
        };
        let scans = text.lines().any(|line| scans_a_table(line, &text));
        Plan { reading: $reading, text, scans }
    }};
}

/// The tables that grow with every message. Others are gone through where they are small, which is right.
const GROWING: [&str; 3] = ["messages", "mailbox_entries", "attachments"];

/// Whether a line of a plan says that a whole table is gone through. SQLite says so by the table's alias, and words
/// it alike for what it made on the way, which is told by where it made it.
fn scans_a_table(line: &str, plan: &str) -> bool {
    let made = |name: &str| {
        ["CO-ROUTINE", "MATERIALIZE"]
            .iter()
            .any(|how| plan.lines().any(|line| line == format!("{how} {name}")))
    };
    let scanned = line.trim().strip_prefix("SCAN ").filter(|scan| *scan != "CONSTANT ROW");
    let scanned = scanned.and_then(|scan| scan.split(' ').next());
    let of_postgres = line.split("Seq Scan on ").nth(1).and_then(|scan| scan.split(' ').next());
    scanned.is_some_and(|name| !made(name)) || of_postgres.is_some_and(|table| GROWING.contains(&table))
}

impl Store {
    /// How the readings that every client causes would be answered now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn explain(&self) -> Result<Vec<Plan>, StoreError> {
        Ok(vec![
            explain!(self, "a page of a mailbox", queries::page(1, 0, 100)),
            explain!(self, "a page of a conversation", lists::history(1, 2, 1, i64::MAX, 100)),
            explain!(self, "the next page of a conversation", lists::history_after(1, 2, 1, 0, 100)),
            explain!(self, "where mailboxes stand", queries::heads(vec![1, 2, 3])),
            explain!(
                self,
                "who asks",
                queries::accounts().filter(users::id.eq(1_i64)).select(queries::account_columns())
            ),
            explain!(self, "what was received and sent", lists::received_and_sent(1, 2, Some(1), 100)),
            explain!(self, "the latest unread messages", lists::latest_unread(1, 2, 5)),
            explain!(self, "conversations", lists::conversations(1, 2, None, None, 100)),
            explain!(self, "a conversation", lists::conversation(1, 2, 1)),
            explain!(self, "what is unread of a conversation", lists::unread_up_to(1, 2, 1, i64::MAX, 100)),
            explain!(self, "whether a message is there", conversations::visible(1, 2, 1)),
            explain!(self, "received or sent messages", lists::mail(1, 2, None, i64::MAX, 50)),
            explain!(self, "a search", lists::search(1, 2, None, (i64::MAX, 2_000), 50, "word")),
            explain!(self, "who may be watched", conversations::acquainted(1, vec![1, 2, 3])),
            explain!(self, "a file", attachments::readable(1, 1)),
        ])
    }
}
