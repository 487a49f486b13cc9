"""Tables of types: what passes, what is refused, and where it says that it is wrong."""

from decimal import Decimal

import pytest
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects.shapes import (
    ARRAY,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Each,
    Either,
    Fields,
    Kinds,
    check,
)

PART = Kinds("type", {"text": Fields({"text": TEXT}, needs=("text",))})
TURN = Fields({"content": Either(TEXT, Each(PART, 3)), "toolId": TEXT}, needs=("content",))
REQUEST = Fields(
    {
        "turns": Each(TURN, 2),
        "limit": INTEGER,
        "heat": NUMBER,
        "on": FLAG,
        "schema": OBJECT,
        "list": ARRAY,
        "mode": Kinds("type", {"a": Fields({})}, default="a", closed=True),
        "file": Fields({"url": TEXT, "fileId": TEXT}, needs=(("url", "fileId"),), snake=True),
    }
)

GOOD = [
    {},
    {"unknown": object()},
    {"turns": None, "limit": None},
    {"turns": [{"content": "x"}, {"content": []}]},
    {"turns": [{"content": [{"type": "text", "text": ""}, {"type": "new", "text": 5}]}]},
    {"limit": 5, "heat": Decimal("0.5"), "on": False, "list": [1]},
    {"schema": {}},
    {"schema": []},
    {"schema": Raw(b'{"a":1}')},
    {"mode": {}},
    {"mode": {"type": "a"}},
    {"file": {"url": "x"}},
    {"file": {"fileId": "x"}},
    {"file": {"file_id": "x"}},
]

BAD = [
    (5, ""),
    ([], ""),
    ({"turns": {}}, "turns"),
    ({"turns": [5]}, "turns[0]"),
    ({"turns": [{"content": "x"}] * 3}, "turns"),
    ({"turns": [{"content": "x"}, {}]}, "turns[1].content"),
    ({"turns": [{"content": None}]}, "turns[0].content"),
    ({"turns": [{"content": 5}]}, "turns[0].content"),
    ({"turns": [{"content": ["x"]}]}, "turns[0].content[0]"),
    ({"turns": [{"content": [{}]}]}, "turns[0].content[0].type"),
    ({"turns": [{"content": [{"type": 5}]}]}, "turns[0].content[0].type"),
    ({"turns": [{"content": [{"type": "text"}]}]}, "turns[0].content[0].text"),
    ({"turns": [{"content": [{"type": "text", "text": 5}]}]}, "turns[0].content[0].text"),
    ({"limit": True}, "limit"),
    ({"limit": Decimal("1.5")}, "limit"),
    ({"heat": "hot"}, "heat"),
    ({"on": 1}, "on"),
    ({"schema": [1]}, "schema"),
    ({"schema": Raw(b"5")}, "schema"),
    ({"list": {}}, "list"),
    ({"mode": {"type": "b"}}, "mode.type"),
    ({"mode": []}, "mode"),
    ({"file": {}}, "file.url"),
    ({"file": {"file_id": 5}}, "file.file_id"),
]


@pytest.mark.parametrize("document", GOOD)
def test_what_passes(document):
    check(REQUEST, document)


@pytest.mark.parametrize(("document", "path"), BAD)
def test_what_is_refused_is_named(document, path):
    with pytest.raises(RequestError) as caught:
        check(REQUEST, document)
    assert caught.value.path == path
    assert caught.value.message.startswith("it ")
