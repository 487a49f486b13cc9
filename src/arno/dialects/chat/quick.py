"""The chunks that make up nearly all of a stream: one more piece of text, reasoning or arguments.

Such a chunk is read into a few typed members, and passed on by writing its head anew: everything up
to `choices` is the same in all chunks of a stream, so the stamped head is made once and the rest of
each chunk goes on as it came. Whatever is not exactly of this form (a member that is not listed
here, a finish, usage, the first piece of a call, another order) is not quick, and the ways of
`stream_decode` and `restamp` lead to the same events and documents, which a law holds over all
recordings.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
from msgspec import Raw

from arno.dialects.base import Stamp
from arno.wire import json

CHOICES = b'"choices":'
_NO_USAGE = b',"usage":null'
_IN_HEAD = re.compile(rb'"(?:id|model|provider|usage)"')
"""Members that are stamped or taken out; behind the choices they would be missed."""

_LAST = b"}]}"
_MAX_HEAD = 4096


class _Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    arguments: str
    name: None = None


class CallPiece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """More of a call's arguments, in the layout that every client reads."""

    index: int
    function: _Function
    id: None = None
    type: Literal["function"] | None = None


class Detail(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One more piece of reasoning in words."""

    type: Literal["reasoning.text", "reasoning.summary"]
    text: str | None = None
    summary: str | None = None
    format: str | None = None
    index: int | None = None
    id: None = None
    signature: None = None


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Detail] | None = None
    refusal: None = None
    tool_calls: list[CallPiece] | None = None
    function_call: None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: None = None
    native_finish_reason: None = None
    logprobs: None = None


class Chunk(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A chunk of one choice that ends nothing."""

    choices: tuple[_Choice]
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    provider: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    obfuscation: str | None = None
    usage: None = None


_CALL_STARTS, _FINISH = b'"name":"', b'"finish_reason":"'

_DECODER = msgspec.json.Decoder(Chunk)
_MEMBERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, Raw])


def read(data: bytes) -> Chunk | None:
    """The chunk, None for one that is not of the quick form."""
    if data.find(_CALL_STARTS) >= 0 or data.find(_FINISH) >= 0:
        # The common ones that are not, told without the price of an exception.
        return None
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class Splicer:
    """Quick chunks of one stream with the stamp. served_by: who the last one spliced names."""

    __slots__ = ("_made", "_seen", "_stamp", "served_by")

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._seen = b""
        self._made = b""
        self.served_by: str | None = None

    def splice(self, data: bytes) -> bytes | None:
        """The frame of a quick chunk, None if its members stand in another order."""
        place = data.find(CHOICES)
        if place < 0 or data.rfind(CHOICES) != place:
            return None
        if data.find(b"\n") >= 0 or data.find(b"\r") >= 0:
            return None
        head, rest = data[:place], data[place:]
        if not rest.endswith(_LAST):
            # Something stands behind the choices.
            rest = rest.replace(_NO_USAGE, b"")
            if _IN_HEAD.search(rest):
                return None
        if head != self._seen:
            if len(head) > _MAX_HEAD or not head.endswith((b",", b"{")):
                return None
            self._made = self._stamped(head)
            self._seen = head
        return b"data: %b%b\n\n" % (self._made, rest)

    def _stamped(self, head: bytes) -> bytes:
        """`{"id":...,` up to the choices, with the stamp."""
        members: dict[str, Any] = _MEMBERS.decode(head + b'"choices":0}')
        del members["choices"]
        provider = members.get("provider")
        self.served_by = None if provider is None else msgspec.json.decode(provider) or None
        members.pop("usage", None)
        stamp = self._stamp
        if stamp.id is not None:
            members["id"] = stamp.id
        if stamp.model is not None:
            members["model"] = stamp.model
        if stamp.provider is not None and self.served_by is None:
            members["provider"] = stamp.provider
        text = json.dumps(members)[:-1]
        return text + b"," if members else text
