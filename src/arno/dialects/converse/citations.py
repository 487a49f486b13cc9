"""Citations: the block `citationsContent`, and the deltas of a stream.

A block holds the text and what it rests on. Of the web, the neutral form stands beside the wire's
own document; places in documents and search results go back to this dialect only. The wire says no
place in the text: a neutral citation's `start_index` and `end_index` are extension members of its
web location.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arno.canon.ext import Json
from arno.canon.parts import TextPart
from arno.dialects.converse.residue import DIALECT, give, keep, note
from arno.dialects.converse.writing import Writing
from arno.dialects.residue import Document, text

NEUTRAL = "url_citation"
OWN = "@" + DIALECT
INDEXES = {"start_index": "startIndex", "end_index": "endIndex"}
"""Neutral member to the extension member of a web location."""


def decode_citations(inner: Json) -> TextPart | None:
    """The text of a `citationsContent` block with its citations, None if it is not that simple."""
    if not isinstance(inner, Mapping):
        return None
    content, citations = inner.get("content"), inner.get("citations", [])
    if not isinstance(content, list) or not isinstance(citations, list):
        return None
    pieces = _texts(content)
    if pieces is None:
        return None
    residue = {k: v for k, v in inner.items() if k not in ("content", "citations")}
    notes: Document = {"@block": "citationsContent"}
    if len(pieces) != 1:
        notes["@pieces"] = tuple(len(piece) for piece in pieces)
    if "citations" in inner and not citations:
        notes["@citations"] = "empty"
    return TextPart(
        text="".join(pieces),
        annotations=tuple(decode_citation(citation) for citation in citations),
        ext=keep({**residue, **notes}),
    )


def _texts(content: list[Json]) -> list[str] | None:
    """The texts of blocks that hold nothing else, None if one does."""
    pieces = [
        block["text"]
        for block in content
        if isinstance(block, Mapping) and len(block) == 1 and isinstance(block.get("text"), str)
    ]
    return pieces if len(pieces) == len(content) else None


def decode_citation(citation: Json) -> Json:
    """One citation as an annotation."""
    web = _web(citation)
    if web is None:
        return {"type": OWN, OWN: citation}
    neutral: Document = {"url": web["url"]}
    if text(citation.get("title")):
        neutral["title"] = citation["title"]
    said = _texts(citation.get("sourceContent") or [])
    if said:
        neutral["content"] = "".join(said)
    for member, extension in INDEXES.items():
        if isinstance(web.get(extension), int):
            neutral[member] = web[extension]
    return {"type": NEUTRAL, NEUTRAL: neutral, OWN: citation}


def _web(citation: Json) -> Mapping[str, Json] | None:
    location = citation.get("location") if isinstance(citation, Mapping) else None
    web = location.get("web") if isinstance(location, Mapping) else None
    if not isinstance(web, Mapping) or not text(web.get("url")):
        return None
    content = citation.get("sourceContent")
    return web if content is None or isinstance(content, list) else None


def encode_citation(annotation: Json) -> Json | None:
    """An annotation as this wire's citation, None for what only another dialect can read."""
    if not isinstance(annotation, Mapping):
        return None
    own = annotation.get(OWN)
    if own is not None:
        return own
    neutral = annotation.get(NEUTRAL)
    if annotation.get("type") != NEUTRAL or not isinstance(neutral, Mapping):
        return None
    web: Document = {"url": neutral.get("url")}
    for member, extension in INDEXES.items():
        if neutral.get(member) is not None:
            web[extension] = neutral[member]
    citation: Document = {}
    if neutral.get("title"):
        citation["title"] = neutral["title"]
    if neutral.get("content"):
        citation["sourceContent"] = [{"text": neutral["content"]}]
    citation["location"] = {"web": web}
    return citation


def encode_citations(annotations: Sequence[Json], path: str, writing: Writing) -> list[Json]:
    """The citations that this wire can say; the others are told as losses."""
    found: list[Json] = []
    for number, annotation in enumerate(annotations):
        citation = encode_citation(annotation)
        if citation is None:
            writing.drop(f"{path}/annotations/{number}", "an annotation of another dialect")
        else:
            found.append(citation)
    return found


def encode_cited(part: TextPart, path: str, writing: Writing) -> Document:
    """A text with its citations as one block."""
    lengths = note(part.ext, "pieces") or (len(part.text),)
    content: list[Json] = []
    begin = 0
    for length in lengths:
        content.append({"text": part.text[begin : begin + length]})
        begin += length
    block: Document = {**give(part.ext), "content": content}
    citations = encode_citations(part.annotations, path, writing)
    if citations or note(part.ext, "citations") == "empty":
        block["citations"] = citations
    return {"citationsContent": block}
