"""The rows of the fault matrix that concern transports, and the tests that hold each of them.

A row has tests (what is expected), controls (the same harness where nothing is wrong) and mutants
(a fault in the code that the tests notice). Names are `file::function` from the tests folder.
`test_matrix` sees to it that they exist.
"""

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One fault. expected: of the gateway, in short."""

    fault: str
    expected: str
    tests: tuple[str, ...]
    controls: tuple[str, ...]
    mutants: tuple[str, ...]


R05 = "faults/test_r05_every_offset.py::"
R08 = "faults/test_r08_no_buffering.py::"
R10 = "faults/test_r10_cancel.py::"
R11 = "faults/test_r11_clocks.py::"
R12 = "faults/test_r12_memory.py::"
R28 = "faults/test_r28_failover.py::"
ANSWERS = "faults/test_rows_answers.py::"
SOCKETS = "faults/test_rows_sockets.py::"
LIVE = "gateway/test_live.py::"

BEFORE = (
    f"{ANSWERS}test_rows_before_output_go_to_the_next_candidate",
    f"{ANSWERS}test_rows_before_output_are_an_error_where_nobody_else_is",
)
AFTER = f"{ANSWERS}test_rows_after_output_are_an_error_in_the_stream"
SERVED = f"{R28}test_r28_a_good_answer_is_the_only_attempt"
WHOLE_STREAM = f"{ANSWERS}test_a_good_answer_is_no_fault"
TABLE = f"{ANSWERS}test_a_table_that_stops_at_a_row_is_found_out"
HIDDEN = f"{ANSWERS}test_an_engine_that_hides_a_break_is_found_out"
DIALECT = f"{ANSWERS}test_a_mutant_of_the_dialect_is_found_out"
CLOCK_MUTANTS = f"{R11}test_r11_a_mutant_is_found_out"
SOCKET_MUTANTS = f"{SOCKETS}test_a_mutant_is_found_out"

MATRIX: dict[int, Row] = {
    1: Row(
        "connect refused",
        "next provider, else 502 that names those tried",
        (
            f"{R28}test_r28_a_refused_connection_goes_to_the_next_candidate",
            f"{R28}test_r28_when_all_are_refused_the_error_names_the_attempts",
        ),
        (SERVED,),
        (f"{R28}test_r28_a_row_the_other_way_round_is_found_out",),
    ),
    2: Row(
        "connect timeout",
        "next provider after the connect deadline",
        (f"{R11}test_r11_connect_goes_on_to_the_next", f"{R11}test_r11_connect_names_itself"),
        (SERVED,),
        (CLOCK_MUTANTS,),
    ),
    3: Row("reset before headers", "failover once", BEFORE, (SERVED,), (TABLE,)),
    4: Row("headers, then reset", "failover", BEFORE, (SERVED,), (TABLE,)),
    5: Row(
        "reset in the middle of a stream",
        "an error event, no end mark, the ledger agrees; at every byte offset",
        (
            f"{R05}test_row_5_every_offset_of_the_shipped_stream",
            f"{R05}test_row_5_offsets_of_both_shipped_streams_on_both_rows",
            f"{R05}test_row_5_every_offset_of_the_seed",
            f"{LIVE}test_r5_a_cut_stream_is_never_a_success",
        ),
        (f"{R05}test_the_expectation_is_made_of_the_bytes_alone", WHOLE_STREAM),
        (f"{R05}test_row_5_a_mutant_is_found_out",),
    ),
    6: Row("FIN inside a chunk", "as 5", (*BEFORE, AFTER), (WHOLE_STREAM,), (TABLE, HIDDEN)),
    7: Row(
        "a clean end without a finish",
        "an error, never a success",
        (*BEFORE, AFTER, f"{LIVE}test_r5_a_cut_stream_is_never_a_success"),
        (WHOLE_STREAM, f"{LIVE}test_r5_a_finish_without_the_end_mark_is_a_success"),
        (HIDDEN,),
    ),
    9: Row(
        "a byte now and then",
        "the deadline between events counts events",
        (f"{SOCKETS}test_row_9_bytes_are_no_events",),
        (f"{R11}test_r11_a_healthy_stream_of_ten_minutes_is_not_killed",),
        (SOCKET_MUTANTS,),
    ),
    10: Row(
        "a stall before headers, or after the first event",
        "failover, or an error event that names the deadline",
        (
            f"{R11}test_r11_first_event_goes_on_to_the_next",
            f"{R11}test_r11_idle_ends_the_stream_and_nothing_else_is_tried",
            f"{R11}test_r11_before_any_output_a_deadline_names_itself",
            f"{R11}test_r11_total_ends_a_stream_that_trickles_for_ever",
        ),
        (f"{R11}test_r11_a_healthy_stream_of_ten_minutes_is_not_killed",),
        (CLOCK_MUTANTS,),
    ),
    11: Row(
        "429 with Retry-After",
        "another provider, else 429 with Retry-After",
        (f"{ANSWERS}test_row_11_a_retry_after_is_told_on",),
        (SERVED,),
        (DIALECT,),
    ),
    12: Row("5xx with a page of HTML", "next one; no page", BEFORE, (SERVED,), (TABLE, DIALECT)),
    13: Row(
        "4xx",
        "each status has its place; an upstream's 401 is our fault",
        (
            f"{ANSWERS}test_row_13_every_status_has_its_place",
            f"{R28}test_r28_the_requests_own_fault_does_not",
        ),
        (SERVED,),
        (DIALECT, f"{R28}test_r28_a_row_the_other_way_round_is_found_out"),
    ),
    16: Row("a cut character", "an error", (*BEFORE, AFTER), (WHOLE_STREAM,), (TABLE, HIDDEN)),
    17: Row(
        "characters split over segments",
        "the same output",
        (
            f"{ANSWERS}test_row_17_every_byte_in_a_segment_of_its_own",
            f"{LIVE}test_case_0_1_an_upstream_of_the_contract_passes_verbatim_in_any_chunking",
            "exchange/test_framing.py::test_the_seed_cut_at_every_position_means_the_same",
        ),
        (WHOLE_STREAM,),
        (f"{ANSWERS}test_row_17_a_reader_of_segments_is_found_out",),
    ),
    18: Row(
        "an event without end",
        "an error at the cap, memory bounded",
        (f"{R12}test_r12_a_line_without_end_is_an_error_at_the_cap",),
        ("engine/test_bounds.py::test_a_whole_answer_below_the_limit_passes",),
        (f"{R12}test_r12_a_gateway_without_that_cap_is_found_out",),
    ),
    22: Row("200 with nothing", "failover, else 502", BEFORE, (SERVED,), (TABLE,)),
    23: Row(
        "encoded bodies, lies about them, bombs",
        "decoded event by event, bounded, else an error",
        (
            f"{SOCKETS}test_row_23_an_encoded_stream_is_read_event_by_event",
            f"{SOCKETS}test_row_23_a_lie_about_the_coding_is_the_upstreams_fault",
            f"{R12}test_r12_a_bomb_is_given_up_at_the_cap",
        ),
        (f"{R08}test_r8_event_k_is_read_before_event_k_plus_1_is_sent",),
        (SOCKET_MUTANTS,),
    ),
    24: Row(
        "a redirect",
        "never followed",
        (f"{ANSWERS}test_row_24_a_redirect_is_never_followed",),
        (SERVED,),
        (f"{ANSWERS}test_row_24_a_transport_that_follows_is_found_out",),
    ),
    25: Row(
        "a client that leaves",
        "upstream closed, one row, the slot free",
        (
            f"{R10}test_r10_a_client_that_leaves_closes_its_upstream",
            f"{R10}test_r10_a_client_that_leaves_during_a_backoff_is_not_served_any_more",
        ),
        (f"{R10}test_r10_a_client_that_stays_is_served_after_the_backoff",),
        (f"{R10}test_r10_a_mutant_is_found_out",),
    ),
    26: Row(
        "a client that does not read",
        "the upstream waits, memory bounded",
        (
            f"{R12}test_r12_slow_clients_pause_their_upstreams",
            f"{R12}test_r12_one_slow_client_pauses_its_upstream",
        ),
        (f"{R12}test_r12_a_large_request_under_way_holds_up_nobody",),
        (f"{R12}test_r12_a_gateway_that_reads_on_is_found_out",),
    ),
    37: Row(
        "a name that moves, an address that is dead",
        "asked anew, raced",
        (
            f"{SOCKETS}test_row_37_a_dead_address_does_not_matter",
            f"{SOCKETS}test_row_37_a_name_that_moves_is_followed",
        ),
        (SERVED,),
        (SOCKET_MUTANTS,),
    ),
    38: Row(
        "a kept connection that is gone",
        "sent once more, no failure",
        (f"{SOCKETS}test_row_38_a_stale_connection_is_replaced_once",),
        (SERVED,),
        (SOCKET_MUTANTS,),
    ),
    39: Row(
        "1xx, and an answer while the request is still sent",
        "passed over; used",
        (
            f"{SOCKETS}test_row_39_what_comes_before_the_answer_is_passed_over",
            f"{SOCKETS}test_row_39_an_answer_before_the_end_of_the_request_is_used",
        ),
        (f"{R12}test_r12_a_large_request_under_way_holds_up_nobody",),
        (SOCKET_MUTANTS,),
    ),
    40: Row(
        "TLS: expired, wrong host, stalled, none",
        "no byte of a request, failover",
        (
            f"{SOCKETS}test_row_40_a_certificate_that_is_not_right_is_not_accepted",
            f"{SOCKETS}test_row_40_a_host_without_tls_gets_no_request",
            f"{R11}test_r11_connect_names_itself",
        ),
        (f"{SOCKETS}test_row_40_a_right_certificate_is",),
        (f"{SOCKETS}test_row_40_a_gateway_that_trusts_everybody_is_found_out",),
    ),
}
