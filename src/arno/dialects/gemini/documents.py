"""Documents of this dialect: JSON with the arguments of calls kept as their own text.

The wire holds arguments as an object, the canonical form as text, and no byte of it may change on
the way through. So every `args` in a document read here is `Raw`. A document laid out over several
lines, as the vendor sends whole answers, is made compact first: its white space is layout and no
part of the arguments.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.wire import json

_LAID_OUT = re.compile(rb"\s*[{\[][ \t]*[\r\n]")
_ABSENT = Raw()


class _Args(msgspec.Struct, gc=False):
    args: Raw = _ABSENT


class _Part(
    msgspec.Struct,
    gc=False,
    rename={
        "call": "functionCall",
        "snake_call": "function_call",
        "tool": "toolCall",
        "snake_tool": "tool_call",
    },
):
    call: _Args | None = None
    snake_call: _Args | None = None
    tool: _Args | None = None
    snake_tool: _Args | None = None


_MEMBERS = tuple(zip(_Part.__struct_fields__, _Part.__struct_encode_fields__, strict=True))


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None


class _Document(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None
    contents: list[_Content] | None = None


_DECODER = msgspec.json.Decoder(_Document)


def loads(body: bytes) -> Json:
    """The JSON value of `body`, arguments of calls as `Raw`. Raises MalformedJSON."""
    value = json.loads(body)
    if not isinstance(value, dict) or not _may_call(body):
        return value
    if _LAID_OUT.match(body):
        body = msgspec.json.format(body, indent=-1)
    try:
        document = _DECODER.decode(body)
    except msgspec.MsgspecError:
        return value  # not laid out as it must be, which whoever reads it will find
    for number, candidate in enumerate(document.candidates or ()):
        if candidate.content is not None:
            _place(candidate.content, value["candidates"][number]["content"])
    for number, content in enumerate(document.contents or ()):
        _place(content, value["contents"][number])
    return value


def _may_call(body: bytes) -> bool:
    return body.find(b'Call"') >= 0 or body.find(b'_call"') >= 0


def _place(content: _Content, document: dict[str, Any]) -> None:
    """Put the raw arguments of a content's calls where they stand in its document."""
    for number, part in enumerate(content.parts or ()):
        for field, member in _MEMBERS:
            call = getattr(part, field)
            if call is not None and bytes(call.args):
                document["parts"][number][member]["args"] = call.args
