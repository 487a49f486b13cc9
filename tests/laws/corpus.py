"""The recorded traffic of every dialect: what each recording is, and how it is decoded.

Serves the laws over all dialects (`test_translation_*`). The chat laws have more to say about
theirs, see `recordings.py`.
"""

import gzip
from base64 import b64decode
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from arno.canon.events import Event, StreamError
from arno.canon.failure import Failure
from arno.canon.fold import fold
from arno.canon.request import Request
from arno.canon.response import Response
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, RequestLine
from arno.wire import json
from arno.wire.frame import Framing
from arno.wire.framing import FRAMERS
from tests.laws.harness import checked
from tests.shared import SHARED

SPEAKS = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic": "messages",
    "vertex-anthropic": "messages",
    "bedrock-invoke": "messages",
    "gemini": "gemini",
    "vertex-gemini": "gemini",
    "bedrock-converse": "converse",
}
"""The recordings' own names for what they speak, and our dialects."""

FRAMED_OTHERWISE = {"bedrock-invoke": Framing.EVENT_STREAM_BYTES}


class Recording(msgspec.Struct, frozen=True, eq=False):
    """One interaction. spoken: the recordings' name of the dialect; url: where it was made."""

    id: str
    rewrite: str
    spoken: str
    url: str
    stream: bool
    status: int
    headers: tuple[tuple[str, str], ...]
    request: Any
    body: bytes

    @property
    def dialect(self) -> Dialect:
        """Ours."""
        return DIALECTS[SPEAKS[self.spoken]]

    @property
    def framing(self) -> Framing:
        """How its stream is cut."""
        return FRAMED_OTHERWISE.get(self.spoken, self.dialect.framing)

    @property
    def line(self) -> RequestLine:
        """What its path says of the request."""
        path = unquote(urlsplit(self.url).path)
        model = (
            path.rpartition("/models/")[2] if "/models/" in path else path.partition("/model/")[2]
        )
        for end in (":", "/converse", "/invoke"):
            head, found, verb = model.rpartition(end)
            if found and not verb.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"):
                model = head
                break
        return RequestLine(model=model or None, stream=self.stream)


@cache
def recorded() -> tuple[Recording, ...]:
    """Every interaction of our dialects that is no poll (it has a request)."""
    assert SHARED is not None
    found = []
    with gzip.open(SHARED / "corpus" / "interactions.jsonl.gz") as lines:
        for text in lines:
            row: Any = json.loads(text)
            if SPEAKS.get(row["dialect"]) in DIALECTS and row["request"] is not None:
                found.append(_recording(row))
    return tuple(found)


def _recording(row: Any) -> Recording:
    encoded = row.get("body_b64")
    headers = row.get("response_headers") or {}
    return Recording(
        id=row["id"],
        rewrite=row.get("pert") or "",
        spoken=row["dialect"],
        url=row["url"],
        stream=row["body_kind"] in ("sse", "eventstream"),
        status=row["status"],
        headers=tuple((name.lower(), v) for name, values in headers.items() for v in values),
        request=row["request"],
        body=row["body"].encode() if encoded is None else b64decode(encoded),
    )


def events_of(body: bytes, dialect: Dialect, framing: Framing | None = None) -> list[Event]:
    """The events of a stream that ends cleanly, in an order that the table allows."""
    framer, decoder = FRAMERS[framing or dialect.framing](1 << 24), dialect.stream_decoder()
    frames = [*framer.feed(body), *framer.close()]
    events: list[Event] = []
    for frame in frames:
        events += decoder.feed(frame).events
        if events and isinstance(events[-1], StreamError):
            return checked(events)
    return checked([*events, *decoder.close().events])


@cache
def answer_of(recording: Recording) -> Response | Failure:
    """What a recording's answer means, streamed or whole."""
    dialect = recording.dialect
    if not recording.stream:
        return dialect.decode_response(recording.body, recording.headers)
    result = fold(events_of(recording.body, dialect, recording.framing))
    return result.failure if result.failure is not None else result.response


def request_of(recording: Recording) -> Request:
    """What a recording's request means."""
    return recording.dialect.decode_request(json.dumps(recording.request), recording.line)


def answers() -> list[Recording]:
    """The recordings whose answer is one, by what their dialect says."""
    good = [r for r in recorded() if r.status < 400]
    return [r for r in good if isinstance(answer_of(r), Response)]
