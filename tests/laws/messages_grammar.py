"""The grammar of a messages stream (R6), checked on the documents of a body.

One message_start, at most one open block, start, deltas and stop for each, deltas that fit their
block, one message_delta with a reason, message_stop last; or an error last, wherever it comes.
"""

from typing import Any

from arno.wire import json
from tests.laws.harness import frames_of

FITS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set(),
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
}


def documents(body: bytes) -> list[Any]:
    """The documents, each under its own name."""
    found = []
    for frame in frames_of(body):
        assert frame.data is not None
        document: Any = json.loads(frame.data)
        assert frame.event == document["type"]
        found.append(document)
    return found


def check(body: bytes) -> list[Any]:
    """The blocks of a stream that ends well: their starts and their deltas, in order."""
    events = [d for d in documents(body) if d["type"] != "ping"]
    names = [event["type"] for event in events]
    assert names[0] == "message_start"
    assert names.count("message_start") == names.count("message_delta") == 1
    assert names[-2:] == ["message_delta", "message_stop"]
    assert isinstance(events[0]["message"]["usage"]["input_tokens"], int)
    assert isinstance(events[0]["message"]["usage"]["output_tokens"], int)
    assert events[0]["message"]["content"] == []
    assert isinstance(events[-2]["delta"]["stop_reason"], str)
    assert isinstance(events[-2]["usage"]["output_tokens"], int)
    blocks, is_open = _blocks(events[1:-2])
    assert not is_open
    return blocks


def check_failed(body: bytes) -> list[Any]:
    """The same for a stream that ends with a failure."""
    events = [d for d in documents(body) if d["type"] != "ping"]
    names = [event["type"] for event in events]
    assert names.count("error") == 1
    assert names[-1] == "error"
    assert "message_stop" not in names
    assert "message_delta" not in names
    assert names[:-1].count("message_start") == bool(names[:-1])
    return _blocks(events[1:-1])[0]


def _blocks(events: list[Any]) -> tuple[list[Any], bool]:
    blocks: list[Any] = []
    is_open = False
    for event in events:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append((event["content_block"], []))
            is_open = True
            continue
        assert is_open, event
        assert event["index"] == len(blocks) - 1
        if event["type"] == "content_block_stop":
            is_open = False
            continue
        assert event["type"] == "content_block_delta"
        block, deltas = blocks[-1]
        assert event["delta"]["type"] in FITS[block["type"]]
        deltas.append(event["delta"])
    return blocks, is_open
