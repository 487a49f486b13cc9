"""The recorded chat traffic of the shared folder: what there is, what is left out, and why.

Serves the laws over recordings (architecture, section 3). Ids are the recordings' own names; a
rewritten recording is called `<id of the original>~<name of the rewrite>`.
"""

import gzip
from base64 import b64decode
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any

import msgspec
import yaml

from arno.wire import json
from tests.shared import SHARED

RECORDED = "interactions.jsonl.gz"
REWRITTEN = "interactions-perturbed.jsonl.gz"

_PYDANTIC = "pydantic-ai/tests/models/cassettes"
_GROQ = f"{_PYDANTIC}/test_groq"
_MULTIMODAL = f"{_PYDANTIC}/test_multimodal_tool_returns/test_multimodal_tool_return_matrix"
_OPENROUTER = f"{_PYDANTIC}/test_openrouter"

BAD_STATUS = {
    f"{_MULTIMODAL}[direct-binary-audio-openai_chat].yaml#1": 400,
    f"{_MULTIMODAL}[tool_return_content-url-audio-openai_chat].yaml#2": 400,
    f"{_MULTIMODAL}[tool_return_content-url_force_download-audio-openai_chat].yaml#2": 400,
    "envoy/tests/internal/testopenai/cassettes/chat-bad-request.yaml#0": 400,
    f"{_OPENROUTER}/test_openrouter_errors_raised.yaml#0": 429,
    f"{_OPENROUTER}/test_openrouter_errors_raised.yaml#1": 429,
    f"{_OPENROUTER}/test_openrouter_errors_raised.yaml#2": 429,
}
"""Answers that are refusals with their status: tested as failures, not as completions."""

FAILED_STREAMS = {
    # `event: error` and no end mark: the model's call did not fit the tool's schema.
    f"{_GROQ}/test_tool_use_failed_error_streaming.yaml#0": ("invalid_request", "tool_use_failed"),
    f"{_GROQ}/test_tool_use_failed_error_streaming_with_text.yaml#0": (
        "invalid_request",
        "tool_use_failed",
    ),
    # An error member beside a choice, behind two finish reasons `length`.
    f"{_OPENROUTER}/test_openrouter_stream_error.yaml#0": ("invalid_request", "400"),
}
"""Streams with status 200 that the upstream itself ended as a failure: its kind and code."""


class Rewrite(StrEnum):
    """What a rewrite does to the meaning of a stream."""

    SAME = "keeps the meaning"
    FAULT = "must end as a failure"


REWRITES: dict[str, Rewrite] = {
    "ascii_json": Rewrite.SAME,
    "comments": Rewrite.SAME,
    "cr": Rewrite.SAME,
    "crlf": Rewrite.SAME,
    "empty_choices_first": Rewrite.SAME,
    "empty_cont": Rewrite.SAME,
    "extras": Rewrite.SAME,
    "fin_empty": Rewrite.SAME,
    "fin_missing": Rewrite.SAME,
    "finish_twice": Rewrite.SAME,
    "id_change": Rewrite.SAME,
    "index_from_1": Rewrite.SAME,
    "merge_calls": Rewrite.SAME,
    "multidata": Rewrite.SAME,
    "no_args": Rewrite.SAME,
    "nospace": Rewrite.SAME,
    "null_args": Rewrite.SAME,
    "null_cont": Rewrite.SAME,
    "repeat_id": Rewrite.SAME,
    "retryid": Rewrite.SAME,
    "role_null": Rewrite.SAME,
    "split_args": Rewrite.SAME,
    "usage_null": Rewrite.SAME,
    "whole_args": Rewrite.SAME,
    "abort": Rewrite.FAULT,
    "cut": Rewrite.FAULT,
    "event_error": Rewrite.FAULT,
    "mid_error": Rewrite.FAULT,
}
"""Every rewrite of chat streams in the file; one that is not here fails the test."""


class Recording(msgspec.Struct, frozen=True):
    """One interaction. rewrite: "" for a recording as it was made; url: where it was made."""

    id: str
    rewrite: str
    provider: str
    url: str
    stream: bool
    status: int
    headers: dict[str, list[str]]
    request: dict[str, Any]
    body: bytes

    @property
    def original(self) -> str:
        """The id of the recording that a rewrite was made from."""
        return self.id.removesuffix(f"~{self.rewrite}")


def _rows(name: str) -> Iterator[Recording]:
    assert SHARED is not None
    with gzip.open(SHARED / "corpus" / name) as lines:
        for line in lines:
            row: Any = json.loads(line)
            if row["dialect"] != "openai-chat":
                continue
            encoded = row.get("body_b64")
            yield Recording(
                id=row["id"],
                rewrite=row.get("pert") or "",
                provider=row["provider"],
                url=row["url"],
                stream=row["body_kind"] == "sse",
                status=row["status"],
                headers=row["response_headers"] if name == RECORDED else {},
                request=row["request"],
                body=row["body"].encode() if encoded is None else b64decode(encoded),
            )


@cache
def recorded() -> tuple[Recording, ...]:
    """Every chat interaction as it was recorded."""
    return tuple(_rows(RECORDED))


@cache
def rewritten() -> tuple[Recording, ...]:
    """Every rewritten chat stream."""
    return tuple(_rows(REWRITTEN))


def answers() -> list[Recording]:
    """The whole answers that are completions."""
    return [r for r in recorded() if not r.stream and r.id not in BAD_STATUS]


def streams() -> list[Recording]:
    """The streams that are completions."""
    return [r for r in recorded() if r.stream and r.id not in FAILED_STREAMS]


@cache
def seed() -> tuple[bytes, ...]:
    """The two streams of the conversation that the project began with."""
    assert SHARED is not None
    cassette = yaml.safe_load((SHARED / "seed" / "tool_streaming.yaml").read_text())
    return tuple(entry["response"]["body"].encode() for entry in cassette["interactions"])
