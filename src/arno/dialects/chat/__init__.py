"""The chat dialect: OpenAI chat completions with the gateway contract's superset."""

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
from arno.dialects.chat import answer, envelope, failures, glance, refusal, request, restamp
from arno.dialects.chat.chunks import DONE, HEARTBEAT, error_chunk
from arno.dialects.chat.stream_decode import ChatStreamDecoder
from arno.dialects.chat.stream_encode import ChatStreamEncoder
from arno.dialects.failures import decode_failure


class ChatDialect(Common):
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "chat"
    artefact_marks: tuple[bytes, ...] = (b'"reasoning_details"',)

    encode_request = staticmethod(request.encode_request)
    decode_response = staticmethod(answer.decode_response)
    encode_response = staticmethod(answer.encode_response)
    restamp_glanced = staticmethod(glance.restamp_glanced)
    glance = staticmethod(glance.glance)
    restamp_response = staticmethod(restamp.restamp_response)
    decode_failure = staticmethod(decode_failure)
    encode_failure = staticmethod(failures.encode_failure)
    encode_refusal = staticmethod(refusal.encode_refusal)
    stream_failure = staticmethod(error_chunk)

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return "/chat/completions"

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
        """The same-dialect request for an upstream."""
        return envelope.edit_request(
            body, model=model, contract=contract, ask_usage=ask_usage, members=members
        )

    def decode_request(self, body: bytes, line: RequestLine = BODY_ONLY) -> Request:
        """A client's request."""
        return request.decode_request(body)

    def stream_decoder(self, *, finish_optional: bool = False) -> StreamDecoder:
        """A decoder for one stream."""
        return ChatStreamDecoder(finish_optional=finish_optional)

    def stream_encoder(self, stamp: Stamp, pricer: Pricer, *, include_usage: bool) -> StreamEncoder:
        """An encoder for one client stream."""
        return ChatStreamEncoder(stamp, pricer, include_usage=include_usage)

    def stream_restamper(
        self, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> StreamRestamper:
        """A restamper for one stream."""
        return restamp.ChatRestamper(stamp, pricer, include_usage=include_usage)

    def heartbeat(self) -> bytes:
        """A comment line."""
        return HEARTBEAT

    def stream_done(self) -> bytes:
        """The end mark."""
        return DONE
