"""The messages dialect: Anthropic Messages with the gateway contract's members."""

from __future__ import annotations

from collections.abc import Mapping

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
from arno.dialects.messages import answer, envelope, failures, request, restamp
from arno.dialects.messages.frames import PING, STOP
from arno.dialects.messages.stream_decode import MessagesStreamDecoder
from arno.dialects.messages.stream_encode import MessagesStreamEncoder
from arno.wire.frame import Framing


class MessagesDialect:
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "messages"
    framing = Framing.SSE
    usage_member = "usage"
    artefact_marks: tuple[bytes, ...] = (b'"signature"', b'"redacted_thinking"')
    headers: Headers = (("anthropic-version", "2023-06-01"),)

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return "/messages"

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
        """The same-dialect request for an upstream; usage comes unasked."""
        return envelope.edit_request(body, model=model, contract=contract, members=members)

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
        """A look at a plain whole answer."""
        return restamp.glance(body)

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """Such an answer with the stamp written in."""
        return restamp.restamp_glanced(glanced, stamp, pricer)

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
        """A decoder for one stream; a finish is never optional here."""
        return MessagesStreamDecoder()

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream; usage is always told."""
        return MessagesStreamEncoder(stamp, pricer)

    def stream_restamper(
        self, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> StreamRestamper:
        """A restamper for one stream."""
        return restamp.MessagesRestamper(stamp, pricer)

    def heartbeat(self) -> bytes:
        """A ping."""
        return PING

    def stream_failure(self, failure: Failure, stamp: Stamp) -> bytes:
        """The error event that ends a stream."""
        return failures.error_frame(failure, stamp)

    def stream_done(self) -> bytes:
        """The end of a message."""
        return STOP
