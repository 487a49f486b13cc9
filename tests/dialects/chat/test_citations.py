"""Citations: neutral ones of the web, others of their own dialect."""

from typing import Any

import pytest

from arno.canon.parts import TextPart
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.chat.citations import decode_citation
from tests.dialects.chat.building import documents_of
from tests.laws.harness import CHAT, encode


def web(start: int, end: int, **members: Any) -> dict[str, Any]:
    inner = {"url": "https://x.test/a", "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": inner, **members}


FILE = {"type": "file", "file": {"hash": "h"}}


@pytest.mark.parametrize(
    ("wire", "canonical"),
    [
        (web(0, 2), web(0, 2)),
        (FILE, {"type": "@chat", "@chat": FILE}),
        ("odd", {"type": "@chat", "@chat": "odd"}),
        ({"type": "url_citation"}, {"type": "@chat", "@chat": {"type": "url_citation"}}),
    ],
)
def test_only_citations_of_the_web_are_neutral(wire: Any, canonical: Any) -> None:
    assert decode_citation(wire) == canonical


PARTS = (
    TextPart(text="first", annotations=({"type": "@chat", "@chat": FILE},)),
    TextPart(
        text="next",
        annotations=(web(0, 4, **{"@other": {"x": 1}}), {"type": "@other", "@other": {"y": 1}}),
    ),
)
ANSWER = Response(choices=(Choice(parts=PARTS, reason=FinishReason.STOP),))
TOLD = [FILE, web(5, 9)]
LOST = [("/choices/0/parts/1/annotations/1", "dropped")]


def test_places_move_with_the_text_and_foreign_kinds_are_lost() -> None:
    document: Any
    document, losses = CHAT.encode_response(ANSWER)
    message = document["choices"][0]["message"]
    assert (message["content"], message["annotations"]) == ("firstnext", TOLD)
    assert [(loss.path, loss.action) for loss in losses] == LOST


def test_a_stream_tells_the_same_citations() -> None:
    deltas = [
        document["choices"][0]["delta"]
        for document in documents_of(encode([list(unfold(ANSWER))]))
        if document["choices"]
    ]
    assert "".join(delta.get("content") or "" for delta in deltas) == "firstnext"
    assert [each for delta in deltas for each in delta.get("annotations", ())] == TOLD
