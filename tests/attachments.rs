//! Files of messages: how they come in and go out, who may have them, and when they are gone.

mod access;
mod download;
pub(crate) mod kit;
mod memory;
mod once;
mod refused;
mod shared;
mod together;

use crate::{BOTH, PROCESSES, Test, test};

use access::{a_file_is_for_those_who_have_its_message, logged_out_is_logged_out};
use download::{names_are_names, parts_of_a_file, what_is_said_of_a_file};
use memory::a_large_file_takes_little_memory;
use once::{
    a_file_has_one_message, a_resend_after_a_deletion_is_a_repeat, a_resend_with_its_files_is_a_repeat,
    two_nodes_race_for_a_file,
};
use refused::{an_upload_cut_off_leaves_nothing, too_large_a_file, too_many_files, what_is_no_upload};
use shared::{nobody_wants_them, several_recipients_share_what_is_stored};
use together::{files_come_with_their_message, files_of_a_form_come_with_their_message};

pub(crate) const TESTS: &[Test] = &[
    test!(files_come_with_their_message, BOTH),
    test!(files_of_a_form_come_with_their_message, BOTH),
    test!(parts_of_a_file, BOTH),
    test!(what_is_said_of_a_file, BOTH),
    test!(names_are_names, BOTH),
    test!(a_file_is_for_those_who_have_its_message, BOTH),
    test!(logged_out_is_logged_out, BOTH),
    test!(a_file_has_one_message, BOTH),
    test!(two_nodes_race_for_a_file, BOTH),
    test!(a_resend_with_its_files_is_a_repeat, BOTH),
    test!(a_resend_after_a_deletion_is_a_repeat, BOTH),
    test!(too_many_files, BOTH),
    test!(too_large_a_file, BOTH, refused::SMALL),
    test!(an_upload_cut_off_leaves_nothing, BOTH),
    test!(what_is_no_upload, BOTH),
    test!(several_recipients_share_what_is_stored, BOTH),
    test!(nobody_wants_them, BOTH),
    test!(a_large_file_takes_little_memory, PROCESSES, memory::LARGE),
];
