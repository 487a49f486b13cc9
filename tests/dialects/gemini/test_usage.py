"""Usage: what the counts hold, the vectors of R25, and every canonical count both ways."""

import pytest

from arno.canon.usage import Usage
from arno.dialects.gemini.usage import decode_usage, encode_usage, told_usage
from arno.wire import json
from tests.laws.harness import bare, no_price


def test_tool_use_is_input_and_thoughts_are_output():
    """R25."""
    usage = decode_usage(
        {
            "promptTokenCount": 151,
            "toolUsePromptTokenCount": 18_329,
            "candidatesTokenCount": 1_089,
            "thoughtsTokenCount": 1_120,
            "totalTokenCount": 20_689,
        },
        final=True,
    )
    assert usage is not None
    assert (usage.input, usage.output) == (18_480, 2_209)
    assert (usage.tool_input, usage.reasoning) == (18_329, 1_120)


def test_cached_tokens_are_part_of_the_prompt():
    """R25."""
    wire = {
        "promptTokenCount": 262_960,
        "cachedContentTokenCount": 257_955,
        "candidatesTokenCount": 1_744,
        "totalTokenCount": 264_704,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 262_950},
            {"modality": "AUDIO", "tokenCount": 10},
        ],
    }
    usage = decode_usage(wire, final=True)
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.output) == (262_960, 257_955, 1_744)
    assert (usage.audio_input, usage.audio_output) == (10, None)
    assert encode_usage(usage) == wire


@pytest.mark.parametrize(
    ("wire", "final", "output"),
    [
        ({"promptTokenCount": 5, "totalTokenCount": 5}, False, None),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, True, 0),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 12}, True, 7),
        ({"promptTokenCount": 5}, True, None),
        ({"promptTokenCount": True, "candidatesTokenCount": -1}, True, None),
        (
            {
                "promptTokenCount": 5,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 25,
                "totalTokenCount": 7,
            },
            True,
            2,
        ),
    ],
)
def test_what_is_not_told_is_not_known(wire, final, output):
    usage = decode_usage(wire, final=final)
    assert usage is not None
    assert usage.output == output


@pytest.mark.parametrize("wire", [None, {}, [], {"trafficType": "ON_DEMAND"}])
def test_an_object_without_counts_tells_nothing(wire):
    assert decode_usage(wire, final=True) is None


def test_every_count_comes_back():
    full = Usage(
        input=100,
        output=50,
        cache_read=1,
        cache_write_5m=2,
        cache_write_1h=3,
        reasoning=4,
        audio_input=5,
        audio_output=6,
        image_output=7,
        tool_input=8,
        tier="flex",
        server_tools={"web_search": 2},
        cost="0.0012300",
    )
    names = [name for name in Usage.__struct_fields__ if name != "raw"]
    assert all(getattr(full, name) is not None for name in names)
    for usage in (
        full,
        Usage(input=1),
        Usage(output=1),
        Usage(input=9, output=2, reasoning=25),
        *(Usage(input=9, output=9, **{name: getattr(full, name)}) for name in names[2:]),
    ):
        wire = json.loads(json.dumps(encode_usage(usage)))
        assert bare(decode_usage(wire, final=True)) == bare(usage)


def test_what_a_client_is_told_at_the_end():
    usage = decode_usage({"promptTokenCount": 1}, final=True)
    assert told_usage(None, (), no_price, None) is None
    assert told_usage(usage, (), no_price, None) == {"promptTokenCount": 1}
    priced = told_usage(usage, (), lambda usage, host: "0.5" if host == "Host" else None, "Host")
    assert json.dumps(priced) == b'{"promptTokenCount":1,"cost":0.5}'
