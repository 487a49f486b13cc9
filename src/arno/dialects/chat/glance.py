"""A look at a whole answer that is passed on in the same dialect, without decoding its content.

A gateway needs of it what the ledger keeps: who answered, why it ended, usage. Messages stay raw
bytes and go on as they came. Where anything is not plain (an error member, a tool call that must be
rewritten, a type that is not the contract's, text that JSON libraries read in different ways)
`glance` gives nothing, and the answer is decoded as a whole: both ways lead to the same bytes and
the same facts, which a law holds over all recordings.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Raw

from arno.canon.response import FinishReason
from arno.dialects.base import Glance, Pricer, Stamp
from arno.dialects.chat.reasons import canonical_reason, wire_reason
from arno.dialects.chat.usage import decode_usage, tell_losses
from arno.wire import json
from arno.wire.errors import MalformedJSON

_ABSENT = Raw()


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str


class _Call(msgspec.Struct, gc=False):
    """A tool call in the uniform layout."""

    id: str
    type: Literal["function"]
    function: _Function

    def is_whole(self) -> bool:
        """True if nothing of it would be filled in."""
        return bool(self.id and self.function.name and self.function.arguments)


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str
    native_finish_reason: str | None = None
    error: None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    provider: str | None = None
    usage: Raw = _ABSENT
    error: None = None


_DECODER = msgspec.json.Decoder(_Answer)
_MEMBERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, Raw])
_CHOICES: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, Raw]])


def glance(body: bytes) -> Glance | None:
    """What stands in an answer of the plain form, None for any other."""
    if not json.is_plain(body):
        return None
    try:
        answer = _DECODER.decode(body)
        usage = json.loads(bytes(answer.usage)) if bytes(answer.usage) else None
    except (msgspec.MsgspecError, MalformedJSON, RecursionError, UnicodeDecodeError):
        return None
    if not answer.choices:
        return None
    reasons = [_reason_of(choice) for choice in answer.choices]
    if None in reasons:
        return None
    first = answer.choices[0]
    return Glance(
        body=body,
        id=answer.id or None,
        model=answer.model or None,
        served_by=answer.provider or None,
        usage=decode_usage(usage),
        reasons=tuple(reason for reason in reasons if reason is not None),
        native_reason=first.native_finish_reason or first.finish_reason,
        as_said=all(map(_says_so, answer.choices, reasons)),
    )


def _reason_of(choice: _Choice) -> FinishReason | None:
    """The canonical reason, None where the whole must be looked at."""
    message = choice.message
    calls = message.tool_calls or ()
    if not (calls or message.content) or not all(map(_Call.is_whole, calls)):
        return None
    native = choice.native_finish_reason or None
    reason = canonical_reason(choice.finish_reason, native, has_calls=bool(calls))
    return None if reason is FinishReason.ERROR else reason


def _says_so(choice: _Choice, reason: FinishReason | None) -> bool:
    """Whether the choice already stands as the contract has it."""
    native = choice.native_finish_reason
    return reason is not None and choice.finish_reason == wire_reason(reason) and native is not None


def restamp_glanced(glanced: Glance, stamp: Stamp, pricer: Pricer) -> bytes:
    """The answer with the stamp; its messages are the bytes that came."""
    members: dict[str, Any] = _MEMBERS.decode(glanced.body)
    if stamp.id is not None:
        members["id"] = stamp.id
    if stamp.model is not None:
        members["model"] = stamp.model
    if stamp.provider is not None and glanced.served_by is None:
        members["provider"] = stamp.provider
    if not glanced.as_said:
        members["choices"] = _said(members["choices"], glanced)
    usage = glanced.usage
    if usage is not None:
        cost = None
        if usage.cost is None:
            cost = pricer(usage, glanced.served_by or stamp.provider)
        if cost is not None or stamp.losses:
            told = {} if cost is None else {"cost": Decimal(cost)}
            members["usage"] = tell_losses({**usage.raw["chat"], **told}, stamp.losses)
    return json.dumps(members)


def _said(raw: Raw, glanced: Glance) -> list[dict[str, Any]]:
    """The choices with the contract's reasons and, where none stands there, the host's own word."""
    choices: list[dict[str, Any]] = _CHOICES.decode(raw)
    for choice, reason in zip(choices, glanced.reasons, strict=True):
        choice.setdefault("native_finish_reason", choice["finish_reason"])
        choice["finish_reason"] = wire_reason(reason)
    return choices
