"""Citations of a text block: those of web search are neutral, all others this wire's own.

An answer may cite what another dialect's upstream found on the web; its place in the text, which
this wire does not tell, stands in extension members `start_index` and `end_index`.
"""

from __future__ import annotations

from collections.abc import Sequence

from arno.canon.ext import Json, Loss
from arno.dialects.messages.residue import DIALECT
from arno.dialects.residue import Document

WEB = "web_search_result_location"
NEUTRAL = "url_citation"
OWN = "@" + DIALECT
_PLACES = ("start_index", "end_index")


def decode_citation(citation: Json) -> Json:
    """One citation as a canonical annotation (`arno.canon.parts.TextPart`)."""
    if not isinstance(citation, dict) or citation.get("type") != WEB:
        return {"type": OWN, OWN: citation}
    members = {
        "url": citation.get("url"),
        "title": citation.get("title"),
        "content": citation.get("cited_text") or None,
        **{key: citation.get(key) for key in _PLACES},
    }
    known = {key: value for key, value in members.items() if value is not None}
    return {"type": NEUTRAL, NEUTRAL: known, OWN: citation}


def encode_citations(
    annotations: Sequence[Json], path: str, *, to_client: bool
) -> tuple[list[Json], list[Loss]]:
    """The citations that this wire can say.

    An upstream checks what a citation of the web points at, so a request carries only its own.
    """
    citations: list[Json] = []
    losses: list[Loss] = []
    for number, annotation in enumerate(annotations):
        citation = _encode(annotation, to_client=to_client)
        if citation is None:
            why = "a messages block cites only what its own upstream found"
            losses.append(Loss(f"{path}/annotations/{number}", "dropped", why))
        else:
            citations.append(citation)
    return citations, losses


def _encode(annotation: Json, *, to_client: bool) -> Document | None:
    if not isinstance(annotation, dict):
        return None
    own = annotation.get(OWN)
    if isinstance(own, dict):
        return own
    web = annotation.get(NEUTRAL)
    if not to_client or not isinstance(web, dict) or not web.get("url"):
        return None
    return {
        "type": WEB,
        "url": web["url"],
        "title": web.get("title"),
        "cited_text": web.get("content") or "",
        "encrypted_index": "",
        **{key: web[key] for key in _PLACES if key in web},
    }
