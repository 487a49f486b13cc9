"""The converse dialect: Bedrock's Converse and ConverseStream.

Requests say their model in the path; streams are binary messages with checksums.
"""

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
from arno.dialects.converse import answer, envelope, failures, request, restamp
from arno.dialects.converse.messages import HEARTBEAT
from arno.dialects.converse.stream_decode import ConverseStreamDecoder
from arno.dialects.converse.stream_encode import ConverseStreamEncoder
from arno.wire.frame import Framing


class ConverseDialect:
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "converse"
    framing = Framing.EVENT_STREAM
    usage_member = "usage"
    artefact_marks: tuple[bytes, ...] = (b'"signature"', b'"redactedContent"')
    headers: Headers = ()

    def path(self, model: str, *, stream: bool) -> str:
        """The model's id is one segment: `:` and `/` of resource names are escaped."""
        return f"/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}"

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

    def encode_request(self, value: Request) -> tuple[bytes, tuple[Loss, ...]]:
        """The request as JSON text, and what was lost."""
        return request.encode_request(value)

    def decode_response(self, body: bytes, headers: Headers = ()) -> Response | Failure:
        """A whole answer."""
        return answer.decode_response(body, headers)

    def glance(self, body: bytes) -> Glance | None:
        """Nothing: an answer of this dialect is always decoded."""
        return None

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """An answer with the stamp, decoded after all."""
        response = answer.decode_response(glanced.body)
        if isinstance(response, Failure):
            return glanced.body
        return restamp.restamp_response(glanced.body, response, stamp, pricer)

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
        """The error document for a request that the gateway itself does not serve."""
        return failures.encode_refusal(status, message, reason)

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

    def stream_failure(self, failure: Failure, stamp: Stamp) -> bytes:
        """The exception that ends a stream."""
        return failures.stream_failure(failure, stamp)

    def stream_done(self) -> bytes:
        """Nothing: a stream ends with its last message."""
        return b""
