//! What clients of the former system rely on, row by row: through raw HTTP and raw frames, logged in by its form, and
//! never through our client.
//!
//! `row` says which row of its contract an assertion is about: `kept` are the points where we had to choose, then come
//! `WebSocket`, `HTTP`, `script` (what its page does) and `suffered` (its defects, by number). The defects that show
//! on the wire, and what shows that they are gone:
//!
//! | defect | test |
//! | --- | --- |
//! | 2: what is sent by form is not pushed | [`contract_of_the_page`] |
//! | 11, 14: what was missed does not come | [`contract_of_a_broken_connection`], `resume`, `polling` |
//! | 12, 13: the broker goes, and so do deliveries or all sockets | `faults::redis_goes_and_comes_back` |
//! | 15, 16: times without zone, order within a minute | [`contract_of_order`] |
//! | 19: two sets of rules | [`contract_of_odd_input`] and [`contract_of_refused_forms`], the same codes |
//! | 20: unread for ever | [`contract_of_the_badge`] |
//! | 21, 23, 24, 25: silence, loose ids, closed sockets, texts of the database | [`contract_of_odd_input`] |
//! | 22: a retry makes a copy | `frames::a_client_id_names_one_message`, [`contract_of_odd_input`] |
//! | 26, 27: neither receipts nor other tabs | [`contract_of_tabs`] |
//! | 28: deleted for both by either | [`contract_of_deleting`] |
//! | 29: after logout | [`contract_of_logout`] |
//! | 30: foreign origin | [`contract_of_the_handshake`] |
//! | 31: dead `url` | [`contract_of_the_page`], [`contract_of_files`] |
//! | 32: status 500 | [`contract_of_methods`], [`contract_of_refused_forms`] |
//! | 33: HTML | [`contract_of_page_tokens`], [`contract_of_strangers`], [`contract_of_methods`] |

mod access;
mod deleting;
mod files;
mod forms;
mod frames;
mod groups;
mod handshake;
mod lists;
mod log_in;
mod long_lists;
mod odd_input;
mod page;
mod pattern;
mod script;
mod sizes;
mod tabs;

use crate::harness::Cluster;
use crate::{BOTH, Test, test};

use access::{contract_of_methods, contract_of_strangers};
use deleting::{contract_of_deleting, contract_of_deleting_by_the_recipient};
use files::{contract_of_file_limits, contract_of_files};
use forms::{contract_of_forms, contract_of_refused_forms};
use frames::{contract_of_frames, contract_of_sends};
use groups::{contract_of_group_messages, contract_of_sections, contract_of_the_policy};
use handshake::contract_of_the_handshake;
use lists::{contract_of_lists, contract_of_notifications, contract_of_users};
use log_in::{contract_of_log_in, contract_of_logout, contract_of_page_tokens};
use long_lists::{contract_of_long_lists, contract_of_order};
use odd_input::contract_of_odd_input;
use page::{contract_of_a_broken_connection, contract_of_polling, contract_of_the_page};
use sizes::contract_of_sizes;
use tabs::{contract_of_tabs, contract_of_the_badge};

pub(crate) const TESTS: &[Test] = &[
    test!(contract_of_the_handshake, BOTH),
    test!(contract_of_frames, BOTH),
    test!(contract_of_sends, BOTH),
    test!(contract_of_odd_input, BOTH),
    test!(contract_of_sizes, BOTH),
    test!(contract_of_log_in, BOTH),
    test!(contract_of_logout, BOTH),
    test!(contract_of_page_tokens, BOTH),
    test!(contract_of_strangers, BOTH),
    test!(contract_of_methods, BOTH),
    test!(contract_of_users, BOTH),
    test!(contract_of_lists, BOTH),
    test!(contract_of_long_lists, BOTH),
    test!(contract_of_order, BOTH),
    test!(contract_of_notifications, BOTH),
    test!(contract_of_forms, BOTH),
    test!(contract_of_refused_forms, BOTH),
    test!(contract_of_files, BOTH),
    test!(contract_of_file_limits, BOTH, files::SMALL),
    test!(contract_of_deleting, BOTH),
    test!(contract_of_deleting_by_the_recipient, BOTH),
    test!(contract_of_the_page, BOTH),
    test!(contract_of_polling, BOTH),
    test!(contract_of_a_broken_connection, BOTH),
    test!(contract_of_tabs, BOTH),
    test!(contract_of_the_badge, BOTH),
    test!(contract_of_sections, BOTH),
    test!(contract_of_group_messages, BOTH),
    test!(contract_of_the_policy, BOTH, groups::ONLY_IN_GROUPS),
];

/// Ends the cluster after a look at how many messages were ever stored.
async fn finish_with(cluster: Cluster, n_messages: i64) -> anyhow::Result<()> {
    let stored = cluster.store.count_messages().await?;
    anyhow::ensure!(stored == n_messages, "{stored} messages are stored instead of {n_messages}");
    cluster.finish().await
}
