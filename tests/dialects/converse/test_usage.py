"""Usage: what the wire counts and what the canonical form does (R25)."""

from decimal import Decimal
from typing import Any

import pytest

from arno.canon.usage import Usage
from arno.dialects.converse.usage import decode_usage, encode_usage
from arno.wire import json
from tests.laws.harness import bare

READ: dict[str, tuple[Any, Usage | None]] = {
    "plain": ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, Usage(input=3, output=2)),
    "cached": (
        {"inputTokens": 40, "cacheReadInputTokens": 1000, "cacheWriteInputTokens": 100},
        Usage(input=1140, cache_read=1000, cache_write_5m=100),
    ),
    "written for an hour": (
        {
            "inputTokens": 1,
            "cacheWriteInputTokens": 30,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
        },
        Usage(input=31, cache_write_5m=10, cache_write_1h=20),
    ),
    "all of it": (
        {
            "inputTokens": 1,
            "cacheWriteInputTokens": 20,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 20}],
        },
        Usage(input=21, cache_write_1h=20),
    ),
    "details alone": (
        {"inputTokens": 1, "cacheDetails": [{"ttl": "5m", "inputTokens": 2}]},
        Usage(input=3, cache_write_5m=2),
    ),
    "nothing counted": ({"serverToolUsage": {}}, Usage()),
    "tools of the provider": (
        {"serverToolUsage": {"search": 2}},
        Usage(server_tools={"search": 2}),
    ),
    "odd values": ({"inputTokens": "3", "outputTokens": -1, "cacheReadInputTokens": True}, Usage()),
    "a cost": ({"inputTokens": 1, "cost": Decimal("0.00010")}, Usage(input=1, cost="0.00010")),
    "null": (None, None),
    "empty": ({}, None),
    "a list": ([1], None),
}


@pytest.mark.parametrize(("document", "usage"), READ.values(), ids=READ)
def test_reading(document: Any, usage: Usage | None) -> None:
    found = decode_usage(document)
    assert bare(found) == bare(usage)
    if found is not None:
        assert encode_usage(found) == document


def test_the_tier_stands_beside_it() -> None:
    assert decode_usage({"inputTokens": 1}, {"type": "flex"}) == Usage(
        input=1, tier="flex", raw={"converse": {"inputTokens": 1}}
    )


def test_unknown_counts_are_absent() -> None:
    """R23: never 0, never made up."""
    assert encode_usage(Usage()) == {}
    assert encode_usage(Usage(output=2)) == {"outputTokens": 2}
    assert encode_usage(Usage(input=0)) == {"inputTokens": 0}


def test_a_host_that_counts_a_token_twice_is_told_as_it_counted() -> None:
    usage = Usage(input=10, cache_read=8, cache_write_5m=8, output=1)
    document = json.loads(json.dumps(encode_usage(usage)))
    assert document == {
        "inputTokensWithCache": 10,
        "inputTokens": 0,
        "outputTokens": 1,
        "totalTokens": 11,
        "cacheReadInputTokens": 8,
        "cacheWriteInputTokens": 8,
    }
    assert bare(decode_usage(document)) == bare(usage)
