"""Usage of messages: R25's vectors, conventions of recorded traffic, numbers that are not known."""

import msgspec
import pytest
from hypothesis import given, settings

from arno.canon.usage import Usage
from arno.dialects.messages.usage import decode_usage, encode_usage, merged
from tests.laws.harness import bare
from tests.laws.test_messages_laws import usages


def read(**members):
    usage = decode_usage(members)
    return None if usage is None else msgspec.structs.replace(usage, raw={})


def test_r25_input_holds_reads_and_writes():
    usage = read(
        input_tokens=3,
        cache_creation_input_tokens=12304,
        cache_read_input_tokens=0,
        output_tokens=550,
    )
    assert usage == Usage(input=12307, output=550, cache_read=0, cache_write_5m=12304)


def test_r25_forty_fresh_tokens():
    usage = read(
        input_tokens=40,
        cache_read_input_tokens=1000,
        cache_creation_input_tokens=100,
        output_tokens=1,
    )
    assert (usage.input, usage.cache_read, usage.cache_write_5m) == (1140, 1000, 100)


@pytest.mark.parametrize(
    ("total", "split", "expected"),
    [
        (30, {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, (10, 20)),
        (30, None, (30, None)),
        # The split of a message_start that a later total has left behind.
        (50, {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, (30, 20)),
        (None, {"ephemeral_1h_input_tokens": 20}, (None, 20)),
        (None, None, (None, None)),
    ],
)
def test_cache_writes_by_lifetime(total, split, expected):
    usage = read(
        input_tokens=1, output_tokens=1, cache_creation_input_tokens=total, cache_creation=split
    )
    assert (usage.cache_write_5m, usage.cache_write_1h) == expected
    assert usage.input == 1 + sum(n or 0 for n in expected)


def test_reasoning_tiers_and_tools_of_the_upstream():
    usage = read(
        input_tokens=1,
        output_tokens=9,
        output_tokens_details={"thinking_tokens": 4},
        service_tier="standard",
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0, "odd": "x"},
    )
    assert (usage.reasoning, usage.tier) == (4, "standard")
    assert usage.server_tools == {"web_search": 2, "web_fetch": 0}


def test_a_partial_message_delta_keeps_what_the_start_said():
    start = {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1}
    later = {"output_tokens": 20, "cache_read_input_tokens": None}
    usage = decode_usage(merged(start, later))
    assert (usage.input, usage.cache_read, usage.output) == (10, 3, 20)


@pytest.mark.parametrize("document", [None, {}, [], "x", {"input_tokens": None}, {"other": 1}])
def test_no_count_is_no_usage(document):
    assert decode_usage(document) is None


@pytest.mark.parametrize("value", [-1, True, "5", 1.5])
def test_what_is_no_count_is_not_known(value):
    assert read(input_tokens=value, output_tokens=1).input is None


def test_numbers_that_are_not_known_are_told_apart_from_nothing():
    """Readers must have numbers; what is listed in `unknown` is none."""
    assert encode_usage(None) == {
        "input_tokens": 0,
        "output_tokens": 0,
        "unknown": ["input_tokens", "output_tokens"],
    }
    assert decode_usage(encode_usage(None)) is None
    written = encode_usage(Usage(input=0))
    assert written == {"input_tokens": 0, "output_tokens": 0, "unknown": ["output_tokens"]}
    assert decode_usage(written).input == 0
    assert decode_usage(written).output is None


def test_parts_larger_than_their_whole_come_back():
    """A host counts cached tokens among the written ones too."""
    usage = Usage(input=2168, output=1, cache_read=2161, cache_write_5m=2161)
    assert encode_usage(usage)["input_tokens"] == 0
    assert bare(decode_usage(encode_usage(usage))) == bare(usage)


def test_the_upstream_s_own_object_is_written_back():
    document = {"input_tokens": 1, "output_tokens": 2, "inference_geo": "eu", "iterations": []}
    assert encode_usage(decode_usage(document)) == document


@given(usage=usages)
@settings(max_examples=100)
def test_every_count_comes_back(usage):
    again = decode_usage(encode_usage(usage))
    assert bare(again) == bare(None if usage == Usage() else usage)
