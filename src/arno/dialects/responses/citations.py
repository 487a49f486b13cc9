"""Annotations of a text: citations of the web are neutral, others go back to this dialect only.

The neutral form is described at `arno.canon.parts.TextPart`.
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.dialects.residue import Document
from arno.dialects.responses.residue import DIALECT

OWN = "@" + DIALECT
NEUTRAL = "url_citation"
MEMBERS = ("url", "title", "content", "start_index", "end_index")


def decode_annotation(document: Json) -> Document:
    """One annotation as the canonical form has it; the wire's document stands beside if needed."""
    if not isinstance(document, Mapping) or document.get("type") != NEUTRAL:
        return {"type": OWN, OWN: document}
    if not isinstance(document.get("url"), str):
        return {"type": OWN, OWN: document}
    inner = {key: document[key] for key in MEMBERS if key in document}
    whole = len(inner) + 1 == len(document)
    value: Document = {"type": NEUTRAL, NEUTRAL: inner}
    return value if whole else {**value, OWN: dict(document)}


def encode_annotation(value: Json) -> Json:
    """The wire's annotation, None for one that only another dialect can write."""
    if not isinstance(value, Mapping):
        return None
    if OWN in value:
        return value[OWN]
    inner = value.get(NEUTRAL)
    if value.get("type") != NEUTRAL or not isinstance(inner, Mapping):
        return None
    return {"type": NEUTRAL, **{key: inner[key] for key in MEMBERS if key in inner}}
