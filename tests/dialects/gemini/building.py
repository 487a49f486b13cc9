"""Gemini documents and streams in few words, for the tests of the gemini dialect."""

from collections.abc import Sequence
from typing import Any

from arno.canon.events import Event
from arno.canon.parts import Part
from arno.canon.request import Message, Request, Role
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects.base import RequestLine, Stamp
from arno.wire import json
from tests.laws.gemini import GEMINI
from tests.laws.harness import frames_of, no_price

Document = dict[str, Any]
LINE = RequestLine(model="gemini-3-pro", stream=False)
OWN = "google-gemini-v1"
SIGNATURE = "c2lnbmF0dXJl"


def asked(*contents: Document, **members: Any) -> Request:
    """The request of some turns."""
    return GEMINI.decode_request(json.dumps({"contents": list(contents), **members}), LINE)


def turn(role: str, *parts: Document) -> Document:
    """One turn."""
    return {"role": role, "parts": list(parts)}


def user(text: str) -> Document:
    """A turn of the user's."""
    return turn("user", {"text": text})


def written(request: Request) -> tuple[Document, dict[str, str]]:
    """The request's document, and its losses: path to action."""
    body, losses = GEMINI.encode_request(request)
    document: Any = json.loads(body)
    return document, {loss.path: loss.action for loss in losses}


def messages(*said: tuple[Role, tuple[Part, ...]]) -> Request:
    """A request of some messages, of no dialect."""
    told = tuple(Message(role=role, parts=parts) for role, parts in said)
    return Request(model="gemini-3-pro", messages=told)


def answered(*parts: Document, finish: str | None = "STOP", **members: Any) -> Document:
    """A whole answer, or a chunk, of one candidate."""
    candidate: Document = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [{**candidate, **members}], "responseId": "r1", "modelVersion": "m1"}


def read(document: Document) -> Response:
    """What an answer means."""
    answer = GEMINI.decode_response(json.dumps(document))
    assert isinstance(answer, Response), answer
    return answer


def parts_of(document: Document) -> tuple[Part, ...]:
    """The parts of its first choice."""
    return read(document).choices[0].parts


def answer(*parts: Part, reason: FinishReason | None = FinishReason.STOP) -> Response:
    """An answer of some parts, of no dialect."""
    return Response(id="a1", model="m", choices=(Choice(parts=parts, reason=reason),))


def body_of(*documents: Document) -> bytes:
    """A stream of some chunks."""
    return b"".join(b"data: " + json.dumps(document) + b"\r\n\r\n" for document in documents)


def fed(events: Sequence[Event], stamp: Stamp | None = None, price=no_price) -> list[Document]:
    """The chunks that say `events`, one at a time."""
    encoder = GEMINI.stream_encoder(stamp or Stamp(), price, include_usage=True)
    return chunks_of(b"".join(encoder.feed([event]) for event in events))


def chunks_of(body: bytes) -> list[Document]:
    """The documents of a stream."""
    documents: list[Any] = [json.loads(f.data) for f in frames_of(body) if f.data is not None]
    return documents
