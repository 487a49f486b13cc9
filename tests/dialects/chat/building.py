"""Chat chunks and streams in few words, for the tests of the chat dialect."""

from collections.abc import Sequence
from typing import Any

from arno.canon.events import Event
from arno.canon.parts import ToolCallPart
from arno.canon.response import Response
from arno.dialects.base import Stamp
from arno.wire import encode_sse, json
from tests.laws.harness import CHAT, frames_of, no_price

Document = dict[str, Any]

DONE = b"data: [DONE]\n\n"


def delta(finish: str | None = None, *, index: int = 0, **members: Any) -> Document:
    """One chunk with one choice."""
    choice = {"index": index, "delta": members, "finish_reason": finish}
    return {"id": "up-1", "created": 7, "model": "upstream/model", "choices": [choice]}


def entry(
    arguments: str | None = None,
    *,
    index: int | None = None,
    id: str | None = None,
    name: str | None = None,
) -> Document:
    """One entry of a delta's `tool_calls`; what is None is not there at all."""
    body = {"name": name, "arguments": arguments}
    members = {
        "index": index,
        "id": id,
        "function": {key: value for key, value in body.items() if value is not None},
    }
    return {key: value for key, value in members.items() if value is not None}


def piece(*entries: Document, finish: str | None = None, **members: Any) -> Document:
    """A chunk with these entries of `tool_calls`."""
    return delta(finish, tool_calls=list(entries), **members)


def stream(*documents: Document, done: bool = True) -> bytes:
    """The documents as a stream."""
    return b"".join(encode_sse(json.dumps(d)) for d in documents) + (DONE if done else b"")


def documents_of(body: bytes) -> list[Any]:
    """The documents of a stream, without its end mark."""
    frames = [frame for frame in frames_of(body) if frame.data is not None]
    return [json.loads(frame.data) for frame in frames if frame.data and frame.data != b"[DONE]"]


def whole(message: Document, finish: Any = "stop", **members: Any) -> bytes:
    """A whole answer with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return json.dumps({"id": "up-1", "choices": [choice], **members})


def calls_of(answer: Response) -> list[tuple[str, str, str]]:
    """The calls of the first choice: (call id, name, arguments)."""
    parts = answer.choices[0].parts
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    return [(call.call_id, call.name, call.arguments) for call in calls]


def restamped(
    body: bytes,
    stamp: Stamp | None = None,
    *,
    include_usage: bool = True,
    finish_optional: bool = False,
    cost: str | None = None,
) -> bytes:
    """The stream as a gateway passes it on to a client of the same dialect."""
    decoder = CHAT.stream_decoder(finish_optional=finish_optional)
    pricer = no_price if cost is None else (lambda usage, served_by: cost)
    restamper = CHAT.stream_restamper(stamp or Stamp(), pricer, include_usage=include_usage)
    batches = [decoder.feed(frame) for frame in frames_of(body)]
    return b"".join(restamper.feed(batch) for batch in [*batches, decoder.close()])


def fed(events: Sequence[Event], *, include_usage: bool = True, stamp: Stamp | None = None) -> Any:
    """The documents that say `events`."""
    encoder = CHAT.stream_encoder(stamp or Stamp(), no_price, include_usage=include_usage)
    return documents_of(encoder.feed(events))
