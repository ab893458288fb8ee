//! Who is let in, by which way, on whose behalf, and how they are cut off: through every transport, on both nodes.

mod accounts;
mod cut_off;
mod frozen;
mod issuers;
mod live;
mod origins;
mod profile;
mod proxies;
mod secrets;
mod throttling;
mod tickets;
mod ways_in;

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use switchboard_node::auth::{new_api_key, secret_hash};

use crate::harness::Cluster;
use crate::harness::http::{Answer, PASSWORD, send, send_json};
use crate::{BOTH, PROCESSES, Test, test};

use accounts::{
    a_body_is_checked_before_it_counts, a_session_is_a_cookie, accounts_can_be_switched_off,
    names_and_passwords_are_checked, one_name_is_taken_once, registration_can_be_closed,
};
use cut_off::{
    a_disabled_user_is_cut_off, a_log_out_ends_its_session, a_new_password_spares_its_session,
    a_revoked_key_is_cut_off, who_comes_back_is_not_cut_off_again, without_redis_they_are_cut_off_too,
};
use frozen::a_frozen_node_shows_nothing_when_it_wakes;
use issuers::{
    an_external_user_is_created_at_first_sight, one_issuer_is_trusted_and_its_keys,
    two_nodes_see_somebody_first,
};
use origins::{
    a_cookie_counts_for_our_pages_only, nobody_is_logged_in_by_a_foreign_page, other_origins_can_be_allowed,
};
use profile::{a_full_name_is_changed, a_password_is_changed_by_who_knows_it};
use proxies::{a_strangers_headers_are_not_believed, a_trusted_proxy_is_believed};
use secrets::no_secret_is_told;
use throttling::{an_address_is_slowed, guesses_are_slowed_and_tell_nothing, new_accounts_are_slowed};
use tickets::{a_ticket_counts_once, tickets_that_do_not_count, two_nodes_race_one_ticket};
use ways_in::{
    a_back_end_names_its_user, a_page_says_whose_it_is, each_way_in_leads_everywhere, the_first_way_decides,
};

pub(crate) const TESTS: &[Test] = &[
    test!(each_way_in_leads_everywhere, BOTH),
    test!(a_back_end_names_its_user, BOTH, MANY_FAILURES),
    test!(a_page_says_whose_it_is, BOTH, proxies::FEW_FAILURES),
    test!(the_first_way_decides, BOTH),
    test!(a_ticket_counts_once, BOTH),
    test!(two_nodes_race_one_ticket, BOTH, MANY_FAILURES),
    test!(tickets_that_do_not_count, BOTH, MANY_FAILURES),
    test!(an_external_user_is_created_at_first_sight, BOTH),
    test!(two_nodes_see_somebody_first, BOTH),
    test!(one_issuer_is_trusted_and_its_keys, BOTH, issuers::ONE_ISSUER),
    test!(a_cookie_counts_for_our_pages_only, BOTH),
    test!(other_origins_can_be_allowed, BOTH, origins::ALLOWED),
    test!(nobody_is_logged_in_by_a_foreign_page, BOTH),
    test!(a_strangers_headers_are_not_believed, BOTH, proxies::FEW_FAILURES),
    test!(a_trusted_proxy_is_believed, BOTH, proxies::TRUSTED),
    test!(a_session_is_a_cookie, BOTH),
    test!(names_and_passwords_are_checked, BOTH, accounts::MANY_ACCOUNTS),
    test!(one_name_is_taken_once, BOTH),
    test!(a_body_is_checked_before_it_counts, BOTH),
    test!(registration_can_be_closed, BOTH, accounts::CLOSED),
    test!(accounts_can_be_switched_off, BOTH, accounts::OFF),
    test!(guesses_are_slowed_and_tell_nothing, BOTH, throttling::FEW_GUESSES),
    test!(an_address_is_slowed, BOTH, proxies::FEW_FAILURES),
    test!(new_accounts_are_slowed, BOTH, throttling::FEW_ACCOUNTS),
    test!(a_full_name_is_changed, BOTH),
    test!(a_password_is_changed_by_who_knows_it, BOTH, throttling::FEW_GUESSES),
    test!(a_log_out_ends_its_session, BOTH),
    test!(a_new_password_spares_its_session, BOTH),
    test!(a_disabled_user_is_cut_off, BOTH),
    test!(a_revoked_key_is_cut_off, BOTH),
    test!(who_comes_back_is_not_cut_off_again, BOTH),
    test!(without_redis_they_are_cut_off_too, PROCESSES),
    test!(a_frozen_node_shows_nothing_when_it_wakes, PROCESSES),
    test!(no_secret_is_told, PROCESSES),
];

/// For a test that fails more often than one address may.
const MANY_FAILURES: &[(&str, &str)] = &[("SWITCHBOARD_LIMITS__FAILED_HANDSHAKES_PER_MINUTE", "1000000")];

/// What our own pages send along, so that their cookie counts.
const FROM_OUR_PAGE: &str = "X-Requested-With: XMLHttpRequest";

/// Logs in by JSON.
async fn log_in(
    address: SocketAddr,
    username: &str,
    password: &str,
    headers: &[String],
) -> anyhow::Result<Answer> {
    let body = json!({"username": username, "password": password});
    send_json(address, "POST", "/api/v1/auth/login", headers, &body).await
}

/// The header lines of a page in a new session of a user.
async fn page_of(address: SocketAddr, user: i64) -> anyhow::Result<Vec<String>> {
    let answer = log_in(address, &format!("user{user}"), PASSWORD, &[]).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    Ok(vec![cookie(&answer)?, FROM_OUR_PAGE.to_owned()])
}

/// The header line that brings back the cookie of an answer.
fn cookie(answer: &Answer) -> anyhow::Result<String> {
    let cookie = answer.header("set-cookie").context("no cookie")?;
    Ok(format!("Cookie: {}", cookie.split(';').next().context("no value")?))
}

/// Posts without a body.
async fn post(address: SocketAddr, path: &str, headers: &[String]) -> anyhow::Result<Answer> {
    send(address, "POST", path, headers, &[]).await
}

/// A ticket for whom these header lines name.
async fn ticket(address: SocketAddr, headers: &[String]) -> anyhow::Result<String> {
    let answer = post(address, "/api/v1/auth/ticket", headers).await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    Ok(answer.json()?["ticket"].as_str().context("no ticket")?.to_owned())
}

/// A new API key.
async fn api_key(cluster: &Cluster, name: &str) -> anyhow::Result<String> {
    let key = new_api_key();
    let created = cluster.store.create_api_key(name, &secret_hash(&key)).await?;
    created.with_context(|| format!("`{name}` is taken"))?;
    Ok(key)
}

/// The header lines of a back end that asks on behalf of a user.
fn on_behalf(key: &str, user: impl std::fmt::Display) -> Vec<String> {
    vec![format!("Authorization: Bearer {key}"), format!("Switchboard-User: {user}")]
}

/// An answer is a problem with this status and code.
fn check_problem(what: &str, answer: &Answer, status: u16, code: &str) -> anyhow::Result<()> {
    let body = answer.json().with_context(|| format!("{what}: {}", answer.status))?;
    let expect = (status, &json!(status), &json!(code));
    ensure!((answer.status, &body["status"], &body["code"]) == expect, "{what}: {} {body}", answer.status);
    let kind = answer.header("content-type");
    ensure!(kind == Some("application/problem+json"), "{what}: {kind:?}");
    Ok(())
}

/// A handshake was refused with this status and code.
fn check_refused<T>(
    what: &str,
    handshake: Result<T, (u16, Value)>,
    status: u16,
    code: &str,
) -> anyhow::Result<()> {
    let (got, body) = handshake.err().with_context(|| format!("{what}: it was let in"))?;
    ensure!((got, &body["code"]) == (status, &json!(code)), "{what}: {got} {body}");
    Ok(())
}
