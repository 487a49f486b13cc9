"""Streams and documents of the responses dialect in few words, for its tests."""

from collections.abc import Sequence
from typing import Any

from arno.canon.events import Event
from arno.canon.response import Response
from arno.dialects.base import Stamp
from arno.wire import encode_sse, json
from tests.laws.harness import no_price
from tests.laws.responses import RESPONSES, documents_of

Document = dict[str, Any]


def response(status: str = "completed", *output: Document, **members: Any) -> Document:
    """A response object of an upstream."""
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 7,
        "model": "upstream-model",
        "status": status,
        "output": list(output),
        **members,
    }


def message(*texts: str, **members: Any) -> Document:
    """A message item."""
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content, **members}


def stream(*documents: Document, named: bool = True, done: bool = False) -> bytes:
    """The documents as a stream."""
    frames = [
        encode_sse(json.dumps({"sequence_number": n, **document}), document["type"] * named)
        for n, document in enumerate(documents)
    ]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def created(**members: Any) -> Document:
    """The first document of a stream."""
    return {"type": "response.created", "response": response("in_progress", **members)}


def ended(*output: Document, kind: str = "completed", **members: Any) -> Document:
    """The last document of a stream."""
    return {"type": f"response.{kind}", "response": response(kind, *output, **members)}


def added(item: Document, index: int = 0) -> Document:
    """An item begins."""
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def item_done(item: Document, index: int = 0) -> Document:
    """An item is done."""
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def text_delta(text: str, index: int = 0, item_id: str = "msg_1") -> Document:
    """A piece of a message's text."""
    return {
        "type": "response.output_text.delta",
        "item_id": item_id,
        "output_index": index,
        "content_index": 0,
        "delta": text,
    }


def said(events: Sequence[Event], stamp: Stamp | None = None, **how: Any) -> list[Any]:
    """The documents of the stream that says `events`."""
    pricer = how.get("pricer", no_price)
    encoder = RESPONSES.stream_encoder(stamp or Stamp(), pricer, include_usage=True)
    return documents_of(encoder.feed(events))


def whole(document: Document) -> Response:
    """What a response object means."""
    value = RESPONSES.decode_response(json.dumps(document))
    assert isinstance(value, Response), value
    return value
