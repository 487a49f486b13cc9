"""The Protocol that every dialect implements, and the values that cross its border.

A dialect is one wire API shape. It turns documents into canonical values and back; it knows no
provider, no socket and no other dialect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from arno.canon.events import Event
from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, Stage
from arno.canon.request import Request
from arno.canon.response import FinishReason, Response
from arno.canon.usage import Usage
from arno.wire.frame import Frame, Framing

Headers = tuple[tuple[str, str], ...]
"""HTTP header fields, names in lower case."""


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the path and the query of a request say, where the dialect puts it there.

    model: its id; stream: a stream is asked for.
    """

    model: str | None = None
    stream: bool | None = None


BODY_ONLY = RequestLine()
"""The request line of dialects that say everything in the body."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What routing and limits need of a request; the big members are not decoded.

    models: fallback model ids after `model`; routing: the gateway's own preferences document;
    include_usage: the client asked for a usage chunk (always true where every answer has one);
    choices: how many alternative answers are asked for; members: the body cut into its members,
    for `edit_request` of the same dialect (a long body is gone through once).
    """

    model: str
    models: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    routing: Json = None
    user: str | None = None
    session_id: str | None = None
    choices: int = 1
    members: Mapping[str, msgspec.Raw] | None = None


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway writes into a document it passes on; None leaves the upstream's value.

    A document's own `provider` is never overwritten; created (Unix seconds) is for frames of our
    own making. losses: what the upstream's request could not say of the client's; told in the
    answer's usage object, see `arno.dialects.disclosure`.
    """

    id: str | None = None
    model: str | None = None
    provider: str | None = None
    created: int | None = None
    losses: tuple[Loss, ...] = ()


class Batch(msgspec.Struct, frozen=True, gc=False):
    """One frame, its parsed document and what it means.

    regular: the document says what the events say in the dialect's uniform layout, so it can be
    passed on as it is; otherwise its tool calls and end reasons must be rewritten.
    readable_error: the document is an error that clients of the dialect read as it is, and may.
    plain: one more piece of an open part in the uniform layout; its document was read and not
    kept (None), since the text in the frame can go on as it is but for the stamp.
    """

    frame: Frame | None
    document: Json
    events: tuple[Event, ...]
    regular: bool = True
    readable_error: bool = False
    plain: bool = False


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway keeps of a whole answer that it passes on without decoding its content.

    body: as it came; id, model, served_by, usage, native_reason as in `Response` and its first
    choice; reasons: of all choices, in order; as_said: they stand in the body as they must.
    """

    body: bytes
    id: str | None
    model: str | None
    served_by: str | None
    usage: Usage | None
    reasons: tuple[FinishReason, ...]
    native_reason: str | None
    as_said: bool


class StreamDecoder(Protocol):
    """Frames to events; a fault of the wire becomes a StreamError event, never an exception."""

    def feed(self, frame: Frame) -> Batch:
        """What one frame means."""
        ...

    def close(self) -> Batch:
        """What the end of the stream means: the terminal event, unless it was already given."""
        ...

    def abort(self, failure: Failure) -> Batch:
        """The stream ended by a fault below the dialect (reset, deadline)."""
        ...


class StreamEncoder(Protocol):
    """Events to wire bytes, whole frames only.

    losses: what of the answer this dialect could not say, as far as it has come. failure: what it
    told its stream ended with, which may be its own (more waits than may be kept).
    """

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        ...

    @property
    def failure(self) -> Failure | None:
        """The failure that it ended with, None as long as there is none."""
        ...

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`."""
        ...


class StreamRestamper(Protocol):
    """Batches of the same dialect to wire bytes with a stamp; whole frames only."""

    def feed(self, batch: Batch) -> bytes:
        """The frames that carry this batch on."""
        ...


class Pricer(Protocol):
    """Gives the cost of a usage in USD as plain decimal text, None if it is not known."""

    def __call__(self, usage: Usage, served_by: str | None) -> str | None:
        """Cost of `usage` when `served_by` served it."""
        ...


class Dialect(Protocol):
    """One wire API shape, both directions."""

    name: str
    framing: Framing
    """How its streams are cut into frames."""
    usage_member: str
    """The member of a whole answer that holds its usage object."""
    artefact_marks: tuple[bytes, ...]
    """What stands, one or the other, in each request body that sends reasoning artefacts back."""
    headers: Headers
    """Fields that every request of the dialect needs besides content type and key."""

    def path(self, model: str, *, stream: bool) -> str:
        """The operation's path (and query) below the base URL, e.g. "/chat/completions"."""
        ...

    def peek(self, body: bytes, line: RequestLine = BODY_ONLY) -> Envelope:
        """Read the envelope of a client's request. Raises RequestError naming the field."""
        ...

    def edit_request(
        self,
        body: bytes,
        *,
        model: str | None,
        contract: bool,
        ask_usage: bool,
        members: Mapping[str, msgspec.Raw] | None = None,
    ) -> bytes:
        """The same-dialect request for an upstream; `body` itself where nothing changes.

        model: the upstream's id of the model (None: as asked); contract: the upstream speaks
        the gateway's own superset, so routing members stay; ask_usage: switch streamed usage on;
        members: those of the envelope, if it is at hand.
        """
        ...

    def decode_request(self, body: bytes, line: RequestLine = BODY_ONLY) -> Request:
        """A client's request. Raises RequestError naming the field."""
        ...

    def encode_request(self, request: Request) -> tuple[bytes, tuple[Loss, ...]]:
        """The request as this dialect writes it, and what could not be carried.

        Raises RequestError for what must not be dropped; its path is a JSON pointer into the
        canonical request, as a Loss's is.
        """
        ...

    def decode_response(self, body: bytes, headers: Headers = ()) -> Response | Failure:
        """A whole answer with a good status; a failure inside it is told as one.

        headers: those of the answer, for what they tell of such a failure (Retry-After).
        """
        ...

    def glance(self, body: bytes) -> Glance | None:
        """What a plain whole answer with a good status holds; None: `decode_response` must tell."""
        ...

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """What `restamp_response` makes of it."""
        ...

    def encode_response(self, response: Response) -> tuple[Json, tuple[Loss, ...]]:
        """The whole answer as a document, and what could not be carried."""
        ...

    def restamp_response(
        self, body: bytes, response: Response, stamp: Stamp, pricer: Pricer
    ) -> bytes:
        """A whole answer of the same dialect with the stamp; response: what `body` decodes to."""
        ...

    def decode_failure(self, status: int, headers: Headers, body: bytes, stage: Stage) -> Failure:
        """An answer with a bad status."""
        ...

    def encode_failure(self, failure: Failure, provider: str | None = None) -> tuple[int, Json]:
        """HTTP status and error document for a failure before any output."""
        ...

    def encode_refusal(self, status: int, message: str, reason: str) -> Json:
        """The error document for a request that the gateway itself does not serve.

        status: the HTTP status it goes with (400 to 503); reason: our stable word for why.
        """
        ...

    def stream_decoder(self, *, finish_optional: bool = False) -> StreamDecoder:
        """A decoder for one stream. finish_optional: `[DONE]` alone is terminal evidence."""
        ...

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream. What the stamp leaves open the events say."""
        ...

    def stream_restamper(
        self, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> StreamRestamper:
        """A restamper for one stream of the same dialect."""
        ...

    def heartbeat(self) -> bytes:
        """A frame that keeps a client's connection alive and means nothing."""
        ...

    def stream_failure(self, failure: Failure, stamp: Stamp) -> bytes:
        """The frames that end a client's stream with `failure`."""
        ...

    def stream_done(self) -> bytes:
        """The frame that marks a good end where the upstream left it out; may be empty."""
        ...


class Common:
    """What a dialect has that says nothing else of it; the other operations are all its own.

    A dialect's class is the table of its operations: it names the functions of its modules that do
    them, and has a method only where something of the Protocol's is left out or made.
    """

    framing = Framing.SSE
    usage_member = "usage"
    headers: Headers = ()

    def glance(self, body: bytes) -> Glance | None:
        """Nothing: every whole answer is decoded."""
        return None

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """As it came; a dialect that gives no glance is never asked."""
        return glanced.body

    def stream_done(self) -> bytes:
        """Nothing: a stream ends with what its upstream says last."""
        return b""
