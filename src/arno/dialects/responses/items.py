"""One item of a conversation or an answer to the parts that it holds.

A part's key says where in its item it stands, so that a stream, which brings an item in pieces,
finds the part that a piece belongs to: `("content", 0)`, `("summary", 1)`, `("call", 0)`, ...
What the item holds beside its content stays in `Item.ext`; an item that no part can stand for is a
part of its own (`OpaquePart`), whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from arno.canon.ext import Json
from arno.canon.parts import (
    Executor,
    Item,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects import tags
from arno.dialects.arguments import from_object
from arno.dialects.residue import Document, take, text
from arno.dialects.responses.artefacts import read_reasoning
from arno.dialects.responses.content import decode_entry
from arno.dialects.responses.kinds import (
    ASKED,
    CALLS,
    CUSTOM_CALL,
    IMAGE_CALL,
    MESSAGE,
    REASONING,
    RESULTS,
    Call,
    executor_of,
)
from arno.dialects.responses.residue import DIALECT, keep
from arno.dialects.tags import Tag
from arno.wire import json

Key = tuple[str, int]
CALL: Key = ("call", 0)
RESULT: Key = ("result", 0)
SEALED: Key = ("sealed", 0)
WHOLE: Key = ("whole", 0)

Keyed = list[tuple[Key, Part]]


class Read(msgspec.Struct, frozen=True):
    """What an item holds. signed: a signature on what stands before the item, which holds none."""

    parts: Keyed
    signed: Tag | None = None


class BrokenCall(ValueError):
    """A tool call that cannot be read."""


def kind_of(item: Mapping[str, Json]) -> str:
    """The kind of an item; clients leave the type of a message out."""
    return text(item.get("type")) or MESSAGE


def read_item(item: Json, index: int) -> Read:
    """The parts of one item; index: its place. Raises BrokenCall."""
    if not isinstance(item, Mapping):
        return Read([(WHOLE, _opaque(item, index))])
    kind = kind_of(item)
    reader = _READERS.get(kind)
    if reader is None and kind in CALLS:
        reader = _read_call
    if reader is None and kind in RESULTS:
        reader = _read_result
    found = reader(item, index) if reader else None
    return found if found is not None else Read([(WHOLE, _opaque(item, index))])


def _opaque(item: Json, index: int) -> Part:
    kind = text(item.get("type")) if isinstance(item, Mapping) else None
    id_ = text(item.get("id")) if isinstance(item, Mapping) else None
    place = Item(id=id_, index=index, kind=kind)
    return OpaquePart(dialect=DIALECT, document=item, item=place, ext=keep({}))


def envelope(item: Mapping[str, Json], index: int, *content: str) -> tuple[Document, Item]:
    """(content members with a value, the item without them)."""
    values, residue = take(item, "id", "status", *content)
    id_, status = values.pop("id", None), values.pop("status", None)
    if not isinstance(id_, str | None):
        residue["id"], id_ = id_, None
    if not isinstance(status, str | None):
        residue["status"], status = status, None
    return values, Item(id=id_, index=index, kind=kind_of(item), status=status, ext=keep(residue))


def _read_message(item: Mapping[str, Json], index: int) -> Read | None:
    values, place = envelope(item, index, "content", "signature")
    content = values.get("content")
    if isinstance(content, str):
        note = {**place.ext[DIALECT], "@content": "text"}
        place = msgspec.structs.replace(place, ext=keep(note))
        parts: list[Part] = [TextPart(text=content, ext=keep({}))]
    elif isinstance(content, list):
        parts = [decode_entry(entry) for entry in content]
    else:
        return None
    found: Keyed = [(("content", n), _place(part, place)) for n, part in enumerate(parts)]
    _sign_last(found, values.get("signature"))
    return Read(found)


def _place(part: Part, place: Item) -> Part:
    return msgspec.structs.replace(part, item=place)


def _sign_last(found: Keyed, value: Json) -> None:
    """The member `signature` of an item is the proof of the last thing in it, tagged."""
    tag = tags.read(value) if isinstance(value, str) else None
    if tag is None or not found:
        return
    key, part = found[-1]
    note = {**part.ext.get(DIALECT, {}), "@signed": ("member",)}
    found[-1] = key, msgspec.structs.replace(tag.sign(part), ext=keep(note))


TEXTS: dict[str, tuple[str, ReasoningForm]] = {
    "summary": ("summary_text", ReasoningForm.SUMMARY),
    "content": ("reasoning_text", ReasoningForm.FULL),
}
"""Member of a reasoning item to the type of its entries and the form of their parts."""


def _read_reasoning(item: Mapping[str, Json], index: int) -> Read | None:
    values, place = envelope(item, index, "summary", "content", "encrypted_content")
    found: Keyed = []
    for member, (type_, form) in TEXTS.items():
        entries = values.get(member, [])
        if not isinstance(entries, list):
            return None
        for number, entry in enumerate(entries):
            if not isinstance(entry, Mapping) or entry.get("type") != type_:
                return None
            part = _reasoning_text(entry, form)
            if part is None:
                return None
            found.append(((member, number), _place(part, place)))
    return _seal(values, found, place, text(item.get("format")))


def _reasoning_text(entry: Mapping[str, Json], form: ReasoningForm) -> ReasoningPart | None:
    values, residue = take(entry, "text")
    words = values.get("text", "")
    if not isinstance(words, str):
        return None
    return ReasoningPart(text=words, form=form, ext=keep(residue))


def _seal(values: Document, found: Keyed, place: Item, format_: str | None) -> Read | None:
    """The item's artefact: a part of its own, or the proof of its last text."""
    sealed = values.get("encrypted_content")
    own = text(place.ext[DIALECT].get("signature"))
    if own is not None and found:
        key, part = found[-1]
        found[-1] = key, msgspec.structs.replace(part, signature=own, format=format_)
    if sealed is None:
        return Read(found) if found else None
    if not isinstance(sealed, str):
        return None
    read = read_reasoning(sealed, format_, place.id)
    if isinstance(read, Tag) and read.on is not None:
        return Read([], read)
    if isinstance(read, Tag) and found:
        key, part = found[-1]
        found[-1] = key, read.sign(part)
    else:
        alone = read.reasoning() if isinstance(read, Tag) else read
        found.append((SEALED, msgspec.structs.replace(alone, item=place, ext=keep({}))))
    return Read(found)


def _read_call(item: Mapping[str, Json], index: int) -> Read | None:
    kind = kind_of(item)
    call = CALLS[kind]
    names = ["name"] if not call.name else []
    result = [call.result] if call.result else []
    members = ("call_id", call.arguments, "namespace", "signature", *names, *result)
    values, place = envelope(item, index, *members)
    name = call.name or values.get("name")
    if not isinstance(name, str):
        if kind in ASKED:
            raise BrokenCall("a tool call without the name of a tool")
        return None
    if not isinstance(values.get("namespace", ""), str):
        return None
    call_id, place = _call_id(values, place, index)
    part = ToolCallPart(
        call_id=call_id,
        name=name,
        arguments=_arguments(values.get(call.arguments), call),
        kind=_tool_kind(kind),
        executor=executor_of(kind, item),
        namespace=values.get("namespace", text(item.get("server_label"))),
        item=place,
        ext=keep({}),
    )
    found: Keyed = [(CALL, part)]
    _sign_last(found, values.get("signature"))
    if call.result in values:
        found.append((RESULT, _result(call_id, name, values[call.result], place, part.executor)))
    return Read(found)


def _call_id(values: Document, place: Item, index: int) -> tuple[str, Item]:
    """The id of a call; where the wire gives none, as for its own tools, the id of the item."""
    call_id = values.get("call_id")
    if isinstance(call_id, str):
        return call_id, place
    residue = {**place.ext[DIALECT], "@made": True}
    if call_id is not None:
        residue["call_id"] = call_id
    return place.id or f"call_{index}", msgspec.structs.replace(place, ext=keep(residue))


def _tool_kind(kind: str) -> str:
    """The canonical kind of a call: function, custom, or the kind of item it is."""
    if kind == CUSTOM_CALL:
        return "custom"
    return "function" if kind in ASKED or kind == "mcp_call" else kind


def _arguments(value: Json, call: Call) -> str:
    """The arguments' text; a document that is no object stands under its member's name."""
    if value is None:
        return ""
    if isinstance(value, str) and call.is_text:
        return value
    if call.is_text or isinstance(value, Mapping):
        return from_object(json.dumps(value))
    return json.dumps({call.arguments: value}).decode()


def _result(
    call_id: str, name: str | None, value: Json, place: Item, executor: Executor
) -> ToolResultPart:
    """What came of a call: text as text, anything else as the document it is."""
    is_text = isinstance(value, str)
    parts: tuple[Part, ...] = (TextPart(text=value, ext=keep({})),) if is_text else ()
    return ToolResultPart(
        call_id=call_id,
        name=name,
        parts=parts,
        value=None if is_text else value,
        executor=executor,
        item=place,
        ext=keep({}),
    )


def _read_result(item: Mapping[str, Json], index: int) -> Read | None:
    kind = kind_of(item)
    member = RESULTS[kind]
    values, place = envelope(item, index, "call_id", member)
    call_id, place = _call_id(values, place, index)
    value = values.get(member)
    part = _result(call_id, None, value, place, executor_of(kind, item))
    if isinstance(value, list) and member == "output" and kind != "shell_call_output":
        entries = tuple(decode_entry(entry) for entry in value)
        part = msgspec.structs.replace(part, parts=entries, value=None)
    return Read([(RESULT, part)])


def _read_image(item: Mapping[str, Json], index: int) -> Read | None:
    """An image that the model made is content, though a tool of the upstream drew it."""
    values, place = envelope(item, index, "result", "signature")
    data = values.get("result")
    if not isinstance(data, str):
        return None
    format_ = text(item.get("output_format")) or "png"
    part = MediaPart(
        kind=MediaKind.IMAGE,
        media_type=f"image/{format_}",
        data=data,
        item=place,
        ext=keep({}),
    )
    found: Keyed = [(CALL, part)]
    _sign_last(found, values.get("signature"))
    return Read(found)


_READERS: dict[str, Callable[[Mapping[str, Json], int], Read | None]] = {
    MESSAGE: _read_message,
    REASONING: _read_reasoning,
    IMAGE_CALL: _read_image,
}


def attach(parts: list[Part], tag: Tag) -> None:
    """Put a signature on the part before it that it belongs to; one that is not there is lost.

    A part that says the same signature itself is the one, however far back it stands.
    """
    places = [n for n, part in enumerate(parts) if _is_meant(part, tag.on or "")]
    same = [n for n in places if parts[n].signature == tag.signature]
    if not places:
        return
    place = (same or places)[-1]
    part = parts[place]
    written = (*(part.ext.get(DIALECT, {}).get("@signed") or ()), "tag")
    note = {**part.ext.get(DIALECT, {}), "@signed": written}
    parts[place] = msgspec.structs.replace(tag.sign(part), ext=keep(note))


def _is_meant(part: Part, on: str) -> bool:
    if on:
        return isinstance(part, ToolCallPart) and part.call_id == on
    return isinstance(part, TextPart | RefusalPart | MediaPart)
