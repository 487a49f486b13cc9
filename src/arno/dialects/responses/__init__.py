"""The responses dialect: OpenAI's Responses, with the gateway contract's additions."""

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
from arno.dialects.failures import decode_failure
from arno.dialects.responses import (
    answer,
    envelope,
    failures,
    request,
    request_encode,
    restamp,
)
from arno.dialects.responses.events import HEARTBEAT, failure_frame
from arno.dialects.responses.stream_decode import ResponsesStreamDecoder
from arno.dialects.responses.stream_encode import ResponsesStreamEncoder
from arno.wire.frame import Framing


class ResponsesDialect:
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "responses"
    framing = Framing.SSE
    usage_member = "usage"
    artefact_marks: tuple[bytes, ...] = (b'"encrypted_content"', b'"signature"')
    headers: Headers = ()

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return "/responses"

    def peek(self, body: bytes, line: RequestLine = BODY_ONLY) -> Envelope:
        """The envelope of a client's request."""
        return envelope.peek(body)

    def edit_request(
        self,
        body: bytes,
        *,
        model: str | None,
        contract: bool,
        ask_usage: bool,
        members: Mapping[str, Raw] | None = None,
    ) -> bytes:
        """The same-dialect request for an upstream; usage is told without being asked for."""
        return envelope.edit_request(body, model=model, contract=contract, members=members)

    def decode_request(self, body: bytes, line: RequestLine = BODY_ONLY) -> Request:
        """A client's request."""
        return request.decode_request(body)

    def encode_request(self, value: Request) -> tuple[bytes, tuple[Loss, ...]]:
        """The request as JSON text, and what was lost."""
        return request_encode.encode_request(value)

    def decode_response(self, body: bytes, headers: Headers = ()) -> Response | Failure:
        """A whole answer."""
        return answer.decode_response(body, headers)

    def glance(self, body: bytes) -> Glance | None:
        """Nothing: every whole answer is decoded."""
        return None

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """Never asked for, since `glance` gives nothing."""
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
        return decode_failure(status, headers, body, stage)

    def encode_failure(self, failure: Failure, provider: str | None = None) -> tuple[int, Json]:
        """Status and document for a failure before any output."""
        return failures.encode_failure(failure, provider)

    def encode_refusal(self, status: int, message: str, reason: str) -> Json:
        """The error document for a request that the gateway itself does not serve."""
        return failures.encode_refusal(status, message, reason)

    def stream_decoder(self, *, finish_optional: bool = False) -> StreamDecoder:
        """A decoder for one stream."""
        return ResponsesStreamDecoder(finish_optional=finish_optional)

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream; every answer of this wire tells its usage."""
        return ResponsesStreamEncoder(stamp, pricer)

    def stream_restamper(
        self, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> StreamRestamper:
        """A restamper for one stream."""
        return restamp.ResponsesRestamper(stamp, pricer)

    def heartbeat(self) -> bytes:
        """A comment line."""
        return HEARTBEAT

    def stream_failure(self, failure: Failure, stamp: Stamp) -> bytes:
        """The failed answer that ends a stream, whatever of it was told before."""
        return failure_frame(failure, stamp)

    def stream_done(self) -> bytes:
        """Nothing: the last event is the end mark."""
        return b""
