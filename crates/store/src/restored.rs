//! What has to be done to a store that was restored from a backup.

use diesel_async::RunQueryDsl;

use crate::error::StoreError;
use crate::store::{Backend, Store, change};

impl Store {
    /// Gives every mailbox a new epoch, so that no client goes on from a position that meant another entry before: each is
    /// reset, and loads anew. A restored mailbox that is ahead of a client's cursor again would show no difference
    /// otherwise. Gives the number of mailboxes. No node may serve the store meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renew_epochs(&self) -> Result<usize, StoreError> {
        match &*self.backend {
            // Every mailbox there is: longer than what a request may take.
            Backend::Postgres(postgres) => {
                let renew = "UPDATE mailboxes SET epoch = replace(gen_random_uuid()::text, '-', '')";
                Ok(diesel::sql_query(renew).execute(&mut postgres.patient().await?).await?)
            }
            Backend::Sqlite(_) => {
                let renew = "UPDATE mailboxes SET epoch = lower(hex(randomblob(16)))";
                change!(self, connection => diesel::sql_query(renew).execute(connection))
            }
        }
    }
}
