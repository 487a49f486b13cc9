"""Model ids in paths: where a dialect, or a way to an endpoint, names the model in the URL.

An id may come from a client, and the path decides what the operator's key is used for. So every
path is built of what `segment` lets through.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from arno.canon.failure import RequestError

_MODEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:@/+~=-]{0,2046}[A-Za-z0-9._:@+~=-])?")
_DOTS = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")


def segment(model: str) -> str:
    """A model's id as one segment of a path. Raises RequestError for one that could be more.

    Dots alone, empty segments, `;`, `?`, `#`, `%`, a backslash, control characters and the like are
    in no real id and are refused.
    """
    if not _MODEL.fullmatch(model) or _DOTS.search(model):
        raise RequestError("this model ID cannot be asked for at its provider", "model")
    return quote(model, safe="@")
