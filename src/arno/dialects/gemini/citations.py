"""Citations: the wire's grounding and citation metadata, and annotations of text.

The wire tells at the end of a candidate which segments of its text rest on which sources, measured
in bytes; a citation of the web is neutral (`TextPart`) and measured in characters. The wire's own
documents are kept natively; an annotation is added where the segment can be found in the text.
Source: Gemini API reference, "GroundingMetadata" and "CitationMetadata"; recorded traffic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping

import msgspec

from arno.canon.ext import Json
from arno.dialects.residue import Document, integer, items, text
from arno.wire import json

GROUNDING, CITATIONS = "groundingMetadata", "citationMetadata"
URL_CITATION = "url_citation"
MOST_CITATIONS = 1000
"""Citations of a candidate that are told as such; the wire's own document is kept whole."""
MOST_CITED = 1024 * 1024
"""Characters of a text that are kept for its citations; those of a longer one are not told."""
STRETCH = 1024
"""Characters whose places are found together."""

SOURCES = ("web", "retrievedContext", "maps")
"""Members of a grounding chunk that may name an address; the first holds web pages."""


class Segment(msgspec.Struct, frozen=True):
    """A piece of text in bytes, `part` of the content. said: the text itself, as a proof."""

    start: int = 0
    end: int | None = None
    part: int = 0
    said: str | None = None

    @property
    def is_bare(self) -> bool:
        """True if only the part is named."""
        return self.end is None and not self.start and self.said is None


class Citation(msgspec.Struct, frozen=True):
    """One source of one segment; segment None: of the text as a whole."""

    segment: Segment | None
    source: Document

    def annotation(self, start: int | None = None, end: int | None = None) -> Document:
        """The neutral annotation, its place in characters."""
        place = {} if start is None else {"start_index": start, "end_index": end}
        return {"type": URL_CITATION, URL_CITATION: {**self.source, **place}}


def citations_of(candidate: Mapping[str, Json]) -> Iterator[Citation]:
    """What a candidate says of its sources that has an address."""
    yield from _grounding(candidate.get(GROUNDING))
    yield from _citations(candidate.get(CITATIONS))


def _grounding(document: Json) -> Iterator[Citation]:
    if not isinstance(document, Mapping):
        return
    chunks = items(document.get("groundingChunks"))
    for support in items(document.get("groundingSupports")):
        if not isinstance(support, Mapping):
            continue
        segment = _segment(support.get("segment"))
        for index in items(support.get("groundingChunkIndices")):
            number = integer(index)
            if number is not None and 0 <= number < len(chunks):
                source = _source(chunks[number])
                if source is not None:
                    yield Citation(segment, source)


def _segment(document: Json) -> Segment | None:
    if not isinstance(document, Mapping):
        return None
    return Segment(
        start=integer(document.get("startIndex")) or 0,
        end=integer(document.get("endIndex")),
        part=integer(document.get("partIndex")) or 0,
        said=text(document.get("text")),
    )


def _source(chunk: Json) -> Document | None:
    if not isinstance(chunk, Mapping):
        return None
    for member in SOURCES:
        source = chunk.get(member)
        if isinstance(source, Mapping) and text(source.get("uri")):
            members = {
                "url": source["uri"],
                "title": text(source.get("title")),
                "content": text(source.get("text")),
            }
            return {name: value for name, value in members.items() if value is not None}
    return None


def _citations(document: Json) -> Iterator[Citation]:
    """Sources that the text repeats; two names for one list, as the vendor's two hosts have it."""
    if not isinstance(document, Mapping):
        return
    for entry in items(document.get("citations") or document.get("citationSources")):
        if isinstance(entry, Mapping) and text(entry.get("uri")):
            title = text(entry.get("title"))
            source = {"url": entry["uri"], **({} if title is None else {"title": title})}
            yield Citation(_segment(entry), source)


class Cited:
    """A text in which cited segments are found, however many there are."""

    __slots__ = ("_data", "_plain", "_starts")

    def __init__(self, whole: str) -> None:
        self._data = whole.encode(errors="replace")
        self._plain = len(self._data) == len(whole)
        self._starts = [0]  # of each stretch, the byte it begins with
        if not self._plain:
            for at in range(0, len(whole) - STRETCH, STRETCH):
                stretch = whole[at : at + STRETCH].encode(errors="replace")
                self._starts.append(self._starts[-1] + len(stretch))

    def place(self, segment: Segment) -> tuple[int, int] | None:
        """Where a segment stands, in characters; None if it is not there."""
        end = len(self._data) if segment.end is None else segment.end
        if not 0 <= segment.start <= end <= len(self._data):
            return None
        try:
            first, last = self._character(segment.start), self._character(end)
            if (
                segment.said is not None
                and segment.said.encode() != self._data[segment.start : end]
            ):
                return None
        except UnicodeError:
            return None
        return first, last

    def _character(self, byte: int) -> int:
        """The character that begins with a byte. Raises UnicodeDecodeError inside of one."""
        if self._plain:
            return byte
        stretch = bisect_right(self._starts, byte) - 1
        return stretch * STRETCH + len(self._data[self._starts[stretch] : byte].decode())


class Grounding:
    """Annotations of other wires as this wire's grounding of one candidate."""

    def __init__(self) -> None:
        self._chunks: dict[bytes, int] = {}
        self._sources: list[Document] = []
        self._supports: list[Document] = []

    @property
    def is_full(self) -> bool:
        """True if no more are told."""
        return len(self._supports) >= MOST_CITATIONS

    def add(self, annotation: Json, before: int, whole: str, part: int = 0) -> bool:
        """Take one in. False if it is no citation of an address.

        whole: the text that is cited; before: the bytes before it in the same wire part;
        part: the place of that part, 0 also where it is not known.
        """
        source = annotation.get(URL_CITATION) if isinstance(annotation, Mapping) else None
        if not isinstance(source, Mapping) or not text(source.get("url")):
            return False
        support: Document = {}
        start, end = integer(source.get("start_index")), integer(source.get("end_index"))
        if start is not None and end is not None and 0 <= start <= end <= len(whole):
            support["segment"] = _wire_segment(before, whole, start, end, part)
        elif part:
            support["segment"] = {"partIndex": part}
        support["groundingChunkIndices"] = [self._chunk(source)]
        self._supports.append(support)
        return True

    def _chunk(self, source: Mapping[str, Json]) -> int:
        """The number of the source; one that is cited again stands there once."""
        named = {"uri": source["url"], "title": text(source.get("title"))}
        content = text(source.get("content"))
        told = {name: value for name, value in named.items() if value is not None}
        chunk: Document = {"web": told}
        if content is not None:
            chunk = {"retrievedContext": {**told, "text": content}}
        key = json.canonical(chunk)
        if key not in self._chunks:
            self._chunks[key] = len(self._sources)
            self._sources.append(chunk)
        return self._chunks[key]

    @property
    def document(self) -> Document | None:
        """The grounding so far, None if there is none."""
        if not self._supports:
            return None
        return {
            "groundingChunks": list(self._sources),
            "groundingSupports": list(self._supports),
        }


def _wire_segment(before: int, whole: str, start: int, end: int, part: int) -> Document:
    first = before + len(whole[:start].encode(errors="replace"))
    said = whole[start:end]
    segment: Document = {"partIndex": part} if part else {}
    if first:
        segment["startIndex"] = first
    segment["endIndex"] = first + len(said.encode(errors="replace"))
    segment["text"] = said
    return segment
