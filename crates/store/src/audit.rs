//! The audit: counts in the store what must never be found. For `doctor` and for tests; it reads every row.

mod rules;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use self::rules::{OF_GROUPS, OF_MESSAGES, OF_WHAT_STANDS_BESIDE};
use crate::error::StoreError;
use crate::store::{Backend, Store};

/// One rule and how often it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What must hold.
    pub rule: &'static str,
    /// Where it does not; 0 is right.
    pub violations: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Store {
    /// Counts the violations of each rule. Reads every row, each rule in its own snapshot: let nothing write
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for (rule, query) in [OF_MESSAGES, OF_GROUPS, OF_WHAT_STANDS_BESIDE].into_iter().flatten() {
            findings.push(Finding { rule, violations: self.count(query).await? });
        }
        Ok(findings)
    }

    /// How many messages there are. Reads every row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_messages(&self) -> Result<i64, StoreError> {
        self.count("SELECT count(*) AS n FROM messages").await
    }

    /// Without the deadline of ordinary reading.
    async fn count(&self, query: &str) -> Result<i64, StoreError> {
        let query = diesel::sql_query(query);
        let count: Count = match &*self.backend {
            Backend::Postgres(postgres) => query.get_result(&mut postgres.patient().await?).await?,
            Backend::Sqlite(sqlite) => query.get_result(&mut *sqlite.reader().await?).await?,
        };
        Ok(count.n)
    }
}
