package locktest_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver/locktest"
)

// broken are drivers that break one promise each, and the cases that must
// find out. Every case of the suite is here at least once: a case that no
// broken driver fails proves nothing.
var broken = []struct {
	bug   string
	cases []string
}{
	// Declarations.
	{"harness gives no reason", []string{"network/session_that_ended_takes_its_leases_along_or_none"}},
	{"harness denies a hook that it has", []string{"network/session_that_ended_takes_its_leases_along_or_none"}},
	{"harness has no URL", []string{"mutex/held_key_excludes_others"}},
	{"lacks a reason", []string{"declares/capabilities_are_well_formed"}},
	{"denies shared", []string{"declares/shared"}},
	{"denies limit", []string{"declares/limit"}},
	{"denies minhold", []string{"declares/minhold"}},
	{"denies tokenblocks", []string{"declares/tokenblocks"}},
	{"denies ttl", []string{"declares/ttl"}},
	{"denies adopt", []string{"declares/adopt"}},
	{"denies processes", []string{"declares/processes"}},
	{"denies durable", []string{"declares/durable"}},
	{"denies break", []string{"declares/break"}},
	{"hides shared", []string{"declares/shared", "shared/readers_share"}},
	{"hides limit", []string{"declares/limit", "limit/limit_lets_n_in_and_no_more"}},
	{"hides minhold", []string{"declares/minhold", "minhold/released_lease_keeps_its_key"}},
	{"hides tokenblocks", []string{"declares/tokenblocks", "tokens/blocks_do_not_overlap"}},
	{"hides ttl", []string{"declares/ttl", "renew/renew_with_a_shorter_ttl"}},
	{"hides adopt", []string{"declares/adopt", "renew/renew_by_another_client"}},
	{"hides break", []string{"declares/break", "break/broken_gently_keeps_the_key_until_release"}},
	{"bounds it does not declare", []string{"exclusion/bounds_of_a_request_are_kept", "limit/large_limit"}},

	// Exclusion.
	{"grants twice", []string{"mutex/held_key_excludes_others", "rw_as_mutex/held_key_excludes_others", "mutex/200_in_contention_count_exactly"}},
	{"reentrant", []string{"mutex/holder_excludes_itself"}},
	{"grants too much to a crowd", []string{"mutex/200_in_contention_count_exactly", "exclusion/many_clients_share_one_store"}},
	{"readers make a key shared for ever", []string{"rw_as_mutex/held_key_excludes_others", "rw_as_mutex/200_in_contention_count_exactly"}},
	{"one permit more", []string{"semaphore_as_mutex/held_key_excludes_others", "semaphore_as_mutex/200_in_contention_count_exactly", "limit/limit_lets_n_in_and_no_more"}},
	{"a store for each client", []string{"mutex/held_key_excludes_others", "exclusion/many_clients_share_one_store"}},
	{"a store for each process", []string{
		"processes/processes_exclude_each_other", "processes/processes_count_exactly_in_a_file", "processes/processes_stand_in_one_line",
		"processes/lease_is_adopted_by_another_process", "declares/processes",
	}},
	{"release does nothing", []string{"mutex/free_again_after_release"}},
	{"late release", []string{"mutex/free_again_after_release", "try/free_key_is_granted", "queue/release_grants_the_next_in_the_same_step"}},
	{"one wait at a time", []string{"exclusion/waiting_for_one_key_does_not_hold_up_another"}},
	{"checks nothing", []string{"exclusion/invalid_requests_are_refused", "keys/invalid_keys_are_refused"}},

	// The line.
	{"last come, first served", []string{
		"mutex/line_of_ten_is_first_come_first_served", "limit/freed_permits_go_to_the_line_in_order",
		"cancel/leaver_comes_back_at_the_end_of_the_line", "shared/readers_are_granted_together_after_a_writer",
	}},
	{"waits no longer than the ttl", []string{"queue/wait_outlasts_the_ttl_asked_for"}},
	{"leaver moves nobody up", []string{"shared/leaving_writer_lets_readers_in_at_once"}},
	{"cancel leaves the line", []string{
		"mutex/cancelled_wait_leaves_nothing", "queue/line_passes_over_those_who_left", "queue/leaver_at_the_head_lets_the_next_move_up",
		"cancel/wait_ends_with_the_deadline", "cancel/leaver_in_the_middle_keeps_the_order_of_the_rest", "cancel/crowd_that_leaves_leaves_nothing",
		"retry/retry_of_a_waiting_attempt_that_is_cancelled_leaves_nothing", "minhold/waiter_with_a_minimum_hold_leaves_at_once",
		"close/close_ends_waits_and_leaves_nothing_in_line", "processes/ended_process_leaves_the_line",
		"tokens/attempts_that_were_never_granted_cost_no_order",
	}},
	{"cancel leaves a grant", []string{"mutex/cancel_racing_the_grant_leaves_nothing", "close/close_racing_the_grant_leaves_nothing"}},

	// Readers, writers, permits.
	{"shared excludes", []string{"shared/readers_share", "shared/readers_are_granted_together_after_a_writer"}},
	{"readers ignore writers", []string{"shared/writer_excludes_readers"}},
	{"writers ignore readers", []string{"shared/writer_waits_for_the_last_reader"}},
	{"readers barge", []string{"shared/waiting_writer_holds_back_later_readers", "try/line_comes_before_those_who_do_not_wait"}},
	{"ignores the limit", []string{"limit/limit_lets_n_in_and_no_more"}},
	{"last limit wins", []string{"limit/another_limit_is_refused", "limit/another_limit_is_refused_while_readers_hold"}},
	{"limit error is wrong", []string{"limit/another_limit_is_refused"}},
	{"first limit stays", []string{"limit/limit_may_change_once_the_key_is_free"}},

	// Asking without waiting.
	{"busy names nobody", []string{"try/busy_names_the_holder", "try/busy_names_holders_of_a_semaphore", "try/busy_names_some_of_a_crowd"}},
	{"tries join the line", []string{"try/refused_attempt_is_not_in_line"}},

	// Contexts.
	{"deaf to contexts", []string{"cancel/wait_ends_with_the_deadline", "network/silent_store_does_not_hang_anybody"}},
	{"ignores ended contexts", []string{"cancel/ended_context_does_nothing"}},
	{"context errors are its own", []string{"cancel/wait_ends_with_the_deadline"}},
	{"the context ends the hold", []string{"cancel/context_bounds_the_wait_and_not_the_hold"}},

	// Attempts that are sent twice.
	{"retry mints a new token", []string{"mutex/retry_of_a_grant_returns_the_same_grant", "network/lost_reply_to_acquire_is_settled_by_a_retry"}},
	{"retry joins at the end", []string{"retry/retry_of_a_waiting_attempt_keeps_its_place"}},
	{"retry keeps the ttl", []string{"retry/retry_of_a_grant_starts_its_ttl_anew"}},
	{"retry revives what was broken", []string{"retry/retry_of_a_lease_that_was_broken_is_lost"}},
	{"ids count for one client", []string{
		"retry/retry_by_another_client_returns_the_same_grant", "release/release_by_another_client", "renew/renew_by_another_client",
	}},

	// Release and renew.
	{"release frees anybody", []string{
		"release/second_release_does_nothing_to_others", "release/release_with_a_wrong_id_frees_nobody",
		"release/release_after_loss_frees_nobody", "network/lost_reply_to_release_does_no_harm",
	}},
	{"release does not withdraw", []string{"release/release_withdraws_a_waiter"}},
	{"withdrawn calls hang", []string{"release/release_withdraws_a_waiter"}},
	{"release always works", []string{"release/release_of_an_unused_key_is_lost", "processes/frozen_holder_learns_that_it_lost"}},
	{"renew does nothing", []string{"renew/renewed_lease_outlives_its_ttl", "renew/renew_with_a_longer_ttl"}},
	{"renew ignores the ttl", []string{"renew/renew_with_a_shorter_ttl", "renew/renew_with_a_longer_ttl"}},
	{"renew ignores the token", []string{"renew/old_token_of_an_attempt_stays_lost"}},
	{"renew always works", []string{
		"renew/renew_after_expiry_is_lost", "renew/lost_lease_never_comes_back", "renew/renew_after_release_is_lost",
		"renew/renew_with_a_wrong_id_is_lost", "minhold/minimum_hold_does_not_revive_a_lost_lease", "mutex/expired_lease_is_handed_over",
		"processes/frozen_holder_learns_that_it_lost",
	}},

	// Time.
	{"no expiry timer", []string{
		"mutex/expired_lease_is_handed_over", "shared/expired_readers_give_way_to_a_writer", "limit/expired_permit_frees_one",
		"expiry/line_moves_on_over_dead_holders", "minhold/key_passes_on_when_the_minimum_hold_is_over",
	}},
	{"never expires", []string{"mutex/expired_lease_can_be_tried_for", "list/expired_lease_is_not_listed"}},
	{"early expiry", []string{
		"mutex/expired_lease_is_handed_over", "mutex/expired_lease_can_be_tried_for", "expiry/deadline_comes_before_the_next_grant",
		"limit/expired_permit_frees_one", "processes/killed_holder_keeps_its_key_until_expiry", "close/close_leaves_leases_until_they_expire",
	}},
	{"ttl counts from the request", []string{"expiry/ttl_of_a_waiter_counts_from_its_grant"}},
	{"from is zero", []string{"expiry/grant_after_a_long_wait_has_time_left"}},
	{"from is now", []string{"processes/frozen_waiter_is_not_late_without_knowing"}},
	{"reads a clock of its own", []string{"expiry/deadline_counts_from_the_readings_of_the_caller"}},

	// Tokens.
	{"token repeats", []string{
		"mutex/tokens_rise_from_grant_to_grant", "tokens/rise_across_expiry", "tokens/rise_across_break", "tokens/rise_with_each_reader",
		"tokens/rise_with_each_permit", "tokens/rise_across_changes_of_limit", "tokens/attempts_that_were_never_granted_cost_no_order",
	}},
	{"blocks of one token", []string{"tokens/blocks_do_not_overlap", "tokens/waiters_get_blocks_too"}},
	{"counts from one", []string{"tokens/rise_though_the_record_was_dropped"}},

	// Minimum hold, break.
	{"no minimum hold", []string{
		"minhold/released_lease_keeps_its_key", "minhold/key_passes_on_when_the_minimum_hold_is_over", "minhold/minimum_hold_outlives_a_dead_holder",
	}},
	{"minimum hold begins with the release", []string{"minhold/minimum_hold_that_is_over_delays_nothing"}},
	{"breaks are always now", []string{"break/broken_gently_keeps_the_key_until_release", "break/broken_gently_keeps_the_key_until_expiry"}},
	{"breaks are always gentle", []string{"break/broken_now_passes_on_at_once", "break/broken_now_after_broken_gently"}},
	{"breaks break all", []string{"break/break_of_one_permit_leaves_the_others"}},
	{"break always works", []string{"break/break_with_a_wrong_id_breaks_nobody"}},
	{"never nudges", []string{"break/break_nudges_the_holder"}},
	{"nudges after stop", []string{"break/break_nudges_the_holder"}},

	// What people see.
	{"lists a ghost", []string{"list/empty_store_lists_nothing"}},
	{"metadata are dropped", []string{"list/holder_is_listed_as_it_is", "keys/odd_owners_and_metadata_come_back_as_they_were"}},
	{"owners are cut", []string{"keys/odd_owners_and_metadata_come_back_as_they_were"}},
	{"lists the line backwards", []string{"list/waiters_are_listed_in_line"}},
	{"lists every mode as exclusive", []string{"list/readers_are_listed_with_their_mode"}},
	{"lists every limit as 1", []string{"list/semaphore_is_listed_with_its_limit"}},
	{"lists the first expiry", []string{"list/renewal_moves_the_expiry_and_nothing_else"}},
	{"lists in the order of a dictionary", []string{"list/keys_come_in_byte_order"}},
	{"prefixes are patterns", []string{"list/prefix_is_taken_literally"}},
	{"lists 100 at most", []string{"list/many_keys_are_listed_once_each"}},
	{"a list left early stays locked", []string{"list/list_may_be_left_early"}},
	{"lists under a lock", []string{"list/store_can_be_used_while_listing"}},
	{"shares its maps", []string{"list/what_was_listed_is_a_copy"}},

	// Keys.
	{"keys fold case", []string{"keys/odd_keys_are_different_keys", "keys/odd_keys_wait_and_pass_on"}},
	{"keys are paths", []string{"keys/odd_keys_are_different_keys", "keys/odd_keys_wait_and_pass_on"}},
	{"keys are cut at a slash", []string{"exclusion/many_keys_do_not_exclude_each_other", "keys/odd_keys_are_different_keys"}},
	{"keys are cut at 255 bytes", []string{"keys/odd_keys_are_different_keys"}},

	// Close, reopen, restart.
	{"close leaves waits", []string{"close/close_ends_waits_and_leaves_nothing_in_line"}},
	{"close fails the second time", []string{"close/close_may_be_repeated"}},
	{"works after close", []string{"close/closed_client_refuses_everything"}},
	{"close releases", []string{"close/close_leaves_leases_until_they_expire"}},
	{"close closes all", []string{"close/close_of_one_client_disturbs_no_other"}},
	{"forgets on close", []string{
		"reopen/lease_outlives_a_reopen", "reopen/lease_can_be_adopted_after_a_reopen", "reopen/lease_expires_after_a_reopen",
		"reopen/tokens_rise_across_a_reopen", "declares/durable",
	}},
	{"forgets on restart", []string{"reopen/lease_outlives_a_restart_of_the_store", "reopen/tokens_rise_across_a_restart_of_the_store"}},
	{"leaks a goroutine", []string{"leaks/closed_clients_leave_no_goroutines"}},

	// Processes and networks.
	{"keeps dead waiters", []string{
		"processes/killed_waiter_at_the_head_is_passed_over", "processes/killed_waiters_are_all_passed_over",
		"network/waiter_that_is_cut_off_holds_up_nobody",
	}},
	{"ambiguous is not said", []string{"network/lost_reply_to_acquire_is_settled_by_a_retry", "network/lost_reply_to_acquire_is_settled_by_a_release"}},
	{"unreachable is lost", []string{"network/lost_reply_to_renew_is_no_loss", "network/store_out_of_reach_is_no_loss"}},
	{"never reconnects", []string{"network/waiter_that_reconnects_is_granted", "network/store_out_of_reach_is_no_loss"}},
	{"close waits for the store", []string{"network/close_without_a_network_does_not_hang"}},
	{"sessions die by half", []string{"network/session_that_ended_takes_its_leases_along_or_none"}},
}

const brokenVariable = "STILE_LOCKTEST_BROKEN"

// TestBroken runs the broken drivers. It fails, as it should; so it runs only
// in the child process that TestEveryCaseFindsSomething starts.
func TestBroken(t *testing.T) {
	if os.Getenv(brokenVariable) == "" {
		t.Skip("runs in the child process of TestEveryCaseFindsSomething")
	}
	for _, b := range broken {
		t.Run(b.bug, func(t *testing.T) {
			if b.bug != "leaks a goroutine" { // Alone, for it counts goroutines.
				t.Parallel()
			}
			locktest.RunWanted(t, brokenHarness(b.bug), func(name string) bool { return slices.Contains(b.cases, name) })
		})
	}
}

// brokenHarness makes stores with a bug, and some bugs of its own. It is quick
// to say that something does not come.
func brokenHarness(bug string) locktest.Harness {
	h := harness(bug, "")
	h.Slack = time.Second
	if bug == "early expiry" {
		// By two thirds of the TTL: nobody sees that on a machine which stands
		// still for as long.
		h.TTL = 3 * time.Second
	}
	newStore := h.New
	h.New = func(t testing.TB, uses []locktest.Hook) locktest.Store {
		t.Helper()
		s := newStore(t, uses)
		switch bug {
		case "harness gives no reason":
			s.KillSession = nil
		case "harness has no URL":
			s.URL = ""
		}
		return s
	}
	if bug == "harness denies a hook that it has" {
		h.Without = map[locktest.Hook]string{locktest.HookSession: "so it says"}
	}
	return h
}

// TestEveryCaseFindsSomething: each broken driver fails the cases that it must
// fail, and each case is failed by a broken driver.
func TestEveryCaseFindsSomething(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestBroken$", "-test.v", "-test.parallel=12", "-test.timeout=4m30s")
	command.Env = append(os.Environ(), brokenVariable+"=1")
	output, err := command.CombinedOutput()
	if err == nil {
		t.Fatalf("the broken drivers pass:\n%s", output)
	}
	if !strings.Contains(string(output), "\n--- FAIL: TestBroken (") {
		t.Fatalf("the broken drivers did not run to the end (%v):\n%s", err, output)
	}
	failed := make(map[string]bool)
	for _, match := range regexp.MustCompile(`(?m)^ *--- FAIL: TestBroken/(\S+) \(`).FindAllStringSubmatch(string(output), -1) {
		failed[match[1]] = true
	}
	named := make(map[string]bool)
	for _, b := range broken {
		for _, name := range b.cases {
			named[name] = true
			if !failed[strings.ReplaceAll(b.bug, " ", "_")+"/"+name] {
				t.Errorf("a driver with the bug %q passes the case %s", b.bug, name)
			}
		}
	}
	for _, name := range locktest.CaseNames() {
		group, function, _ := strings.Cut(name, "/")
		if group == "rw_as_mutex" || group == "semaphore_as_mutex" {
			name = "mutex/" + function // The same function, on another kind of key.
		}
		if !named[name] {
			t.Errorf("no broken driver is there for the case %s", name)
		}
	}
	t.Logf("%d broken drivers fail all of the %d cases", len(broken), len(named))
	if t.Failed() || testing.Verbose() {
		t.Logf("the broken drivers said:\n%s", output)
	}
}
