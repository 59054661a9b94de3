//! The contract: what every store does, whatever engine it stands on. Each test is a function of a store; the
//! list below runs all of them on each engine.

mod access;
mod changes;
mod channels;
mod connects;
mod deliveries;
mod directory;
mod endpoints;
mod engine;
mod inbox;
mod installations;
mod keeping;
mod lanes;
mod migrations;
mod outbox;
mod paces;
mod postgres;
mod refreshes;
mod renewal;
mod scene;
mod sessions;
mod settle;
mod sqlite;

/// Runs every test on an engine that `$open` opens.
macro_rules! contract {
    ($open:path: $($room:ident::{$($test:ident),* $(,)?}),* $(,)?) => {
        $(mod $room {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let engine = $open().await;
                    crate::$room::$test(&crate::scene::Scene::on(engine).await).await;
                }
            )*
        })*
    };
}

macro_rules! on_every_engine {
    ($($tests:tt)*) => {
        mod on_sqlite {
            contract! { crate::engine::sqlite: $($tests)* }
        }
        mod on_postgres {
            contract! { crate::engine::postgres: $($tests)* }
        }
    };
}

on_every_engine! {
    access::{keys_are_listed_used_and_revoked, the_audit_is_listed_newest_first_and_to_whom_it_concerns,
        a_tenant_is_recorded_once, a_key_is_found_by_its_secret_alone, who_asks_at_once_is_told_of_their_own, an_idempotency_key_makes_one_thing},
    connects::{a_link_works_until_it_is_consumed_or_expires, a_nonce_is_consumed_once_however_many_try},
    directory::{
        a_workspace_is_crawled_page_by_page_and_what_is_gone_goes,
        channels_are_found_by_what_their_names_hold,
        a_channel_that_takes_nothing_is_marked_until_it_does,
        routes_are_a_workspaces_own,
    },
    endpoints::{a_declared_endpoint_keeps_its_id, an_endpoint_no_longer_declared_gets_nothing_and_keeps_what_waits,
        an_endpoint_that_was_made_keeps_its_secret_and_survives_a_start, a_removed_endpoint_takes_what_waits_with_it,
        an_endpoint_is_changed_and_one_that_is_declared_is_not, a_rotated_secret_is_good_beside_the_new_one,
        a_change_of_health_is_made_by_one, an_erased_tenant_leaves_its_endpoints},
    inbox::{
        a_request_is_stored_with_its_deliveries,
        the_same_event_twice_at_once_is_stored_once,
        a_request_that_cannot_be_stored_harms_only_itself,
        hostile_text_comes_back_as_it_went,
        every_text_may_hold_anything,
        a_retry_is_counted_with_the_first,
        a_response_url_has_five_answers,
        an_unclaimed_request_is_claimed_once,
        a_replayed_request_is_due_again,
        another_tenants_requests_are_none,
        lists_come_in_pages_newest_first,
        lists_are_filtered,
        only_a_waiting_request_is_answered,
    },
    deliveries::{
        two_takers_share_the_work,
        what_is_due_is_counted_up_to_the_slots,
        first_attempts_go_by_their_turn_and_not_behind_retries,
        a_flood_of_one_tenant_is_before_nobody_elses_first_word,
        the_oldest_of_what_waits_is_known,
        no_more_is_taken_than_there_are_slots,
        a_retry_waits_for_its_time,
        who_comes_late_is_fenced,
        another_tenant_finishes_nothing,
        a_dead_process_leaves_an_event_to_be_repeated,
        a_dead_process_leaves_a_command_unanswered,
        what_waited_beyond_its_life_is_dead,
        an_unanswered_request_takes_what_was_not_begun_with_it,
        answers_are_kept_with_the_attempt,
        deliveries_are_listed_by_state_endpoint_and_tenant,
        dead_letters_are_made_again_once,
        what_waits_for_its_time_can_be_hastened,
        what_expired_names_its_endpoint,
    },
    channels::{a_channel_that_moved_is_found_where_it_is_now, a_channel_loses_its_names},
    sessions::{
        a_dashboard_link_lets_one_in_however_many_open_it,
        a_link_of_dev_works_as_often_as_it_is_opened,
        a_session_ends_when_told_or_in_time,
    },
    outbox::{
        a_message_is_kept_with_its_lane,
        what_waits_for_an_installation_that_is_gone_fails_with_the_reason,
        what_is_queued_is_counted,
        a_message_and_its_attempts_are_of_one_moment,
        what_waited_too_long_expires,
        an_idempotency_key_sends_one_message,
        another_tenants_messages_are_none,
        messages_come_in_pages_newest_first,
    },
    lanes::{
        a_lane_has_one_in_flight_and_keeps_its_order,
        two_senders_never_share_a_lane,
        a_head_that_waits_parks_its_own_lane_only,
        a_lane_that_does_not_move_says_so,
        the_lanes_of_a_tenant_take_turns,
        one_tenants_flood_is_before_nobody_elses_first_message,
        what_answers_a_person_goes_before_the_rest,
        what_answers_a_person_pays_for_its_turn,
        however_it_is_spelled_a_channel_is_one_lane,
        a_channels_pace_counts_whatever_is_posted_there,
        what_waits_under_a_spelling_is_not_overtaken,
    },
    paces::{
        slacks_pace_holds_across_lanes_and_senders,
        a_refusal_rests_what_earned_it,
        a_call_past_the_outbox_takes_its_turn,
    },
    settle::{
        messages_are_settled_together_each_by_itself,
        a_sender_that_died_leaves_its_message_uncertain_at_the_head_of_its_lane,
        the_mark_of_what_may_stand_twice_outlives_its_sender,
        what_slack_surely_said_makes_an_uncertain_message_certain,
        what_comes_to_the_same_when_repeated_is_repeated,
    },
    changes::{
        what_is_scheduled_waits_in_no_lane,
        a_message_is_taken_back_or_sent_after_all,
    },
    keeping::{
        bodies_go_after_a_week_and_records_after_a_month,
        nothing_that_waits_is_deleted_by_age,
        what_matches_nobody_is_kept_a_day,
        what_was_seen_is_known_for_26_hours_and_keys_for_a_day,
        more_than_one_part_is_forgotten_in_parts,
        after_a_rotation_the_old_key_is_not_needed,
        what_does_not_open_is_named_and_left,
        a_corrupted_row_is_an_error_that_names_it,
        an_erased_tenant_leaves_nothing,
        what_names_a_person_is_erased_and_the_rest_stays,
        what_a_restored_backup_had_to_send_is_held,
        an_odd_but_allowed_tenant_is_like_any_other,
    },
    installations::{
        two_tenants_connecting_one_workspace_at_once,
        a_re_install_keeps_the_id_and_replaces_the_token,
        an_installation_is_found_by_team_then_by_org,
        without_an_app_the_place_must_be_unambiguous,
        what_was_found_before_is_as_it_is_now,
        another_tenant_gets_no_token,
        what_ended_is_removed_unless_it_was_made_anew,
        an_org_counts_for_the_workspaces_it_was_granted,
        the_only_one_is_meant_while_there_is_no_other,
        what_ended_hides_nothing_that_lives,
        one_credential_goes_alone,
        one_that_slack_refuses_is_broken_until_it_is_made_anew,
        workspaces_of_an_org_come_and_go,
        a_moved_one_takes_its_tokens_along,
        what_is_parked_waits_for_its_secret_and_for_half_an_hour,
    },
    refreshes::{
        what_expires_is_taken_by_one_when_it_is_due,
        a_new_pair_takes_the_old_ones_place,
        who_comes_late_changes_nothing,
        a_re_install_is_not_undone_by_a_late_answer,
        what_slack_renews_no_more_is_broken,
        on_demand_one_renews_and_the_others_wait,
        with_the_first_token_that_ends_the_others_are_exchanged,
        what_another_program_has_as_well_is_not_exchanged,
        the_companys_own_token_is_left_alone,
        a_restart_gives_leases_back,
        another_tenant_renews_nothing,
        how_an_installation_does_is_told,
        a_pair_that_could_not_be_stored_in_time_mends_what_was_taken_for_ended,
        what_an_earlier_version_stored_is_renewed_as_well,
    },
    renewal::{no_token_is_bricked_whatever_dies},
}
