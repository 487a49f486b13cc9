"""Embeddings (`POST /embeddings`): passed through to endpoints of the chat dialect.

Whole answers only. Vectors are never decoded: the body goes on as it came but for the model's id,
the gateway's own members and the end user's id, the answer but for id, model and cost. Source:
openrouter-api 1.1, the vendor's reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, RequestError, Stage
from arno.canon.response import Response
from arno.canon.usage import Usage
from arno.dialects import bodies
from arno.dialects.base import BODY_ONLY, Envelope, Glance, Headers, Pricer, RequestLine, Stamp
from arno.dialects.chat import ChatDialect
from arno.dialects.chat.answer import decode_response
from arno.dialects.counts import count
from arno.dialects.disclosure import MEMBER, disclosed
from arno.wire import json
from arno.wire.errors import MalformedJSON

NAME = "embeddings"
ROUTING = frozenset({"provider", "models", "session_id", "trace", "usage"})
"""Members for the gateway itself; they never reach an upstream of another contract (R14)."""

_ABSENT = Raw()


class _Members(msgspec.Struct):
    model: str | None = None
    models: list[str] | None = None
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None
    stream: bool | None = None


class _Answer(msgspec.Struct):
    data: list[Raw]
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Raw = _ABSENT
    error: None = None


_NAMES = frozenset(_Members.__struct_fields__)
_DECODER = msgspec.json.Decoder(_Members)
_ANSWER = msgspec.json.Decoder(_Answer)
_MAP: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Raw])


class EmbeddingsOperation(ChatDialect):
    """Embeddings; failures are those of chat."""

    name = NAME

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return "/embeddings"

    def peek(self, body: bytes, line: RequestLine = BODY_ONLY) -> Envelope:
        """The envelope of a client's request."""
        raw = bodies.members_of(body)
        members = bodies.decoded(_DECODER, bodies.looked_at(raw, _NAMES))
        bodies.check_operators(raw)
        model = bodies.check_model(members.model, "model")
        models = bodies.check_models(members.models or (), "models")
        bodies.check_length(members.user, "user")
        bodies.check_length(members.session_id, "session_id")
        bodies.check_doubles(body)
        _check(members, raw)
        return Envelope(
            model=model,
            models=models,
            routing=members.provider,
            user=members.user,
            session_id=members.session_id,
            members=raw,
        )

    def edit_request(
        self,
        body: bytes,
        *,
        model: str | None,
        contract: bool,
        ask_usage: bool,
        members: Mapping[str, Raw] | None = None,
    ) -> bytes:
        """The request for an upstream; `body` itself where nothing changes."""
        known: dict[str, Any] = dict(members) if members is not None else _MAP.decode(body)
        kept = {k: v for k, v in known.items() if contract or k not in ROUTING}
        changed = len(kept) != len(known)
        if not contract:
            changed = bodies.hide_user(kept) or changed
        if model is not None:
            kept["model"] = model
        elif not changed:
            return body
        return json.dumps(kept)

    def decode_response(self, body: bytes, headers: Headers = ()) -> Response | Failure:
        """What is no list of vectors is a failure, told as chat tells it."""
        glanced = self.glance(body)
        if glanced is None:
            failure = decode_response(body, headers)
            if isinstance(failure, Failure) and failure.kind is not FailureKind.INVALID_ANSWER:
                return failure
            text = "upstream answered without embeddings"
            return Failure(FailureKind.INVALID_ANSWER, text, retryable=True, stage=_BEFORE)
        return Response(
            id=glanced.id,
            model=glanced.model,
            served_by=glanced.served_by,
            usage=glanced.usage,
        )

    def glance(self, body: bytes) -> Glance | None:
        """What the ledger keeps of an answer; None for what is none."""
        try:
            answer = _ANSWER.decode(body)
            usage = json.loads(bytes(answer.usage)) if bytes(answer.usage) else None
        except (msgspec.MsgspecError, MalformedJSON, RecursionError, UnicodeDecodeError):
            return None
        if not answer.data:
            return None
        return Glance(
            body=body,
            id=answer.id or None,
            model=answer.model or None,
            served_by=answer.provider or None,
            usage=_usage(usage),
            reasons=(),
            native_reason=None,
            as_said=True,
        )

    def restamp_glanced(self, glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
        """The answer with id, model, provider and cost; its vectors are the bytes that came."""
        members = _MAP.decode(glanced.body)
        own = {"id": stamp.id, "model": stamp.model}
        members.update({name: value for name, value in own.items() if value is not None})
        if stamp.provider is not None and glanced.served_by is None:
            members["provider"] = stamp.provider
        usage = glanced.usage
        if usage is not None:
            members["usage"] = _priced(usage, stamp, pricer(usage, glanced.served_by))
        return json.dumps(members)

    def restamp_response(
        self, body: bytes, response: Response, stamp: Stamp, pricer: Pricer
    ) -> bytes:
        """As `restamp_glanced`."""
        glanced = self.glance(body)
        return body if glanced is None else self.restamp_glanced(glanced, stamp, pricer)


_BEFORE = Stage.BEFORE_OUTPUT


def _check(members: _Members, raw: Mapping[str, Raw]) -> None:
    given = bodies.raw_text(raw, "input")
    empty = given == b'""' or (given[:1] == b"[" and given[1:].strip() == b"]")
    if empty or not given.startswith((b'"', b"[")):
        raise RequestError("input must be a text, a list of texts, or token ids", "input")
    if members.stream:
        raise RequestError("embeddings come whole", "stream")


def _usage(document: Json) -> Usage | None:
    """Tokens read; none are written, which the wire says by a total equal to them."""
    if not isinstance(document, Mapping) or not document:
        return None
    read, total = count(document.get("prompt_tokens")), count(document.get("total_tokens"))
    cost = document.get("cost")
    return Usage(
        input=read,
        output=0 if read is not None and total in (read, None) else None,
        cost=format(Decimal(cost), "f") if isinstance(cost, int | Decimal) else None,
        raw={"chat": dict(document)},
    )


def _priced(usage: Usage, stamp: Stamp, cost: str | None) -> dict[str, Json]:
    document = dict(usage.raw["chat"])
    if usage.cost is None and cost is not None:
        document["cost"] = Decimal(cost)
    if stamp.losses:
        document[MEMBER] = disclosed(stamp.losses)
    return document
