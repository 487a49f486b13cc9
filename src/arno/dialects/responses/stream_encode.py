"""Streams of this dialect: events to frames, in the grammar that readers of it check (R7).

Every event has the next sequence number; every item has one output index and one id from its first
event to the last; the pieces of a text are its whole text; the last event holds the whole answer.
Items open in the order in which their parts begin and may stay open beside each other, as parts of
other dialects do (a chat stream ends all of its parts with its finish), so nothing waits. An item
that may yet take the next part is closed when something else begins.

No end is ever made up: an answer that ends without saying why ends as a failure (R5). What was said
before a failure stands in the failed answer, what was still open as incomplete.
Source: OpenAI API reference, "Streaming events"; recorded streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import TextPart
from arno.canon.usage import Usage
from arno.dialects.base import Pricer, Stamp
from arno.dialects.residue import Document
from arno.dialects.responses.answer import SKELETON, head
from arno.dialects.responses.citations import encode_annotation
from arno.dialects.responses.drafts import OpenItem, OpenPart
from arno.dialects.responses.events import HEARTBEAT, event, failed_response
from arno.dialects.responses.reasons import WHOLE, encode_ending
from arno.dialects.responses.residue import give
from arno.dialects.responses.usage import told_usage
from arno.dialects.responses.writing import (
    Draft,
    Saying,
    is_cut,
    item_id,
    kind_for,
    lost,
    made_id,
    tag_behind,
    write_item,
    write_tag,
)

NO_REASON = Failure(
    FailureKind.INVALID_ANSWER,
    "upstream ended the answer without a finish reason",
    retryable=True,
    stage=Stage.MID_STREAM,
)


class ResponsesStreamEncoder:
    """One client stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self.failure: Failure | None = None
        self._stamp = stamp
        self._pricer = pricer
        self._number = 0
        self._began = False
        self._head: Document = head(stamp.id, stamp.model, stamp.provider, stamp.created)
        self._output: list[Document | None] = []
        self._items: dict[int, OpenItem] = {}
        self._current: OpenItem | None = None
        self._last: OpenItem | None = None
        self._parts: dict[int, OpenPart] = {}
        self._usage: Usage | None = None
        self._end: ChoiceEnd | None = None
        self._kept: Document = {}
        self._other_choices: set[int] = set()
        self._skipped: set[int] = set()
        self._losses: list[Loss] = []

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be carried so far."""
        return tuple(self._losses)

    def feed(self, events: Sequence[Event]) -> bytes:
        """The frames that say `events`."""
        pieces: list[bytes] = []
        for each in events:
            encode = _ENCODERS.get(type(each))
            if encode is not None:
                pieces.append(encode(self, each))
        return b"".join(pieces)

    def _say(self, kind: str, **members: Json) -> bytes:
        number = self._number
        self._number += 1
        return event(f"response.{kind}", number, members)

    def _start(self, start: ResponseStart) -> bytes:
        self._kept = give(start.ext)
        stamp = self._stamp
        self._stamp = msgspec.structs.replace(
            stamp,
            id=stamp.id or start.id,
            model=stamp.model or start.model,
            provider=start.served_by or stamp.provider,
            created=start.created if start.created is not None else stamp.created,
        )
        stamp = self._stamp
        self._head = head(stamp.id, stamp.model, stamp.provider, stamp.created)
        return self._begin()

    def _begin(self) -> bytes:
        """The first events, before anything is said."""
        if self._began:
            return b""
        self._began = True
        response = self._answer({"status": "in_progress", "incomplete_details": None}, [], None)
        created = self._say("created", response=response)
        return created + self._say("in_progress", response=response)

    def _answer(self, ending: Document, output: list[Json], usage: Json) -> Document:
        return {**self._head, **ending, **SKELETON, "output": output, "usage": usage}

    def _part_start(self, start: PartStart) -> bytes:
        if start.choice != 0:
            return self._other_choice(start)
        part, place = start.part, start.item or start.part.item
        part = msgspec.structs.replace(part, item=place)
        kind = kind_for(part, place)
        if kind is None:
            self._skipped.add(start.index)
            self._losses.append(lost(part, f"/choices/0/parts/{start.index}"))
            return b""
        current = self._current
        if current is not None and current.draft.takes(part, place):
            opened = current.add(part)
            said = b""
        else:
            said, opened = self._open(Draft(kind, part, place), start.index)
        self._parts[start.index] = opened
        return said + self._open_part(opened)

    def _other_choice(self, start: PartStart) -> bytes:
        self._skipped.add(start.index)
        if start.choice not in self._other_choices:
            self._other_choices.add(start.choice)
            why = "a responses answer holds one choice"
            self._losses.append(Loss(f"/choices/{start.choice}", "dropped", why))
        return b""

    def _open(self, draft: Draft, index: int) -> tuple[bytes, OpenPart]:
        """A new item; the one that waited for more is closed."""
        said = self._close_current()
        place = len(self._output)
        id_ = item_id(draft, self._stamp.id, place) or made_id(draft.kind, self._stamp.id, place)
        item = OpenItem(draft, id_, place, index)
        self._output.append(None)
        self._items[place] = item
        self._current = self._last = item
        said += self._say("output_item.added", output_index=place, item=item.announced())
        return said, item.first

    def _close_current(self) -> bytes:
        """No more parts for the item that waited for them; it ends with its last part."""
        item, self._current = self._current, None
        return b"" if item is None or item.draft.open else self._finish(item)

    def _open_part(self, opened: OpenPart) -> bytes:
        """A part's first events, with what its start already said."""
        part = opened.part
        given, opened.part = opened.taken(part)
        said = b""
        if opened.wants_beginning(given):
            said += self._begin_text(opened)
        if given:
            said += self._more(opened, given)
        if isinstance(part, TextPart):
            for annotation in part.annotations:
                said += self._annotate(opened, annotation)
        return said

    def _begin_text(self, opened: OpenPart) -> bytes:
        """The event that opens a content entry; a call's arguments need none."""
        begun = opened.begin()
        return b"" if begun is None else self._say(begun[0], **begun[1])

    def _more(self, opened: OpenPart, piece: str) -> bytes:
        """One more piece of a part's text or arguments: the event that nearly all are."""
        said = b"" if opened.begun else self._begin_text(opened)
        opened.pieces.append(piece)
        if opened.prefix is None:
            return said
        number = self._number
        self._number += 1
        frame = b'%b%b,"sequence_number":%d}\n\n' % (
            opened.prefix,
            msgspec.json.encode(piece),
            number,
        )
        return said + frame if said else frame

    def _part_delta(self, delta: PartDelta) -> bytes:
        opened = self._parts.get(delta.index)
        if opened is None or not delta.value:
            return b""
        slot = delta.slot
        if slot is Slot.TEXT or slot is Slot.ARGUMENTS:
            return self._more(opened, delta.value)
        if slot is Slot.ANNOTATION:
            return self._annotate(opened, delta.value)
        opened.keep(slot, delta.value)
        return b""

    def _annotate(self, opened: OpenPart, value: Json) -> bytes:
        annotation = encode_annotation(value)
        if annotation is None:
            why = "an annotation that this wire has not"
            self._losses.append(Loss(f"{opened.path}/annotations", "dropped", why))
            return b""
        said = b"" if opened.begun else self._begin_text(opened)
        number = len(opened.annotations)
        opened.annotations.append(value)
        members = {**opened.place(), "annotation_index": number, "annotation": annotation}
        return said + self._say("output_text.annotation.added", **members)

    def _part_end(self, end: PartEnd) -> bytes:
        opened = self._parts.pop(end.index, None)
        if opened is None:
            return b""
        item = opened.item
        part = opened.build(end)
        said = b""
        if opened.must_begin(part):
            said += self._begin_text(opened)
        for kind, members in opened.done(part):
            said += self._say(kind, **members)
        item.settle(opened, part)
        if item.draft.open:
            return said
        if item is self._current and item.may_take_more:
            return said
        if item is self._current:
            self._current = None
        if is_cut(item.draft, is_last=True):
            return said + self._tag(item)  # the answer's end tells whether it is whole
        return said + self._finish(item)

    def _finish(self, item: OpenItem) -> bytes:
        """The item as a whole, and the one behind it that holds its signature."""
        return self._done(item, "completed") + self._tag(item)

    def _done(self, item: OpenItem, status: str) -> bytes:
        self._items.pop(item.index, None)
        document = self._whole(item, status)
        self._output[item.index] = document
        return self._say("output_item.done", output_index=item.index, item=document)

    def _tag(self, item: OpenItem) -> bytes:
        tag = tag_behind(item.draft)
        if tag is None:
            return b""
        said = b""
        place = len(self._output)
        document = write_tag(tag, made_id("reasoning", self._stamp.id, place))
        self._output.append(document)
        for kind in ("output_item.added", "output_item.done"):
            said += self._say(kind, output_index=place, item=document)
        return said

    def _whole(self, item: OpenItem, status: str) -> Document:
        path = f"/choices/0/parts/{item.number}"
        saying = Saying(path=path, id=item.id, status=status)
        document, losses = write_item(item.draft, saying)
        self._losses += losses
        return item.with_extras({**document, "id": item.id})

    def _choice_end(self, end: ChoiceEnd) -> bytes:
        if end.choice == 0 and self._end is None:
            self._end = end
        return b""

    def _keep_usage(self, update: UsageUpdate) -> bytes:
        self._usage = update.usage
        return b""

    def _response_end(self, end: ResponseEnd) -> bytes:
        said = self._begin()
        if self._end is None:
            return said + self._error(StreamError(NO_REASON))
        said += self._close_current()
        for item in list(self._items.values()):
            cut = self._end.reason not in WHOLE and is_cut(item.draft, is_last=item is self._last)
            has_tag = not item.draft.open
            said += self._done(item, "incomplete" if cut else "completed")
            said += b"" if has_tag else self._tag(item)
        ending = {**encode_ending(self._end.reason), **_own_ending({**self._kept, **give(end.ext)})}
        usage = self._told_usage()
        response = self._answer(ending, list(self._output), usage)
        return said + self._say(str(ending["status"]), response=response)

    def _told_usage(self) -> Json:
        losses = (*self._stamp.losses, *self._losses)
        return told_usage(self._usage, self._pricer, self._stamp.provider, losses)

    def _error(self, error: StreamError) -> bytes:
        """The answer as far as it came, as one that has failed."""
        self.failure = error.failure
        said = self._begin() + self._close_current()
        output = [
            self._partial(place) if document is None else document
            for place, document in enumerate(self._output)
        ]
        known = {**self._head, "output": output}
        response = failed_response(error.failure, known, self._stamp.provider)
        return said + self._say("failed", response=response)

    def _partial(self, place: int) -> Document:
        item = self._items[place]
        item.cut()
        return {**self._whole(item, status="incomplete")}


ENDING = ("status", "incomplete_details")


def _own_ending(kept: Document) -> Document:
    """The status of an answer of this dialect, in this dialect's own words."""
    known: Document = {name: kept[name] for name in ENDING if name in kept}
    return known if known.get("status") in ("completed", "incomplete") else {}


_ENCODERS: dict[type, Callable[[ResponsesStreamEncoder, Any], bytes]] = {
    ResponseStart: ResponsesStreamEncoder._start,
    PartStart: ResponsesStreamEncoder._part_start,
    PartDelta: ResponsesStreamEncoder._part_delta,
    PartEnd: ResponsesStreamEncoder._part_end,
    ChoiceEnd: ResponsesStreamEncoder._choice_end,
    UsageUpdate: ResponsesStreamEncoder._keep_usage,
    ResponseEnd: ResponsesStreamEncoder._response_end,
    StreamError: ResponsesStreamEncoder._error,
    KeepAlive: lambda encoder, each: HEARTBEAT,
}
"""Event to what says it; a table of functions, since bound methods would keep every encoder in
a cycle. Documents that mean something elsewhere only (`Opaque`) are not said."""
