"""One document of a dialect told in another one: what the gateway does, as a function.

A request, a whole answer or a stream goes in as bytes; the same in the target's words comes out,
with what was lost on the way. No key, no network, no model: the tool to see what a translation
does, and to use it where no gateway stands.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from arno.canon.events import Event, PartStart, StreamError
from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind, LocalError, RequestError
from arno.canon.request import Request
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, RequestLine, Stamp
from arno.dialects.content import check_content
from arno.dialects.dispositions import client_field, dispose
from arno.wire import FRAMERS, Framer, Framing, WireError, json
from arno.wire.errors import MalformedJSON

LARGEST_FRAME: Final = 64 * 1024 * 1024
"""Bytes of one frame of a stream; a document on a disk may hold a long one."""

ANSWER_MEMBERS: Final = frozenset(
    {"choices", "candidates", "promptFeedback", "output", "content", "error"}
)
"""Members that whole answers have at their top level, and requests of no dialect."""

STREAM_STARTS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
"""What a line of server-sent events begins with."""


NONE_OF_IT: Final = frozenset({FailureKind.INVALID_ANSWER, FailureKind.TRUNCATED})
"""How a stream fails, before anything was said in it, that stands in another dialect."""


class Kind(StrEnum):
    """What a document is."""

    REQUEST = "request"
    ANSWER = "answer"
    STREAM = "stream"


class TranslationError(LocalError):
    """The document cannot be translated; the message says why."""


class Translation(msgspec.Struct, frozen=True):
    """The document in the target dialect.

    body: bytes in the target's framing; losses: what it does not say of the source's, those of a
    request named as the source names its fields; kind: what the result is; path: of a request, the
    operation below a base URL that it is for; failure: of an answer or stream that tells of one,
    what it tells.
    """

    body: bytes
    losses: tuple[Loss, ...]
    kind: Kind
    path: str | None = None
    failure: Failure | None = None


def translate(
    document: bytes,
    *,
    source: str,
    target: str,
    kind: str | None = None,
    model: str | None = None,
    stream: bool = False,
) -> Translation:
    """Tell `document`, which stands in dialect `source`, in dialect `target`.

    kind: request, answer or stream; None: as it looks. model: what a request asks for and an answer
    names, in place of what the document says; requests of dialects that name the model in their
    path need it. stream: a request asks for a stream, a whole answer becomes one.

    Raises TranslationError for an unknown dialect or kind and for a document that is none of its
    dialect, RequestError (naming the field) for a request that cannot be carried. Both are
    LocalError.
    """
    reader, writer = _dialect(source), _dialect(target)
    what = _kind(kind) if kind is not None else guess(document)
    if what is Kind.REQUEST:
        return _request(document, reader, writer, RequestLine(model=model, stream=stream or None))
    if what is Kind.ANSWER:
        return _answer(document, reader, writer, Stamp(model=model), stream=stream)
    return _stream(document, reader, writer, Stamp(model=model))


def _dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise TranslationError(f"there is no dialect {name!r} (there are: {known})")
    return DIALECTS[name]


def _kind(word: str) -> Kind:
    try:
        return Kind(word)
    except ValueError as error:
        raise TranslationError(f"no kind of document: {word!r} ({', '.join(Kind)})") from error


def guess(document: bytes) -> Kind:
    """What a document looks like. Raises TranslationError for what is neither JSON nor a stream."""
    text = document.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"{":
        members = _members(text)
        return Kind.ANSWER if members & ANSWER_MEMBERS else Kind.REQUEST
    if framing_of(document) is not None:
        return Kind.STREAM
    raise TranslationError("this is neither a JSON object nor a stream of events")


def _members(text: bytes) -> frozenset[str]:
    try:
        document = json.loads(text)
    except MalformedJSON as error:
        raise TranslationError(f"this is not JSON: {error}") from error
    return frozenset(document) if isinstance(document, dict) else frozenset()


def framing_of(body: bytes) -> Framing | None:
    """How a stream is cut, by its first bytes; None if it looks like no stream."""
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[":
        return Framing.JSON_ARRAY
    if body[:1] == b"\0":
        # Every binary message begins with its length, which is less than 16 MiB.
        return Framing.EVENT_STREAM
    return Framing.SSE if text.startswith(STREAM_STARTS) else None


def encode_for(
    request: Request, client: str, target: str, members: Container[str] = ()
) -> tuple[bytes, tuple[Loss, ...]]:
    """A client's request as `target` writes it, and what it does not say, in the client's words.

    members: what the client's body holds at its top level, for fields with two names. Raises
    RequestError, its path in the client's words as well.
    """
    losses: tuple[Loss, ...] = ()
    if client != target:
        losses = dispose(client, target, request.ext.get(client, {}))
        request = msgspec.structs.replace(request, ext={})
    try:
        if client != target:
            check_content(request, client, target)
        body, more = DIALECTS[target].encode_request(request)
    except RequestError as error:
        raise RequestError(error.message, client_field(client, error.path, members)) from error
    return body, tuple(
        msgspec.structs.replace(loss, path=client_field(client, loss.path, members))
        for loss in (*losses, *more)
    )


def _request(document: bytes, reader: Dialect, writer: Dialect, line: RequestLine) -> Translation:
    request = reader.decode_request(document, line)
    if line.model is not None:
        request = msgspec.structs.replace(request, model=line.model)
    if line.stream is not None:
        request = msgspec.structs.replace(request, stream=line.stream)
    unsent: tuple[Loss, ...] = ()
    if reader.name != writer.name and request.routing:
        why = "for a gateway; no other upstream reads it"
        unsent = tuple(Loss(name, "dropped", why) for name in request.routing)
        request = msgspec.structs.replace(request, routing=None)
    body, losses = encode_for(request, reader.name, writer.name)
    if not request.messages and reader.name != writer.name:
        raise TranslationError(f"this is no {reader.name} request: no message stands in it")
    path = writer.path(request.model, stream=request.stream)
    return Translation(body, (*unsent, *losses), Kind.REQUEST, path=path)


def _answer(
    document: bytes, reader: Dialect, writer: Dialect, stamp: Stamp, *, stream: bool
) -> Translation:
    answer = reader.decode_response(document)
    if isinstance(answer, Failure):
        if answer.kind is FailureKind.INVALID_ANSWER:
            raise TranslationError(f"this is no {reader.name} answer: {answer.message}")
        return _failed(answer, writer, stamp, stream=stream)
    if stamp.model is not None:
        answer = msgspec.structs.replace(answer, model=stamp.model)
    if stream:
        return _written([tuple(unfold(answer))], writer, stamp)
    told, losses = writer.encode_response(answer)
    return Translation(json.dumps(told), losses, Kind.ANSWER)


def _failed(failure: Failure, writer: Dialect, stamp: Stamp, *, stream: bool) -> Translation:
    if stream:
        return Translation(writer.stream_failure(failure, stamp), (), Kind.STREAM, failure=failure)
    document = writer.encode_failure(failure)[1]
    return Translation(json.dumps(document), (), Kind.ANSWER, failure=failure)


def _stream(body: bytes, reader: Dialect, writer: Dialect, stamp: Stamp) -> Translation:
    batches = list(_read(body, reader))
    events = [event for batch in batches for event in batch]
    last = events[-1] if events else None
    understood = any(isinstance(event, PartStart) for event in events)
    if isinstance(last, StreamError) and not understood and last.failure.kind in NONE_OF_IT:
        raise TranslationError(f"this is no {reader.name} stream: {last.failure.message}")
    return _written(batches, writer, stamp)


def _read(body: bytes, reader: Dialect) -> Iterator[tuple[Event, ...]]:
    """The events of each frame, whatever the framing."""
    decoder, framer = reader.stream_decoder(), _framer(body, reader)
    try:
        for frame in [*framer.feed(body), *framer.close()]:
            yield decoder.feed(frame).events
    except WireError as error:
        raise TranslationError(f"this is no {reader.name} stream: {error}") from error
    yield decoder.close().events


def _framer(body: bytes, reader: Dialect) -> Framer:
    """What cuts `body`. A binary stream holds documents of its own, or those of another wire."""
    found = framing_of(body) or Framing.SSE
    if found is Framing.EVENT_STREAM and reader.framing is not Framing.EVENT_STREAM:
        found = Framing.EVENT_STREAM_BYTES
    if found not in FRAMERS:
        raise TranslationError(f"a {reader.name} stream is not cut as a {found.value}")
    return FRAMERS[found](LARGEST_FRAME)


def _written(batches: Iterable[tuple[Event, ...]], writer: Dialect, stamp: Stamp) -> Translation:
    encoder = writer.stream_encoder(stamp, no_price, include_usage=True)
    pieces: list[bytes] = []
    failure: Failure | None = None
    for batch in batches:
        pieces.append(encoder.feed(batch))
        for event in batch:
            failure = event.failure if isinstance(event, StreamError) else failure
    return Translation(b"".join(pieces), encoder.losses, Kind.STREAM, failure=failure)


def no_price(usage: Usage, served_by: str | None) -> str | None:
    """A pricer that knows no price: a cost that the upstream tells is kept."""
    return None
