"""Arguments of tool calls on wires that hold an object where the canonical form holds raw text.

The text of a valid JSON object is embedded byte for byte, and read back byte for byte. No text is
ever lost on the way: what is no object (a model's invalid JSON, which clients must be able to send
back) stands as the one member of a wrapper, `{"INVALID_JSON": "<text>"}`, and reading unwraps
exactly what writing has wrapped. A wrapper that no writer would have made is plain arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from arno.canon.parts import Part, ToolCallPart
from arno.wire import json
from arno.wire.errors import MalformedJSON

WRAPPER = "INVALID_JSON"
"""The key under which text that is no JSON object travels. Source: Anthropic, fine-grained tool
streaming, "handling invalid JSON in tool responses"."""

EMPTY = Raw(b"{}")


def to_object(text: str) -> tuple[Raw, bool]:
    """The object to embed for arguments `text`, and whether it says them as they are.

    False: they are wrapped, which the caller reports as a Loss "approximated". White space around
    an object is no part of it; no text at all is the empty object.
    """
    text = text.strip(" \t\r\n")
    if not text:
        return EMPTY, True
    value = _object_of(text)
    if value is None or _wrapped(value) is not None:
        return Raw(json.dumps({WRAPPER: text})), False
    return Raw(text.encode()), True


def from_object(raw: Raw | bytes) -> str:
    """The arguments that an embedded value says, "" for an absent or null member.

    The bytes must be JSON text, as a typed struct's `Raw` member is; what is no object is given as
    its own text.
    """
    text = bytes(raw).strip(b" \t\r\n").decode(errors="replace")
    if text in ("", "null"):
        return ""
    value = _object_of(text) if WRAPPER in text else None
    inner = None if value is None else _wrapped(value)
    return text if inner is None else inner


def _object_of(text: str) -> Mapping[str, object] | None:
    """The JSON object that `text` is, None if it is none."""
    try:
        value = json.loads(text)
    except MalformedJSON:
        return None
    return value if isinstance(value, dict) else None


def _wrapped(value: Mapping[str, object]) -> str | None:
    """The text that `value` is the wrapper of, None if `to_object` never writes this wrapper."""
    if value.keys() != {WRAPPER}:
        return None
    text = value[WRAPPER]
    if not isinstance(text, str) or not text or text != text.strip(" \t\r\n"):
        return None
    inner = _object_of(text)
    return text if inner is None or _wrapped(inner) is not None else None


def with_arguments(part: Part) -> Part:
    """A whole call of a function without arguments has the arguments {} (R3 i)."""
    if isinstance(part, ToolCallPart) and not part.arguments and part.kind == "function":
        return msgspec.structs.replace(part, arguments="{}")
    return part
