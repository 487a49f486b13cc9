"""The layouts in which upstreams send two tool calls: R3 by letter, and some more."""

from typing import Any

from tests.dialects.chat.building import entry, piece

F, G = '{"x":1}', '{"y":2}'
TWO = [("a", "f", F), ("b", "g", G)]

R3: dict[str, list[dict[str, Any]]] = {
    "a no index": [
        piece(entry('{"x"', id="a", name="f")),
        piece(entry(":1}")),
        piece(entry('{"y"', id="b", name="g")),
        piece(entry(":2}")),
    ],
    "a no index, no id on later pieces but the name": [
        piece(entry('{"x"', id="a", name="f")),
        piece(entry(":1}", name="f")),
        piece(entry(G, id="b", name="g")),
    ],
    "b a second id on index 0, its arguments on index 1": [
        piece(entry("", index=0, id="a", name="f")),
        piece(entry(F, index=0)),
        piece(entry("", index=0, id="b", name="g")),
        piece(entry(G, index=1)),
    ],
    "b a second id on index 0, its arguments there too": [
        piece(entry("", index=0, id="a", name="f")),
        piece(entry(F, index=0)),
        piece(entry("", index=0, id="b", name="g")),
        piece(entry(G, index=0)),
    ],
    "c index from 1": [
        piece(entry("", index=1, id="a", name="f")),
        piece(entry(F, index=1)),
        piece(entry("", index=2, id="b", name="g")),
        piece(entry(G, index=2)),
    ],
    "d interleaved": [
        piece(entry("", index=0, id="a", name="f")),
        piece(entry("", index=1, id="b", name="g")),
        piece(entry('{"x"', index=0)),
        piece(entry('{"y"', index=1)),
        piece(entry(":1}", index=0), entry(":2}", index=1)),
    ],
    "d interleaved by id, without index": [
        piece(entry("", id="a", name="f"), entry("", id="b", name="g")),
        piece(entry('{"x"', id="a")),
        piece(entry('{"y"', id="b")),
        piece(entry(":1}", id="a"), entry(":2}", id="b")),
    ],
    "e id repeated": [
        piece(entry('{"x"', index=0, id="a", name="f")),
        piece(entry(":1}", index=0, id="a", name="f")),
        piece(entry('{"y"', index=1, id="b", name="g")),
        piece(entry(":2}", index=1, id="b")),
    ],
    "f empty arguments between": [
        piece(entry("", index=0, id="a", name="f")),
        piece(entry("", index=0)),
        piece(entry(F, index=0)),
        piece({"index": 0, "function": {"arguments": None}}),
        piece({"index": 1, "id": "b", "function": {"name": "g", "arguments": None}}),
        piece(entry(G, index=1)),
        piece(entry("", index=1)),
    ],
    "g text and call in one delta": [
        piece(entry(F, index=0, id="a", name="f"), content="I look."),
        piece(entry(G, index=1, id="b", name="g"), content=" And again."),
    ],
    "h whole calls in one delta": [
        piece(entry(F, index=0, id="a", name="f"), entry(G, index=1, id="b", name="g")),
    ],
    "h whole calls in one delta, without index": [
        piece(entry(F, id="a", name="f"), entry(G, id="b", name="g")),
    ],
    "arguments before the id": [
        piece(entry('{"x"', index=0)),
        piece(entry(":1}", index=0, id="a", name="f")),
        piece(entry(G, index=1, id="b", name="g")),
    ],
    "an empty entry between": [
        piece({}),
        piece(entry(F, index=0, id="a", name="f"), {"function": {}}),
        piece(entry(G, index=1, id="b", name="g")),
    ],
}
"""Letter of R3 (or none) and what the upstream does, to its chunks."""
