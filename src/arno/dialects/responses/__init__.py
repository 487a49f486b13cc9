"""The responses dialect: OpenAI's Responses, with the gateway contract's additions."""

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


class ResponsesDialect(Common):
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "responses"
    artefact_marks: tuple[bytes, ...] = (b'"encrypted_content"', b'"signature"')

    encode_request = staticmethod(request_encode.encode_request)
    decode_response = staticmethod(answer.decode_response)
    encode_response = staticmethod(answer.encode_response)
    restamp_response = staticmethod(restamp.restamp_response)
    decode_failure = staticmethod(decode_failure)
    encode_failure = staticmethod(failures.encode_failure)
    encode_refusal = staticmethod(failures.encode_refusal)
    stream_failure = staticmethod(failure_frame)

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
