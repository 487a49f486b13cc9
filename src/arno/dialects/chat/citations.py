"""Citations on the wire: the annotations of a message, and of a block of text.

One of the web is written as it is; its places count characters of the message's text, so they move
where several texts become one. Any other kind belongs to its own dialect, see
`arno.canon.parts.TextPart`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arno.canon.ext import Json, Loss
from arno.dialects.chat.residue import DIALECT
from arno.dialects.residue import integer

NEUTRAL = "url_citation"
OWN = "@" + DIALECT
PLACES = ("start_index", "end_index")


def decode_citation(document: Json) -> Json:
    """One entry of `annotations` as a part holds it."""
    neutral = isinstance(document, Mapping) and document.get("type") == NEUTRAL
    if neutral and isinstance(document.get(NEUTRAL), Mapping):
        return document
    return {"type": OWN, OWN: document}


def decode_citations(documents: Iterable[Json]) -> tuple[Json, ...]:
    """All entries."""
    return tuple(map(decode_citation, documents))


def encode_citations(
    annotations: Iterable[Json], where: str, *, behind: int = 0
) -> tuple[list[Json], list[Loss]]:
    """Entries of `annotations`; behind: characters of the message before the part's own text."""
    documents: list[Json] = []
    losses: list[Loss] = []
    for number, annotation in enumerate(annotations):
        if isinstance(annotation, Mapping) and OWN in annotation:
            documents.append(annotation[OWN])
        elif isinstance(annotation, Mapping) and annotation.get("type") == NEUTRAL:
            documents.append(_moved(annotation, behind))
        else:
            why = "a citation of another dialect's own kind"
            losses.append(Loss(f"{where}/annotations/{number}", "dropped", why))
    return documents, losses


def _moved(annotation: Mapping[str, Json], behind: int) -> Json:
    document = {key: value for key, value in annotation.items() if not key.startswith("@")}
    inner = document.get(NEUTRAL)
    if behind and isinstance(inner, Mapping):
        moved = {key: inner[key] + behind for key in PLACES if integer(inner.get(key)) is not None}
        document[NEUTRAL] = {**inner, **moved}
    return document
