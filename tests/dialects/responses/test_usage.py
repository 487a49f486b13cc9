"""Usage of the responses dialect: every count comes back, none is made up."""

from typing import Any

import pytest

from arno.canon.usage import Usage
from arno.dialects.responses.usage import decode_usage, encode_usage
from arno.wire import json


def test_what_the_wire_counts() -> None:
    document: Any = json.loads(
        b'{"input_tokens":20,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":3},'
        b'"output_tokens":9,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":29,'
        b'"cost":0.0002582}'
    )
    usage = decode_usage(document)
    assert usage is not None
    assert (usage.input, usage.output, usage.reasoning) == (20, 9, 5)
    assert (usage.cache_read, usage.cache_write_5m, usage.cost) == (4, 3, "0.0002582")
    assert encode_usage(usage) == document


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(input=1),
        Usage(input=1, output=2, cache_read=0),
        Usage(input=1, output=2, cache_write_5m=3, cache_write_1h=4),
        Usage(input=1, output=2, cache_write_1h=4),
        Usage(input=1, output=2, reasoning=3, audio_input=4, audio_output=5, image_output=6),
        Usage(input=1, output=2, tool_input=3, tier="flex", server_tools={"search": 2}),
        Usage(input=1, output=2, cost="0.00004025"),
    ],
)
def test_every_count_comes_back_and_none_is_made_up(usage: Usage) -> None:
    document = json.loads(json.dumps(encode_usage(usage)))
    found = decode_usage(document) or Usage()
    names = [name for name in Usage.__struct_fields__ if name != "raw"]
    assert [getattr(found, name) for name in names] == [getattr(usage, name) for name in names]
    assert b":0" not in json.dumps(document).replace(b'"cached_tokens":0', b"").replace(b":0.", b"")


@pytest.mark.parametrize("document", [None, {}, [], "x", 3])
def test_no_usage(document: Any) -> None:
    assert decode_usage(document) is None


def test_odd_counts_are_unknown() -> None:
    usage = decode_usage({"input_tokens": -1, "output_tokens": True, "input_tokens_details": 3})
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read) == (None, None, None)
