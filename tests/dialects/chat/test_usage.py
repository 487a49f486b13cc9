"""Usage on the chat wire: measured conventions (R25), costs with their digits, unknown is None."""

from decimal import Decimal
from typing import Any

import pytest

from arno.canon.ext import Loss
from arno.canon.usage import Usage
from arno.dialects.chat.usage import decode_usage, encode_usage, tell_losses
from arno.wire import json

CONVENTIONS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "reasoning inside completion": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 30,
            "total_tokens": 40,
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        {"input": 10, "output": 30, "reasoning": 20},
    ),
    "reasoning beside completion, told by the total": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 30,
            "total_tokens": 60,
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        {"input": 10, "output": 50, "reasoning": 20},
    ),
    "reasoning one above completion": (
        {
            "prompt_tokens": 5,
            "completion_tokens": 10,
            "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 11},
        },
        {"input": 5, "output": 10, "reasoning": 11},
    ),
    "more reasoning than completion": (
        {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "total_tokens": 11,
            "completion_tokens_details": {"reasoning_tokens": 25},
        },
        {"input": 9, "output": 27, "reasoning": 25},
    ),
    "cached and written are part of the prompt": (
        {
            "prompt_tokens": 1140,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 100},
        },
        {"input": 1140, "output": 5, "cache_read": 1000, "cache_write_5m": 100},
    ),
    "cache hits under another name": (
        {"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64},
        {"input": 100, "output": 5, "cache_read": 64},
    ),
    "a zero detail is known, a null one is looked for elsewhere": (
        {
            "prompt_tokens": 100,
            "cached_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": 0},
        },
        {"input": 100, "cache_read": 7, "audio_input": 0},
    ),
    "audio and images": (
        {
            "prompt_tokens": 9,
            "completion_tokens": 8,
            "prompt_tokens_details": {"audio_tokens": 2},
            "completion_tokens_details": {"audio_tokens": 3, "image_tokens": 4},
        },
        {"input": 9, "output": 8, "audio_input": 2, "audio_output": 3, "image_output": 4},
    ),
    "whole numbers written as fractions": (
        {"prompt_tokens": Decimal("3.0"), "completion_tokens": 1},
        {"input": 3, "output": 1},
    ),
}
COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in ("raw", "cost"))


@pytest.mark.parametrize("case", CONVENTIONS)
def test_conventions(case: str) -> None:
    document, expected = CONVENTIONS[case]
    usage = decode_usage(document)
    assert usage is not None
    known = {name: getattr(usage, name) for name in COUNTS if getattr(usage, name) is not None}
    assert known == expected


@pytest.mark.parametrize("document", [None, {}, [], "", 5, "usage", [1]])
def test_no_usage_is_none(document: Any) -> None:
    assert decode_usage(document) is None


@pytest.mark.parametrize("count", [None, -1, True, "5", 1.5, Decimal("1.5"), [], {}])
def test_what_is_no_count_is_unknown_and_never_zero(count: Any) -> None:
    usage = decode_usage({"prompt_tokens": count, "total_tokens": 3})
    assert usage is not None
    assert usage.input is None
    assert usage.output is None


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        (b"0.0002582", "0.0002582"),
        (b"0.0000844", "0.0000844"),
        (b"0.00004025", "0.00004025"),
        (b"0.10", "0.10"),
        (b"0", "0"),
        (b"3", "3"),
        (b"1.6e-05", "0.000016"),
        (b"null", None),
        (b'"0.1"', None),
        (b"true", None),
    ],
)
def test_a_reported_cost_keeps_its_digits(text: bytes, cost: str | None) -> None:
    usage = decode_usage(json.loads(b'{"prompt_tokens":1,"cost":' + text + b"}"))
    assert usage is not None
    assert usage.cost == cost


def test_what_came_from_this_wire_goes_back_as_it_came() -> None:
    text = b'{"prompt_tokens":1,"odd":{"x":[1]},"cost":0.0000844,"is_byok":false}'
    usage = decode_usage(json.loads(text))
    assert usage is not None
    assert json.dumps(encode_usage(usage)) == text


def test_a_cost_of_our_own_is_written_beside_what_came() -> None:
    document = {"prompt_tokens": 1, "odd": 2}
    usage = Usage(input=1, cost="0.5", raw={"chat": document})
    assert encode_usage(usage) == {**document, "cost": Decimal("0.5")}
    kept = Usage(input=1, raw={"chat": {**document, "cost": "unreadable"}})
    assert encode_usage(kept) == {**document, "cost": "unreadable"}


def test_unknown_counts_are_left_out() -> None:
    assert encode_usage(Usage()) == {}
    assert encode_usage(Usage(input=1)) == {"prompt_tokens": 1}
    assert encode_usage(Usage(input=1, output=0, reasoning=0)) == {
        "prompt_tokens": 1,
        "completion_tokens": 0,
        "total_tokens": 1,
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_a_cost_is_written_in_plain_digits() -> None:
    document = encode_usage(Usage(input=1, cost="0.0000000001"))
    assert json.dumps(document) == b'{"prompt_tokens":1,"cost":0.0000000001}'


EXTENSIONS: dict[str, tuple[Usage, dict[str, Any]]] = {
    "writes of both lifetimes": (
        Usage(input=9, cache_write_5m=2, cache_write_1h=3),
        {
            "prompt_tokens": 9,
            "prompt_tokens_details": {
                "cache_write_tokens": 5,
                "cache_write_5m_tokens": 2,
                "cache_write_1h_tokens": 3,
            },
        },
    ),
    "writes for an hour alone": (
        Usage(input=9, cache_write_1h=3),
        {
            "prompt_tokens": 9,
            "prompt_tokens_details": {"cache_write_tokens": 3, "cache_write_1h_tokens": 3},
        },
    ),
    "what tools put into the prompt": (
        Usage(input=9, tool_input=2),
        {"prompt_tokens": 9, "prompt_tokens_details": {"tool_tokens": 2}},
    ),
    "the tier and the runs of tools": (
        Usage(input=9, tier="flex", server_tools={"search": 1}),
        {"prompt_tokens": 9, "service_tier": "flex", "server_tools": {"search": 1}},
    ),
}
"""Counts that the wire has no member of its own for, and where they stand."""


@pytest.mark.parametrize("case", EXTENSIONS)
def test_counts_without_a_member_of_the_wire_have_one_of_ours(case: str) -> None:
    usage, document = EXTENSIONS[case]
    assert encode_usage(usage) == document
    again = decode_usage(document)
    assert again is not None
    for name in (*COUNTS, "cost"):
        assert getattr(again, name) == getattr(usage, name), name


LOST = Loss("/stop", "dropped", "no place")


def test_losses_stand_behind_those_that_are_told_already() -> None:
    said = {"path": "/stop", "action": "dropped", "why": "no place"}
    assert tell_losses({"prompt_tokens": 1}, [LOST, LOST]) == {
        "prompt_tokens": 1,
        "losses": [said],
    }
    assert tell_losses({"losses": [{"path": "/a"}]}, [LOST])["losses"] == [{"path": "/a"}, said]
    document = {"prompt_tokens": 1}
    assert tell_losses(document, []) is document
