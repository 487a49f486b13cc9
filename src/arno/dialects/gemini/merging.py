"""Adjacent pieces of one text are one part.

Hosts cut a text into wire parts wherever a chunk ended, so pieces that follow each other belong
together unless one is thought or signed and the other is not. The note "@pieces" says how a text
was cut, so that the same dialect writes it back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from arno.canon.ext import Json
from arno.canon.parts import Part, ReasoningForm, ReasoningPart, RefusalPart, TextPart
from arno.dialects.gemini.citations import Citation, citations_of, place
from arno.dialects.gemini.residue import is_native, keep, note, residue_of


class Merged:
    """Parts of an answer, and where each wire part went.

    places: for each wire part the place of its canonical part, and the characters before it there.
    """

    def __init__(self, pieces: Sequence[Part]) -> None:
        self.parts: list[Part] = []
        self.places: list[tuple[int, int]] = []
        self._runs: list[list[str]] = []
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
        for citation in citations_of(candidate):
            found = self._find(citation)
            if found is not None:
                number, annotation = found
                part = self.parts[number]
                if isinstance(part, TextPart):
                    annotations = (*part.annotations, annotation)
                    self.parts[number] = msgspec.structs.replace(part, annotations=annotations)

    def _find(self, citation: Citation) -> tuple[int, Json] | None:
        """The part whose text is cited, and the annotation: where the wire says, else anywhere."""
        texts = [n for n, part in enumerate(self.parts) if isinstance(part, TextPart)]
        segment = citation.segment
        if segment is None:
            return (texts[-1], citation.annotation()) if texts else None
        if segment.part < len(self.places):
            number, before = self.places[segment.part]
            found = place(segment, _text(self.parts[number])[before:]) if number in texts else None
            if found is not None:
                return number, citation.annotation(before + found[0], before + found[1])
        for number in texts:
            found = place(segment, _text(self.parts[number]))
            if found is not None and segment.said is not None:
                return number, citation.annotation(*found)
        return None


def may_join(first: Part, second: Part) -> bool:
    """True if `second` only goes on with the text of `first`."""
    if type(first) is not type(second) or not isinstance(
        second, TextPart | ReasoningPart | RefusalPart
    ):
        return False
    if first.signature != second.signature or not (_is_plain(first) and _is_plain(second)):
        return False
    if isinstance(first, ReasoningPart) and isinstance(second, ReasoningPart):
        return _is_only_text(first) and _is_only_text(second)
    return True


def _is_only_text(part: ReasoningPart) -> bool:
    return part.form is ReasoningForm.FULL and part.sealed is None and part.id is None


def _is_plain(part: Part) -> bool:
    """True if nothing is kept of the wire part but what its text says."""
    return not residue_of(part.ext)


def _text(part: Part) -> str:
    return part.text if isinstance(part, TextPart | ReasoningPart | RefusalPart) else ""


def _joined(part: Part, run: list[str]) -> Part:
    if len(run) == 1 or not isinstance(part, TextPart | ReasoningPart | RefusalPart):
        return part
    pieces = tuple(map(len, run))
    ext = keep({"@pieces": pieces}) if is_native(part.ext) else part.ext
    return msgspec.structs.replace(part, text="".join(run), ext=ext)


def split(part: Part) -> list[Part]:
    """The wire's pieces of a part that was joined."""
    pieces = note(part.ext, "pieces")
    if pieces is None or not isinstance(part, TextPart | ReasoningPart | RefusalPart):
        return [part]
    if sum(pieces) != len(part.text):
        return [part]
    parts: list[Part] = []
    at = 0
    for length in pieces:
        parts.append(msgspec.structs.replace(part, text=part.text[at : at + length], ext=keep({})))
        at += length
    return parts
