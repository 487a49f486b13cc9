"""Messages documents and streams in few words, for the tests of the messages dialect."""

from typing import Any

import pytest

from arno.canon.events import Event
from arno.canon.failure import RequestError
from arno.canon.parts import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Request, Role, Tool
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.wire import encode_sse, json
from tests.laws.harness import decode, frames_of, no_price

MESSAGES = DIALECTS["messages"]

Document = dict[str, Any]

START: Document = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 1},
}


def event(type_: str, **members: Any) -> bytes:
    return encode_sse(json.dumps({"type": type_, **members}), type_)


def started(**members: Any) -> bytes:
    return event("message_start", message=START | members)


def block(index: int, start: Document, *deltas: Document, stop: bool = True) -> bytes:
    """A block with its deltas."""
    body = event("content_block_start", index=index, content_block=start)
    body += b"".join(event("content_block_delta", index=index, delta=delta) for delta in deltas)
    return body + event("content_block_stop", index=index) if stop else body


def text(index: int, *pieces: str, stop: bool = True) -> bytes:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas, stop=stop)


def call(index: int, id_: str, *pieces: str, name: str = "add", given: Any = None) -> bytes:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    start = {"type": "tool_use", "id": id_, "name": name, "input": given or {}}
    return block(index, start, *deltas)


def ended(reason: str | None = "end_turn", usage: Any = None, **members: Any) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None, **members}
    return event("message_delta", delta=delta, usage=usage or {"output_tokens": 5})


STOP = event("message_stop")


def events_of(body: bytes) -> list[Event]:
    return decode(body, MESSAGES.stream_decoder)


def whole(*content: Any, **members: Any) -> bytes:
    return json.dumps(START | {"content": list(content), "stop_reason": "end_turn", **members})


def restamped(body: bytes, stamp: Stamp | None = None, cost: str | None = None) -> bytes:
    """The stream as a gateway passes it on to a client of the same dialect."""
    pricer = no_price if cost is None else (lambda usage, served_by: cost)
    decoder = MESSAGES.stream_decoder()
    restamper = MESSAGES.stream_restamper(stamp or Stamp(), pricer, include_usage=True)
    batches = [decoder.feed(frame) for frame in frames_of(body)]
    return b"".join(restamper.feed(batch) for batch in [*batches, decoder.close()])


def said(*messages: Message, **fields: Any) -> tuple[Document, dict[str, str]]:
    """The request that an upstream reads, and the losses: path to action."""
    messages = messages or (user("Hi"),)
    request = Request(**{"model": "m", "messages": messages, "max_output_tokens": 4000, **fields})
    body, losses = MESSAGES.encode_request(request)
    document: Any = json.loads(body)
    return document, {loss.path: loss.action for loss in losses}


def user(*parts: Any) -> Message:
    return _message(Role.USER, parts)


def assistant(*parts: Any) -> Message:
    return _message(Role.ASSISTANT, parts)


def system(*parts: Any) -> Message:
    return _message(Role.SYSTEM, parts)


def _message(role: Role, parts: tuple[Any, ...]) -> Message:
    return Message(
        role=role,
        parts=tuple(TextPart(text=part) if isinstance(part, str) else part for part in parts),
    )


SCHEMA: Document = {"type": "object", "properties": {"x": {"type": "integer"}}}
ADD = Tool(name="add", parameters=SCHEMA)
SIGNED = ReasoningPart(text="Hm", signature="sig", format="anthropic-claude-v1")
OWN = "anthropic-claude-v1"


def refused(*messages: Message, **fields: Any) -> str:
    """The place that the request is refused for."""
    with pytest.raises(RequestError) as caught:
        said(*messages, **fields)
    return caught.value.path


def result(call_id: str, *parts: Any, **fields: Any) -> Message:
    """A tool's message."""
    content = tuple(TextPart(text=part) if isinstance(part, str) else part for part in parts)
    part = ToolResultPart(call_id=call_id, parts=content, **fields)
    return Message(role=Role.TOOL, parts=(part,))


def calls(*ids: str) -> Message:
    """An assistant's turn that calls one tool after the other."""
    return assistant(*(ToolCallPart(call_id=id_, name="add", arguments="{}") for id_ in ids))
