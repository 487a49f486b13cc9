"""The gemini dialect: generateContent and streamGenerateContent, as events (`alt=sse`)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from msgspec import Raw

from arno.canon.request import Request
from arno.dialects.base import (
    BODY_ONLY,
    Common,
    Envelope,
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
from arno.dialects.paths import segment

COLLECTIONS = ("models", "tunedModels", "publishers", "projects", "endpoints")
"""First segments of a resource name; a model id that begins with one is a path already."""


class GeminiDialect(Common):
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = DIALECT
    usage_member = "usageMetadata"
    artefact_marks: tuple[bytes, ...] = (b'ignature"',)

    encode_request = staticmethod(request.encode_request)
    decode_response = staticmethod(answer.decode_response)
    encode_response = staticmethod(answer.encode_response)
    restamp_response = staticmethod(restamp.restamp_response)
    decode_failure = staticmethod(failures.decode_failure)
    encode_failure = staticmethod(failures.encode_failure)
    encode_refusal = staticmethod(failures.encode_refusal)
    stream_failure = staticmethod(error_frames)

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


def _resource(model: str) -> str:
    """The path of a model below the base URL. Raises RequestError, see `arno.dialects.paths`.

    A resource name keeps its segments; any other id is one segment.
    """
    one = segment(model)
    segments = model.split("/")
    if len(segments) == 1 or segments[0] not in COLLECTIONS:
        return f"models/{one}"
    return "/".join(quote(each, safe="@") for each in segments)
