"""The converse dialect: Bedrock's Converse and ConverseStream.

Requests say their model in the path; streams are binary messages with checksums.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from arno.dialects.converse import answer, envelope, failures, request, restamp
from arno.dialects.converse.messages import HEARTBEAT
from arno.dialects.converse.stream_decode import ConverseStreamDecoder
from arno.dialects.converse.stream_encode import ConverseStreamEncoder
from arno.dialects.paths import segment
from arno.wire.frame import Framing


class ConverseDialect(Common):
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "converse"
    framing = Framing.EVENT_STREAM
    artefact_marks: tuple[bytes, ...] = (b'"signature"', b'"redactedContent"')

    encode_request = staticmethod(request.encode_request)
    decode_response = staticmethod(answer.decode_response)
    encode_response = staticmethod(answer.encode_response)
    restamp_response = staticmethod(restamp.restamp_response)
    decode_failure = staticmethod(failures.decode_failure)
    encode_failure = staticmethod(failures.encode_failure)
    encode_refusal = staticmethod(failures.encode_refusal)
    stream_failure = staticmethod(failures.stream_failure)

    def path(self, model: str, *, stream: bool) -> str:
        """The model's id is one segment: `:` and `/` of resource names are escaped."""
        return f"/model/{segment(model)}/converse{'-stream' if stream else ''}"

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
        """The same-dialect request for an upstream; the model is told in the path."""
        return envelope.edit_request(body, contract=contract, members=members)

    def decode_request(self, body: bytes, line: RequestLine = BODY_ONLY) -> Request:
        """A client's request."""
        return request.decode_request(body, line)

    def stream_decoder(self, *, finish_optional: bool = False) -> StreamDecoder:
        """A decoder for one stream; the stop reason is never optional here."""
        return ConverseStreamDecoder()

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream; every stream of this dialect tells its usage."""
        return ConverseStreamEncoder(stamp, pricer)

    def stream_restamper(
        self, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> StreamRestamper:
        """A restamper for one stream."""
        return restamp.ConverseRestamper(stamp, pricer)

    def heartbeat(self) -> bytes:
        """A message of a type that clients pass over."""
        return HEARTBEAT
