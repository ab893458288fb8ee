//! A connection lent by a pool: put back only once the work on it has ended.

use std::ops::{Deref, DerefMut};

use diesel_async::AsyncConnection;
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
