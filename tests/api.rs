//! `/api/v1`: the shape of each answer, pages to their end, searching, refusals, and the document that describes it.

mod document;
mod paging;
mod refusals;
mod shapes;

use crate::{BOTH, Test, test};

use document::{answers_are_as_described, every_route_is_described, what_is_described_is_there};
use paging::{
    conversations_page_to_their_end, history_pages_to_its_end, users_are_searched, users_page_to_their_end,
};
use refusals::{foreign_and_unknown_are_alike, numbers_that_cannot_be, texts_up_to_their_limits};
use shapes::{
    accounts_have_their_shape, events_have_their_shape, messages_have_their_shape, repeats_change_nothing,
};

pub(crate) const TESTS: &[Test] = &[
    test!(accounts_have_their_shape, BOTH),
    test!(messages_have_their_shape, BOTH),
    test!(events_have_their_shape, BOTH),
    test!(repeats_change_nothing, BOTH),
    test!(users_page_to_their_end, BOTH),
    test!(users_are_searched, BOTH),
    test!(conversations_page_to_their_end, BOTH),
    test!(history_pages_to_its_end, BOTH),
    test!(foreign_and_unknown_are_alike, BOTH),
    test!(numbers_that_cannot_be, BOTH),
    test!(texts_up_to_their_limits, BOTH),
    test!(every_route_is_described, BOTH),
    test!(what_is_described_is_there, BOTH),
    test!(answers_are_as_described, BOTH),
];
