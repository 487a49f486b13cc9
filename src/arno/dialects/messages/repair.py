"""History that an upstream of the same dialect cannot read, mended before it is passed on.

A conversation may have been answered by other upstreams before: then its turns hold reasoning with
our tags (`arno.dialects.tags`) and ids of calls that this wire's upstreams refuse. Both are rare,
and looked for in the bytes first, so that a body without them goes on as it came.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ids import to_wire
from arno.dialects import tags
from arno.dialects.messages.content import IDS

_ODD_ID = re.compile(rb'"(?:tool_use_)?id"\s*:\s*"(?![A-Za-z0-9_-]{1,64}")')
_CALLS = b'"tool_use'

_MESSAGES: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, Raw]])
_BLOCKS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[dict[str, Raw]])

_ARTEFACTS = {"thinking": "signature", "redacted_thinking": "data"}
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}


def repaired(messages: Raw) -> Raw | None:
    """The conversation as upstreams read it, None if it is already."""
    text = bytes(messages)
    odd = text.find(_CALLS) >= 0 and _ODD_ID.search(text) is not None
    if not odd and not tags.may_hold(text):
        return None
    try:
        turns = _MESSAGES.decode(text)
    except msgspec.DecodeError:
        return None
    for turn in turns:
        if bytes(turn.get("content", b"")).lstrip().startswith(b"["):
            turn["content"] = _content(turn["content"])
    return Raw(msgspec.json.encode([turn for turn in turns if turn.get("content") != []]))


def _content(raw: Raw) -> Raw | list[dict[str, Raw]]:
    try:
        blocks: list[dict[str, Raw]] = _BLOCKS.decode(raw)
    except msgspec.DecodeError:
        return raw
    return [_with_id(block) for block in blocks if not _is_tagged(block)]


def _is_tagged(block: dict[str, Raw]) -> bool:
    value = _text(block, _ARTEFACTS.get(_text(block, "type") or ""))
    return value is not None and tags.read(value) is not None


def _with_id(block: dict[str, Raw]) -> dict[str, Raw]:
    key = _IDS.get(_text(block, "type") or "")
    value = _text(block, key)
    if key is None or value is None:
        return block
    return {**block, key: Raw(msgspec.json.encode(to_wire(value, IDS)))}


def _text(block: dict[str, Raw], key: str | None) -> str | None:
    """A member that is a string, else None."""
    if key is None or not bytes(block.get(key, b"")).startswith(b'"'):
        return None
    value: str = msgspec.json.decode(block[key])
    return value
