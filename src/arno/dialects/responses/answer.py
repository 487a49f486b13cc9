"""Whole answers of this dialect, both directions: response objects.

A body with a good status may still tell of a failure: an error member, the status failed or
cancelled, no output. None of these is decoded as a success, nor is an answer that goes on. One
that was asked for in the background says so: it is an answer without a reason for its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arno.canon.ext import Ext, Json, Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import Part, ToolCallPart, is_client_call
from arno.canon.response import Choice, Response
from arno.dialects import arguments
from arno.dialects.base import Headers
from arno.dialects.counts import count
from arno.dialects.failures import decode_error, invalid
from arno.dialects.residue import Document, integer, take, text
from arno.dialects.responses.items import BrokenCall, attach, read_item
from arno.dialects.responses.reasons import BAD, WHOLE, decode_ending, encode_ending
from arno.dialects.responses.residue import give, is_native, keep
from arno.dialects.responses.usage import decode_usage, encode_usage
from arno.dialects.responses.writing import (
    Saying,
    group,
    is_cut,
    item_id,
    lost,
    made_id,
    tag_behind,
    write_item,
    write_tag,
)
from arno.wire import json
from arno.wire.errors import MalformedJSON

SKELETON: Document = {
    "error": None,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}
"""Members that clients expect of every response object, where nothing is known of the request."""


def decode_response(body: bytes, headers: Headers = ()) -> Response | Failure:
    """A whole answer; leading padding is white space to JSON."""
    try:
        document = json.loads(body)
    except MalformedJSON:
        what = "an empty body" if not body.strip() else "no JSON"
        return invalid(f"upstream answered with {what}")
    if not isinstance(document, Mapping):
        return invalid("upstream answered with JSON that is no object")
    return decode_document(document, headers)


def decode_document(document: Mapping[str, Json], headers: Headers = ()) -> Response | Failure:
    """A response object."""
    failure = failure_in(document, Stage.BEFORE_OUTPUT, headers)
    if failure is not None:
        return failure
    output = document.get("output")
    if not isinstance(output, list):
        return invalid("upstream answered without output")
    try:
        parts = read_output(output)
    except BrokenCall as error:
        return invalid(f"the answer holds a tool call that cannot be read: {error}")
    reason, native = decode_ending(document, has_calls=asks(parts))
    if reason is None and document.get("background") is not True:
        return invalid("upstream answered with an answer that goes on")
    known, ext = head_of(document)
    choice = Choice(parts=parts, reason=reason, native_reason=native)
    usage = decode_usage(document.get("usage"))
    return Response(choices=(choice,), usage=usage, ext=ext, **known)


def failure_in(document: Mapping[str, Json], stage: Stage, headers: Headers = ()) -> Failure | None:
    """The failure that a response object tells of, None if it tells of none."""
    error = document.get("error")
    if error:
        return decode_error(error, stage, headers=headers)
    status = text(document.get("status"))
    if status not in BAD:
        return None
    how = "was cancelled" if status == "cancelled" else "has failed"
    message = f"upstream says that the answer {how}"
    return Failure(FailureKind.SERVER, message, retryable=True, stage=stage)


def head_of(document: Mapping[str, Json]) -> tuple[Document, Ext]:
    """(the canonical fields of a response object, what they do not carry)."""
    values, residue = take(document, "id", "model", "provider", "created_at", "output", "usage")
    created = count(values.get("created_at"))
    if created is not None and integer(values.get("created_at")) is None:
        residue["created_at"] = values["created_at"]  # written as 1784324967.0
    known: Document = {
        "id": text(values.get("id")),
        "model": text(values.get("model")),
        "served_by": text(values.get("provider")),
        "created": created,
    }
    return known, keep(residue)


def read_output(output: Sequence[Json]) -> tuple[Part, ...]:
    """The parts of all items. Raises BrokenCall."""
    parts: list[Part] = []
    for index, item in enumerate(output):
        read = read_item(item, index)
        parts.extend(with_arguments(part) for _, part in read.parts)
        if read.signed is not None:
            attach(parts, read.signed)
    return tuple(parts)


def with_arguments(part: Part) -> Part:
    """As for every dialect, but a call that was cut short keeps what it has."""
    if isinstance(part, ToolCallPart) and part.item and part.item.status == "incomplete":
        return part
    return arguments.with_arguments(part)


def asks(parts: Sequence[Part]) -> bool:
    """True if the client is to run a tool."""
    return any(map(is_client_call, parts))


def encode_response(response: Response) -> tuple[Document, tuple[Loss, ...]]:
    """The whole answer as a response object."""
    native = is_native(response.ext)
    choice = response.choices[0] if response.choices else Choice()
    losses = [
        Loss(f"/choices/{other.index}", "dropped", "a responses answer holds one choice")
        for other in response.choices[1:]
    ]
    document = head(response.id, response.model, response.served_by, response.created)
    if native:
        document.pop("object")
        document.update(give(response.ext))
    else:
        document = {**document, **encode_ending(choice.reason), **SKELETON}
    is_whole = choice.reason in WHOLE
    document["output"], dropped = write_output(choice.parts, response.id, is_whole=is_whole)
    losses += dropped
    if response.usage is not None:
        document["usage"] = encode_usage(response.usage)
    elif not native:
        document["usage"] = None
    return document, tuple(losses)


def head(
    id_: str | None, model: str | None, served_by: str | None, created: int | None
) -> Document:
    """The members every response object begins with, as far as they are known."""
    members = {
        "id": id_,
        "object": "response",
        "created_at": created,
        "model": model,
        "provider": served_by,
    }
    return {key: value for key, value in members.items() if value is not None}


def write_output(
    parts: Sequence[Part], response_id: str | None, *, is_whole: bool = True
) -> tuple[list[Json], list[Loss]]:
    """The items that say `parts`; is_whole: nothing in them was cut off."""
    output: list[Json] = []
    losses: list[Loss] = []
    drafts = group(parts)
    for number, draft in drafts:
        path = f"/choices/0/parts/{number}"
        if draft is None:
            losses.append(lost(parts[number], path))
            continue
        cut = not is_whole and is_cut(draft, is_last=number == drafts[-1][0])
        status = "incomplete" if cut else "completed"
        saying = Saying(path=path, id=item_id(draft, response_id, len(output)), status=status)
        item, dropped = write_item(draft, saying)
        output.append(item)
        losses += dropped
        tag = tag_behind(draft)
        if tag is not None:
            output.append(write_tag(tag, made_id("reasoning", response_id, len(output))))
    return output, losses
