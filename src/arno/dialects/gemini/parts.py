"""One part of a content, both directions.

A wire part holds one of several members (text, functionCall, inlineData, ...) and, beside it, what
holds for any of them: `thought`, `thoughtSignature`, metadata. Source: Gemini API reference,
"Part"; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

from arno.canon.ext import Ext, Json
from arno.canon.parts import (
    Executor,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.arguments import from_object
from arno.dialects.gemini import signatures
from arno.dialects.gemini.ids import Ids
from arno.dialects.gemini.media import FILE, INLINE, decode_media
from arno.dialects.gemini.residue import DIALECT, SNAKE, keep, nest, spell, take_spelled
from arno.dialects.gemini.results import decode_result
from arno.dialects.gemini.signatures import Proof
from arno.dialects.residue import Document, take
from arno.wire import json

CODE = "code_execution"
"""The name of calls and results of the code that the provider ran."""
PROVIDER_KIND = "provider"

TAGGED = "@tagged"
"""The note of a part that carries a tag: it begins a part of its own."""
BESIDE = ("thought", "thoughtSignature")


class _Found:
    """A wire part while it is read: its residue, its proof, and what gives ids."""

    __slots__ = ("ids", "proof", "residue")

    def __init__(self, residue: Document, proof: Proof, ids: Ids) -> None:
        self.residue = residue
        self.proof = proof
        self.ids = ids

    def ext(self, member: str = "", inner: Mapping[str, Json] | None = None) -> Ext:
        """The residue, with what is left of the object at `member`."""
        return keep(nest({**self.residue, **self.proof.kept}, member, inner or {}))


def decode_part(wire: Json, ids: Ids) -> Part:
    """A wire part; what is not known stays a document of this dialect."""
    if not isinstance(wire, Mapping):
        return OpaquePart(dialect=DIALECT, document=wire)
    members = spell(wire, (*_DECODERS, *BESIDE))
    member = next((name for name in _DECODERS if name in members), None)
    signature = members.pop("thoughtSignature", None)
    proof = signatures.read(signature)
    if proof.tagged:
        members[TAGGED] = True
    if proof is signatures.NONE and signature is not None:
        members["thoughtSignature"] = signature
    if member is None and proof.tag.signature and not members.keys() - {SNAKE, TAGGED}:
        member = "text"
        members |= {"text": "", "@bare": True}
    part = None
    if member is not None:
        value = members.pop(member)
        part = _DECODERS[member](value, _Found(members, proof, ids))
    return OpaquePart(dialect=DIALECT, document=dict(wire)) if part is None else part


def is_unreadable_call(part: Part) -> bool:
    """True for a call of a client's tool that names no tool: nobody could run it."""
    if isinstance(part, ToolCallPart):
        return part.executor is Executor.CLIENT and not part.name
    if not isinstance(part, OpaquePart) or not isinstance(part.document, Mapping):
        return False
    return not part.document.keys().isdisjoint(("functionCall", "function_call"))


def _decode_text(value: Json, found: _Found) -> Part | None:
    if not isinstance(value, str):
        return None
    tag = found.proof.tag
    if tag.refusal:
        return RefusalPart(text=value, signature=tag.signature, format=tag.format, ext=found.ext())
    if found.residue.get("thought") is not True:
        return TextPart(text=value, signature=tag.signature, format=tag.format, ext=found.ext())
    del found.residue["thought"]
    return ReasoningPart(
        text=value,
        form=tag.form,
        sealed=tag.sealed,
        id=tag.id,
        signature=tag.signature,
        format=tag.format,
        ext=found.ext(),
    )


def _decode_call(value: Json, found: _Found) -> Part | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    values, rest = take(value, "id", "name", "args")
    name, arguments = value["name"], arguments_of(values, rest)
    rest.pop("name", None)
    return ToolCallPart(
        call_id=_call_id(values, rest, name, arguments, found.ids),
        name=name,
        arguments=arguments,
        signature=found.proof.tag.signature,
        format=found.proof.tag.format,
        ext=found.ext("functionCall", rest),
    )


def arguments_of(values: Document, rest: Document) -> str:
    """The text of `args`; a call without any has the arguments {} (R3 i)."""
    args = values.get("args")
    if args is None:
        if "args" not in rest:
            rest["@args"] = "absent"
        return "{}"
    text = from_object(args if isinstance(args, Raw) else json.dumps(args))
    if not text:
        rest["args"] = None
    return text or "{}"


def _call_id(values: Document, rest: Document, name: str, arguments: str, ids: Ids) -> str:
    """The call's own id, or one that is made for it."""
    own = values.get("id")
    if isinstance(own, str):
        ids.seen(own, name)
        return own
    if own is not None:
        rest["id"] = own
    rest["@id"] = "made"
    return ids.call(name, arguments)


def _decode_response(value: Json, found: _Found) -> Part | None:
    if not isinstance(value, Mapping):
        return None
    return decode_result(value, found.residue | found.proof.kept, found.ids)


def _decode_tool(value: Json, found: _Found) -> Part | None:
    """A tool that the provider runs: `toolCall {id, toolType, args}`."""
    if not isinstance(value, Mapping):
        return None
    values, rest = take_spelled(value, "id", "toolType", "args")
    name = values.get("toolType")
    if not isinstance(name, str):
        return None
    arguments = arguments_of(values, rest)
    return ToolCallPart(
        call_id=_call_id(values, rest, name, arguments, found.ids),
        name=name,
        arguments=arguments,
        kind=PROVIDER_KIND,
        executor=Executor.PROVIDER,
        signature=found.proof.tag.signature,
        format=found.proof.tag.format,
        ext=found.ext("toolCall", rest),
    )


def _decode_tool_response(value: Json, found: _Found) -> Part | None:
    if not isinstance(value, Mapping):
        return None
    values, rest = take_spelled(value, "id", "toolType", "response")
    name = values.get("toolType")
    if not isinstance(name, str) or not isinstance(values.get("id", ""), str):
        return None
    if "id" not in values:
        rest["@id"] = "made"
    return ToolResultPart(
        call_id=values.get("id") or found.ids.result(name),
        name=name,
        value=values.get("response"),
        executor=Executor.PROVIDER,
        signature=found.proof.tag.signature,
        format=found.proof.tag.format,
        ext=found.ext("toolResponse", rest),
    )


def _decode_code(value: Json, found: _Found) -> Part | None:
    """Code that the provider runs; the whole object is what the tool was given."""
    if not isinstance(value, Mapping):
        return None
    given = {name: member for name, member in value.items() if name != "id"}
    arguments = json.dumps(given).decode()
    rest: Document = {}
    values, _ = take(value, "id")
    found.residue["@code"] = True
    return ToolCallPart(
        call_id=_call_id(values, rest, CODE, arguments, found.ids),
        name=CODE,
        arguments=arguments,
        kind=PROVIDER_KIND,
        executor=Executor.PROVIDER,
        signature=found.proof.tag.signature,
        format=found.proof.tag.format,
        ext=found.ext("executableCode", rest),
    )


def _decode_code_result(value: Json, found: _Found) -> Part | None:
    if not isinstance(value, Mapping):
        return None
    outcome, call_id = value.get("outcome"), value.get("id")
    found.residue["@code"] = True
    return ToolResultPart(
        call_id=call_id if isinstance(call_id, str) else found.ids.result(CODE),
        name=CODE,
        value={name: member for name, member in value.items() if name != "id"},
        is_error=isinstance(outcome, str) and outcome != "OUTCOME_OK",
        executor=Executor.PROVIDER,
        signature=found.proof.tag.signature,
        format=found.proof.tag.format,
        ext=found.ext("codeExecutionResult", {} if isinstance(call_id, str) else {"@id": "made"}),
    )


def _media_decoder(member: str) -> Callable[[Json, _Found], Part | None]:
    def decode(value: Json, found: _Found) -> Part | None:
        read = decode_media(member, value)
        if read is None:
            return None
        part, rest = read
        tag = found.proof.tag
        ext = found.ext(member, rest)
        return msgspec.structs.replace(part, signature=tag.signature, format=tag.format, ext=ext)

    return decode


_DECODERS: dict[str, Callable[[Json, _Found], Part | None]] = {
    "functionCall": _decode_call,
    "functionResponse": _decode_response,
    "toolCall": _decode_tool,
    "toolResponse": _decode_tool_response,
    "executableCode": _decode_code,
    "codeExecutionResult": _decode_code_result,
    INLINE: _media_decoder(INLINE),
    FILE: _media_decoder(FILE),
    "text": _decode_text,
}
"""The members that a part holds one of; the first that is there is what the part is."""
