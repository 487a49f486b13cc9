"""Content that must not be left out is a reason to refuse, not to answer another question."""

import pytest

from arno.canon.failure import RequestError
from arno.dialects import DIALECTS
from arno.dialects.translate import encode_for
from arno.wire import json

RESULT = {
    "type": "search_result",
    "source": "https://x.test",
    "title": "t",
    "content": [{"type": "text", "text": "The harbour is closed."}],
}
BLOCKS = {"type": "document", "source": {"type": "content", "content": [RESULT["content"][0]]}}
FILE = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
TEXT = {"type": "text", "text": "Is it open?"}
UNKNOWN = {"type": "txt", "text": "x"}
OTHERS = ("chat", "responses", "gemini", "converse")


def messages(*content):
    turn = {"role": "user", "content": list(content)}
    return {"model": "m", "max_tokens": 9, "messages": [turn]}


def decoded(dialect, document):
    return DIALECTS[dialect].decode_request(json.dumps(document))


@pytest.mark.parametrize("target", OTHERS)
@pytest.mark.parametrize("block", [RESULT, BLOCKS, FILE], ids=lambda block: block["type"])
def test_what_the_model_was_to_read_is_not_dropped(block, target):
    request = decoded("messages", messages(TEXT, block))
    with pytest.raises(RequestError) as refused:
        encode_for(request, "messages", target)
    assert refused.value.path.startswith("messages")
    body, losses = encode_for(request, "messages", "messages")
    assert (json.loads(body)["messages"], losses) == (messages(TEXT, block)["messages"], ())


@pytest.mark.parametrize("target", OTHERS)
def test_inside_of_a_result_as_well(target):
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [RESULT]}
    document = messages(TEXT)
    document["messages"] += [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    with pytest.raises(RequestError, match="send it as text"):
        encode_for(decoded("messages", document), "messages", target)


@pytest.mark.parametrize("target", ["chat", "messages", "gemini", "converse"])
def test_a_reference_to_an_item_is_not_dropped(target):
    items = [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_1"}]
    request = decoded("responses", {"model": "m", "input": items})
    with pytest.raises(RequestError, match="send the item itself") as refused:
        encode_for(request, "responses", target)
    assert refused.value.path.startswith("input")


def test_a_file_of_one_vendor_is_known_in_both_of_its_dialects():
    file = {"type": "file", "file": {"file_id": "file_1"}}
    turn = {"role": "user", "content": [{"type": "text", "text": "a"}, file]}
    request = decoded("chat", {"model": "m", "messages": [turn]})
    body, _ = encode_for(request, "chat", "responses")
    assert b"file_1" in body
    with pytest.raises(RequestError, match="send the file itself"):
        encode_for(request, "chat", "messages")


@pytest.mark.parametrize("target", ["messages", "responses", "gemini", "converse"])
def test_an_unknown_part_is_dropped_and_told_unless_nothing_else_is_left(target):
    """R14, and its bound: an empty conversation is no question."""
    known = {"type": "text", "text": "a"}
    both = {"model": "m", "messages": [{"role": "user", "content": [known, UNKNOWN]}]}
    _, losses = encode_for(decoded("chat", both), "chat", target)
    assert [loss.action for loss in losses if "messages" in loss.path] == ["dropped"]
    alone = {"model": "m", "messages": [{"role": "user", "content": [UNKNOWN]}]}
    with pytest.raises(RequestError, match="nothing of the conversation"):
        encode_for(decoded("chat", alone), "chat", target)
