"""Blocks of an upstream's stream that are open: what is known of them until their ends are told."""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.canon.parts import OpaquePart, Part, ToolCallPart
from arno.dialects.residue import Document


class Growing:
    """A block that only its own dialect knows: texts are joined at its end, the rest replaced."""

    __slots__ = ("_document", "_pieces")

    def __init__(self, document: Json) -> None:
        self._document: Document = dict(document) if isinstance(document, Mapping) else {}
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: Mapping[str, Json]) -> None:
        """More of it."""
        for key, value in delta.items():
            if key == "type":
                continue
            before = self._document.get(key)
            if isinstance(before, str) and isinstance(value, str):
                self._pieces.setdefault(key, [before]).append(value)
            else:
                self._pieces.pop(key, None)
                self._document[key] = value

    def whole(self) -> Document:
        """The document as far as it has come."""
        return self._document | {key: "".join(pieces) for key, pieces in self._pieces.items()}


class OpenBlock:
    """A block that is open, or waits for its end to be told.

    place: the index of its part, -1 for a block that is no part; waiting: the arguments that its
    start held, said unless pieces come; format: of a signature that came, where it is another than
    the part's; growing: of a block that only its own dialect knows, told whole at its end; held:
    what is kept of it until then.
    """

    __slots__ = ("format", "growing", "held", "part", "place", "said", "waiting")

    def __init__(self, place: int, part: Part) -> None:
        self.place = place
        self.part = part
        self.said = False
        self.waiting = ""
        self.format: str | None = None
        self.growing = Growing(part.document) if isinstance(part, OpaquePart) else None
        self.held = 0

    @property
    def is_bare(self) -> bool:
        """True for a call without arguments: {} at its start only holds their place."""
        call = isinstance(self.part, ToolCallPart)
        return call and not self.said and not self.waiting.strip("{} \t\r\n")
