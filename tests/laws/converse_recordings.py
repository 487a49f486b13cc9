"""The recorded converse traffic of the shared folder: what there is, what is left out, and why.

Serves the laws over recordings (architecture, section 3). A rewritten recording is called
`<id of the original>~<name of the rewrite>`.
"""

import gzip
from base64 import b64decode
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

import msgspec

from arno.dialects.base import RequestLine
from arno.wire import json
from tests.laws.recordings import RECORDED, REWRITTEN, Rewrite
from tests.shared import SHARED

_PYDANTIC = "pydantic-ai/tests/models/cassettes"
_BEDROCK = f"{_PYDANTIC}/test_bedrock"
_MULTIMODAL = f"{_PYDANTIC}/test_multimodal_tool_returns/test_multimodal_tool_return_matrix"

BAD_STATUS = 3
"""Recordings that are refusals (400): tested as failures."""

NO_REQUEST = {f"{_BEDROCK}/test_video_as_binary_content_input.yaml#0"}
"""Recordings whose request the file does not hold as JSON (it was cut off)."""

REWRITES: dict[str, Rewrite] = {"cut": Rewrite.FAULT, "mid_error": Rewrite.FAULT}
"""Every rewrite of these streams in the file; one that is not here fails the test."""


class Recording(msgspec.Struct, frozen=True):
    """One interaction. path: of its URL, as it was sent."""

    id: str
    rewrite: str
    path: str
    stream: bool
    status: int
    request: dict[str, Any] | None
    body: bytes

    @property
    def line(self) -> RequestLine:
        """What the path says."""
        _, _, model, operation = self.path.split("/")
        return RequestLine(model=unquote(model), stream=operation == "converse-stream")


def _rows(name: str) -> Iterator[Recording]:
    assert SHARED is not None
    with gzip.open(SHARED / "corpus" / name) as lines:
        for line in lines:
            row: Any = json.loads(line)
            if row["dialect"] != "bedrock-converse":
                continue
            encoded = row.get("body_b64")
            yield Recording(
                id=row["id"],
                rewrite=row.get("pert") or "",
                path="/" + row["url"].split("/", 3)[3],
                stream=row["body_kind"] == "eventstream",
                status=row["status"],
                request=row["request"],
                body=row["body"].encode() if encoded is None else b64decode(encoded),
            )


@cache
def recorded() -> tuple[Recording, ...]:
    """Every interaction as it was recorded."""
    return tuple(_rows(RECORDED))


@cache
def rewritten() -> tuple[Recording, ...]:
    """Every rewritten stream."""
    return tuple(_rows(REWRITTEN))


def answers() -> list[Recording]:
    """The whole answers."""
    return [row for row in recorded() if not row.stream and row.status == 200]


def streams() -> list[Recording]:
    """The streams."""
    return [row for row in recorded() if row.stream]
