//! What the rooms for files do is the same by HTTP/2: their tests once more, with every request by it.
//!
//! Not again: what looks at bytes on the wire, at sockets or at a client that leaves in the middle, which are other things in
//! each version; and what would only be slow twice.

macro_rules! again {
    ($room:ident: $($topic:ident { $($test:ident)* })*) => {
        mod $room {$(
            mod $topic {$(
                #[test]
                fn $test() {
                    crate::files::again::by_http2(crate::$room::$topic::$test);
                }
            )*}
        )*}
    };
}

again! { files:
    answers {
        b8_f5_the_type_goes_by_the_extension
        h11_binary_files_arrive_as_they_are
        h12_a_head_is_that_of_the_get
        g12_other_methods_are_told_what_may_be_asked
        h15_custom_fields_are_on_every_answer
        l11_fields_for_caches
        h10_b24_error_pages_by_status
        l4_every_answer_has_a_final_status
    }
    coding {
        f6_siblings_are_served_to_those_who_take_them
        f6_siblings_come_change_grow_old_and_go
        f6_text_is_compressed_once_and_the_first_answer_does_not_wait
        f6_the_first_answer_is_the_file_as_it_is
        f6_what_is_not_worth_it_is_not_compressed
        f6_every_answer_about_a_negotiated_file_says_vary
        f6_a_range_is_of_the_file_itself
    }
    conditional {
        f4_l11_preconditions_in_the_order_of_rfc_9110
        l11_a_304_has_the_fields_that_caches_need
        f4_a_412_and_a_416_tell_about_themselves
    }
    listing {
        u17_f7_a_document_for_programs
        u15_u17_u20_documents_are_what_uhttpd_sends
        f7_accept_or_the_query_chooses
        f7_without_listings_there_is_nothing_to_see
        f7_a_page_for_people
        f8_pages_follow_one_another
    }
    live {
        b4_files_come_change_and_go_while_served
        b4_a_kept_file_that_changed_is_found_out
        b18_an_index_file_comes_and_goes
        f2_a_kept_file_is_served_without_looking_as_long_as_it_is_fresh
        f4_a_young_file_is_not_kept_and_its_tag_is_weak
        f4_the_tag_changes_with_time_length_and_coding
    }
    paths {
        h7_h8_b5_b18_a_path_leads_to_its_file
        h9_b20_h12_other_paths_lead_nowhere
        f3_hidden_names_and_outward_links_are_served_on_request
        h12_a_folder_without_its_slash_is_redirected
        f1_single_page_app
        f1_index_files_by_preference
        f1_one_file_alone
        f17_the_longest_mount_decides
    }
    range {
        f4_one_range
        f4_a_file_of_more_than_4_gib
        f4_several_ranges
        f4_too_many_ranges_are_ignored
        f4_if_range_continues_only_the_same_file
    }
}

again! { uploads:
    access {
        wish_1_each_change_needs_its_own_right
        wish_2_who_could_log_in_is_asked_to
        design_7_a_rule_below_refuses_the_whole
        design_7_the_files_of_a_form_need_rights_by_their_own_names
        u31_a_function_that_waits_is_asked_about_each_path
    }
    conditions {
        f9_preconditions_decide
        f9_a_tag_that_was_read_is_one_to_write_with
        f9_whoever_names_the_file_that_is_there_replaces_it
        f9_counters_do_not_lose_an_increment
    }
    copying {
        f10_a_file_is_copied
        f10_a_taken_name_goes_by_the_policy
        f10_mkcol_makes_a_folder_in_one_that_is_there
    }
    dates {
        f9_a_file_keeps_its_date
        f4_f9_files_of_one_date_and_length_are_told_apart
    }
    endpoint {
        u26_u27_the_name_comes_from_content_disposition
        u19_u28_files_go_to_the_external_storage_while_it_is_there
        u19_what_the_external_storage_lacks_comes_from_the_internal_one
        u19_what_is_there_is_what_readers_see
        u19_who_may_add_replaces_nothing_that_readers_see
        u19_a_move_hides_nothing_that_readers_see
    }
    forms {
        f9_the_files_of_a_form_are_stored
        f9_the_names_in_a_form_lead_nowhere_else
        f9_a_form_is_taken_whole_or_not_at_all
        f9_a_form_that_repeats_a_name_keeps_both_if_asked_to
    }
    moving {
        f10_files_and_folders_are_moved
        f10_a_taken_name_goes_by_the_policy
        f10_a_move_stays_below_its_mount
    }
    removing {
        u24_u25_files_and_folders_are_removed
        u24_a_form_removes_a_file_and_shows_the_listing
    }
    storing {
        f9_u22_content_is_stored_as_it_is
        u22_content_can_be_stored_as_it_is_whatever_it_is
        f9_content_of_any_length_arrives_whole
        u23_a_path_with_a_slash_at_its_end_makes_a_folder
        f9_what_cannot_be_stored_is_refused
        f9_a_taken_name_goes_by_the_policy
        f9_what_we_write_shows_at_once
        u11_other_methods_are_told_what_would_do
        f18_a_disk_that_is_full_is_507
    }
}
