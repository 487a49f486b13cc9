"""The messages dialect: Anthropic Messages with the gateway contract's members."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from arno.dialects.base import (
    Common,
    Headers,
    Pricer,
    Stamp,
    StreamDecoder,
    StreamEncoder,
    StreamRestamper,
)
from arno.dialects.messages import answer, envelope, failures, request, restamp
from arno.dialects.messages.frames import PING, STOP
from arno.dialects.messages.stream_decode import MessagesStreamDecoder
from arno.dialects.messages.stream_encode import MessagesStreamEncoder


class MessagesDialect(Common):
    """See `arno.dialects.base.Dialect` for what each operation means."""

    name = "messages"
    artefact_marks: tuple[bytes, ...] = (b'"signature"', b'"redacted_thinking"')
    headers: Headers = (("anthropic-version", "2023-06-01"),)

    peek = staticmethod(envelope.peek)
    decode_request = staticmethod(request.decode_request)
    encode_request = staticmethod(request.encode_request)
    decode_response = staticmethod(answer.decode_response)
    encode_response = staticmethod(answer.encode_response)
    glance = staticmethod(restamp.glance)
    restamp_glanced = staticmethod(restamp.restamp_glanced)
    restamp_response = staticmethod(restamp.restamp_response)
    decode_failure = staticmethod(failures.decode_failure)
    encode_failure = staticmethod(failures.encode_failure)
    encode_refusal = staticmethod(failures.encode_refusal)
    stream_failure = staticmethod(failures.error_frame)

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return "/messages"

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

    def stream_done(self) -> bytes:
        """The end of a message."""
        return STOP
