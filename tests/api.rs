//! `/api/v1`: the shape of each answer, pages to their end, searching, refusals, and the document that describes it.

mod document;
mod paging;
mod refusals;
mod shapes;
mod talks;

use crate::{BOTH, Test, test};

use document::{answers_are_as_described, every_route_is_described, what_is_described_is_there};
use paging::{
    conversations_page_to_their_end, groups_page_among_the_others, history_pages_to_its_end,
    own_messages_page_to_their_end, search_pages_to_its_end, users_are_searched, users_page_to_their_end,
    wide_findings_page_too,
};
use refusals::{foreign_and_unknown_are_alike, numbers_that_cannot_be, texts_up_to_their_limits};
use shapes::{
    accounts_have_their_shape, events_have_their_shape, messages_have_their_shape, repeats_change_nothing,
};
use talks::{
    a_conversation_is_read_by_up_to, changes_answer_with_their_entry, changes_by_cookie_need_their_origin,
    conversations_have_their_shape, own_things_have_their_shape, what_was_kept_is_shown_no_more,
};

pub(crate) const TESTS: &[Test] = &[
    test!(accounts_have_their_shape, BOTH),
    test!(messages_have_their_shape, BOTH),
    test!(events_have_their_shape, BOTH),
    test!(repeats_change_nothing, BOTH),
    test!(changes_answer_with_their_entry, BOTH),
    test!(conversations_have_their_shape, BOTH),
    test!(own_things_have_their_shape, BOTH),
    test!(what_was_kept_is_shown_no_more, BOTH, &[("SWITCHBOARD_MESSAGES__KEEP_VERSIONS", "false")]),
    test!(changes_by_cookie_need_their_origin, BOTH),
    test!(a_conversation_is_read_by_up_to, BOTH),
    test!(users_page_to_their_end, BOTH),
    test!(users_are_searched, BOTH),
    test!(conversations_page_to_their_end, BOTH),
    test!(history_pages_to_its_end, BOTH),
    test!(groups_page_among_the_others, BOTH),
    test!(own_messages_page_to_their_end, BOTH),
    test!(search_pages_to_its_end, BOTH),
    test!(wide_findings_page_too, BOTH),
    test!(foreign_and_unknown_are_alike, BOTH),
    test!(numbers_that_cannot_be, BOTH),
    test!(texts_up_to_their_limits, BOTH),
    test!(every_route_is_described, BOTH),
    test!(what_is_described_is_there, BOTH),
    test!(answers_are_as_described, BOTH),
];
