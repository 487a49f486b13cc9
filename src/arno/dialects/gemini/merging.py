"""Adjacent pieces of one text are one part.

Hosts cut a text into wire parts wherever a chunk ended, so pieces that follow each other belong
together unless one is thought or signed and the other is not. The note "@pieces" says how a text
was cut, so that the same dialect writes it back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from arno.canon.ext import Json
from arno.canon.parts import Part, ReasoningForm, ReasoningPart, RefusalPart, TextPart
from arno.dialects.gemini.citations import (
    MOST_CITATIONS,
    Citation,
    Cited,
    Segment,
    citations_of,
)
from arno.dialects.gemini.parts import TAGGED
from arno.dialects.gemini.residue import is_native, keep, note, residue_of

WORDS = (TextPart, ReasoningPart, RefusalPart)
"""Parts that go on piece by piece."""


class Merged:
    """Parts of an answer, and where each wire part went.

    places: for each wire part the place of its canonical part, and the characters before it there.
    """

    def __init__(self, pieces: Sequence[Part]) -> None:
        self.parts: list[Part] = []
        self.places: list[tuple[int, int]] = []
        self._runs: list[list[str]] = []
        self._cited: dict[tuple[int, int], Cited] = {}
        for piece in pieces:
            self._add(piece)
        self.parts = [_joined(part, run) for part, run in zip(self.parts, self._runs, strict=True)]

    def _add(self, piece: Part) -> None:
        if self.parts and may_join(self.parts[-1], piece):
            before = sum(map(len, self._runs[-1]))
            self.places.append((len(self.parts) - 1, before))
            self._runs[-1].append(_text(piece))
            return
        self.places.append((len(self.parts), 0))
        self.parts.append(piece)
        self._runs.append([_text(piece)])

    def cite(self, candidate: Mapping[str, Json]) -> None:
        """Add the citations of a candidate to the texts they are found in."""
        cited: dict[int, list[Json]] = {}
        for citation in islice(citations_of(candidate), MOST_CITATIONS):
            found = self._find(citation)
            if found is not None:
                number, annotation = found
                cited.setdefault(number, []).append(annotation)
        for number, added in cited.items():
            part = self.parts[number]
            if isinstance(part, TextPart):
                told = (*part.annotations, *added)
                self.parts[number] = msgspec.structs.replace(part, annotations=told)

    def _find(self, citation: Citation) -> tuple[int, Json] | None:
        """The part whose text is cited, and the annotation: where the wire says, else anywhere."""
        texts = [n for n, part in enumerate(self.parts) if isinstance(part, TextPart)]
        segment = citation.segment
        if segment is None or segment.is_bare:
            number = self._part_at(0 if segment is None else segment.part, texts)
            return None if number is None else (number, citation.annotation())
        if segment.part < len(self.places):
            number, before = self.places[segment.part]
            found = self._place(segment, number, before) if number in texts else None
            if found is not None:
                return number, citation.annotation(before + found[0], before + found[1])
        for number in texts:
            found = self._place(segment, number)
            if found is not None and segment.said is not None:
                return number, citation.annotation(*found)
        return None

    def _place(self, segment: Segment, number: int, before: int = 0) -> tuple[int, int] | None:
        """Where a segment stands in a part's text from `before` on."""
        cited = self._cited.get((number, before))
        if cited is None:
            cited = self._cited[number, before] = Cited(_text(self.parts[number])[before:])
        return cited.place(segment)

    def _part_at(self, wire: int, texts: list[int]) -> int | None:
        """The text that a wire part went to, else the last one."""
        number = self.places[wire][0] if wire < len(self.places) else -1
        return number if number in texts else next(reversed(texts), None)


def may_join(first: Part, second: Part) -> bool:
    """True if `second` only goes on with the text of `first`."""
    if type(first) is not type(second) or not isinstance(second, WORDS):
        return False
    if (first.signature, first.format) != (second.signature, second.format):
        return False
    if isinstance(first, ReasoningPart) and isinstance(second, ReasoningPart):
        plain = is_plain_thought(first) and is_plain_thought(second)
        return plain and not residue_of(first.ext) and not residue_of(second.ext)
    return _is_plain(first) and _is_plain(second)


def is_plain_thought(part: Part) -> bool:
    """True for a thought without any artefact, as this dialect's models tell most of them."""
    if not isinstance(part, ReasoningPart) or part.form is not ReasoningForm.FULL:
        return False
    return not (part.signature or part.sealed or part.id or part.format)


def _is_plain(part: Part) -> bool:
    """True if nothing is kept of the wire part but what its text and its tag say."""
    return residue_of(part.ext).keys() <= {TAGGED}


def _text(part: Part) -> str:
    return part.text if isinstance(part, WORDS) else ""


def _joined(part: Part, run: list[str]) -> Part:
    if len(run) == 1 or not isinstance(part, WORDS):
        return part
    pieces = tuple(map(len, run))
    ext = keep({"@pieces": pieces}) if is_native(part.ext) else part.ext
    return msgspec.structs.replace(part, text="".join(run), ext=ext)


def split(part: Part) -> list[Part]:
    """The wire's pieces of a part that was joined."""
    pieces = note(part.ext, "pieces")
    if pieces is None or not isinstance(part, WORDS):
        return [part]
    if sum(pieces) != len(part.text):
        return [part]
    parts: list[Part] = []
    at = 0
    for length in pieces:
        parts.append(msgspec.structs.replace(part, text=part.text[at : at + length], ext=keep({})))
        at += length
    return parts
