"""The gemini dialect: generateContent and streamGenerateContent, as events (`alt=sse`)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from msgspec import Raw

from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, Stage
from arno.canon.request import Request
from arno.canon.response import Response
from arno.dialects.base import (
    BODY_ONLY,
    Envelope,
    Glance,
    Headers,
    Pricer,
    RequestLine,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    StreamRestamper,
)
from arno.dialects.gemini import answer, envelope, failures, request, restamp
from arno.dialects.gemini.chunks import HEARTBEAT, error_frames
from arno.dialects.gemini.residue import DIALECT
from arno.dialects.gemini.stream_decode import GeminiStreamDecoder
from arno.dialects.gemini.stream_encode import GeminiStreamEncoder
from arno.wire.frame import Framing

COLLECTIONS = ("models", "tunedModels", "publishers", "projects", "endpoints")
"""First segments of a resource name; a model id that begins with one is a path already."""


class GeminiDialect:
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = DIALECT
    framing = Framing.SSE
    usage_member = "usageMetadata"
    artefact_marks: tuple[bytes, ...] = (b'ignature"',)
    headers: Headers = ()

    def path(self, model: str, *, stream: bool) -> str:
        """`/models/<model>:<operation>`, or the resource that the model id names."""
        operation = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/{_resource(model)}:{operation}"

    def peek(self, body: bytes, line: RequestLine = BODY_ONLY) -> Envelope:
        """The envelope of a client's request."""
        return envelope.peek(body, line)

    def edit_request(
        self,
        body: bytes,
        *,
        model: str | None,
        contract: bool,
        ask_usage: bool,
        members: Mapping[str, Raw] | None = None,
    ) -> bytes:
        """The same-dialect request for an upstream; the model stands in the path."""
        return envelope.edit_request(body, contract=contract, members=members)

    def decode_request(self, body: bytes, line: RequestLine = BODY_ONLY) -> Request:
        """A client's request."""
        return request.decode_request(body, line)

    def encode_request(self, value: Request) -> tuple[bytes, tuple[Loss, ...]]:
        """The request as JSON text, and what was lost."""
        return request.encode_request(value)

    def decode_response(self, body: bytes, headers: Headers = ()) -> Response | Failure:
        """A whole answer."""
        return answer.decode_response(body, headers)

    def glance(self, body: bytes) -> Glance | None:
        """Never enough: whether calls stand in an answer decides what its end means."""
        return None

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """As it came; `glance` gives nothing that could be passed in."""
        return glanced.body

    def encode_response(self, response: Response) -> tuple[Json, tuple[Loss, ...]]:
        """The whole answer as a document, and what was lost."""
        return answer.encode_response(response)

    def restamp_response(
        self, body: bytes, response: Response, stamp: Stamp, pricer: Pricer
    ) -> bytes:
        """A whole answer with the stamp written in."""
        return restamp.restamp_response(body, response, stamp, pricer)

    def decode_failure(self, status: int, headers: Headers, body: bytes, stage: Stage) -> Failure:
        """An answer with a bad status."""
        return failures.decode_failure(status, headers, body, stage)

    def encode_failure(self, failure: Failure, provider: str | None = None) -> tuple[int, Json]:
        """Status and document for a failure before any output."""
        return failures.encode_failure(failure, provider)

    def encode_refusal(self, status: int, message: str, reason: str) -> Json:
        """The error document of the gateway's own refusals."""
        return failures.encode_refusal(status, message, reason)

    def stream_decoder(self, *, finish_optional: bool = False) -> StreamDecoder:
        """A decoder for one stream; no host leaves the finish out, and there is no end mark."""
        return GeminiStreamDecoder()

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream; usage is always told."""
        return GeminiStreamEncoder(stamp, pricer)

    def stream_restamper(
        self, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> StreamRestamper:
        """A restamper for one stream."""
        return restamp.GeminiRestamper(stamp, pricer)

    def heartbeat(self) -> bytes:
        """A chunk with an empty text."""
        return HEARTBEAT

    def stream_failure(self, failure: Failure, stamp: Stamp) -> bytes:
        """The error document that ends a stream."""
        return error_frames(failure, stamp)

    def stream_done(self) -> bytes:
        """Nothing: the wire has no end mark."""
        return b""


def _resource(model: str) -> str:
    """The path of a model below the base URL, each segment quoted.

    An id whose segments could lead elsewhere (an empty one, dots) is one segment.
    """
    segments = model.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return f"models/{quote(model, safe='')}"
    path = "/".join(quote(segment, safe="@") for segment in segments)
    return path if segments[0] in COLLECTIONS and len(segments) > 1 else f"models/{path}"
