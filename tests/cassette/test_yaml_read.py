"""Reading YAML: what is refused, on which line, and that both PyYAML parsers agree."""

import pytest
import yaml

from arno.cassette import yaml_read
from arno.cassette.errors import CassetteError
from arno.cassette.model import Plain
from arno.cassette.yaml_read import MAX_DEPTH, ListNode, MapNode, read_tree, to_tree

ALIAS_BOMB = b"""\
a: &a [x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
"""

REFUSED = [
    pytest.param(ALIAS_BOMB, 1, "no anchors", id="alias bomb"),
    pytest.param(b"a: 1\nb: &x 1\n", 2, "no anchors", id="anchor on a scalar"),
    pytest.param(b"a: 1\nb: *x\n", 2, "no aliases", id="alias"),
    pytest.param(b"a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "no tag", id="object"),
    pytest.param(b"a: !!python/name:os.system ''\n", 1, "no tag", id="name"),
    pytest.param(b"a: !mine x\n", 1, "no tag", id="local tag"),
    pytest.param(b"a: ! x\n", 1, "no tag", id="the non-specific tag"),
    pytest.param(b"a: !!int 5\n", 1, "no tag", id="a core type"),
    pytest.param(b"--- !!map\na: 1\n", 1, "no tag", id="tagged mapping"),
    pytest.param(b"a: !!binary '@@'\n", 1, "base64", id="bad base64"),
    pytest.param(b"a: 1\na: 2\n", 2, "each key once", id="repeated key"),
    pytest.param(b"? [a]\n: 1\n", 1, "key that is text", id="list as a key"),
    pytest.param(b"a: 1\n--- \nb: 2\n", 2, "one document", id="two documents"),
    pytest.param(b"", 1, "empty", id="empty"),
    pytest.param(b"# nothing\n", 1, "empty", id="only a comment"),
    pytest.param(b"a:\n  - b\n c: d\n", 3, "expected YAML", id="bad indentation"),
    pytest.param(b"a: 'x\n", 2, "expected YAML", id="open quote"),
    pytest.param(b"a: \x07\n", None, "control characters", id="control character"),
    pytest.param(b"a: \xff\n", None, "UTF-8", id="not UTF-8"),
]


@pytest.mark.parametrize(("data", "line", "expected"), REFUSED)
def test_what_is_refused_names_its_line(data, line, expected):
    with pytest.raises(CassetteError, match=expected) as caught:
        read_tree(data)
    assert caught.value.line == line
    assert line is None or str(caught.value).startswith(f"line {line}: ")


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- "])
def test_nesting_is_refused_at_the_cap_however_deep_it_goes(opening):
    with pytest.raises(CassetteError, match=f"at most {MAX_DEPTH} levels"):
        read_tree(opening * 50_000)


def test_nesting_up_to_the_cap_is_read():
    tree = to_tree(read_tree(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH))
    depth = 0
    while tree:
        assert isinstance(tree, list)
        tree = tree[0]
        depth += 1
    assert depth == MAX_DEPTH - 1


def test_a_huge_file_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(yaml_read, "MAX_BYTES", 10)
    assert read_tree(b"a: 1234567").line == 1
    with pytest.raises(CassetteError, match="at most 10 bytes, the file has 11"):
        read_tree(b"a: '1234567")


def test_many_small_values_are_refused(monkeypatch):
    monkeypatch.setattr(yaml_read, "MAX_NODES", 4)
    assert isinstance(read_tree(b"[a, b, c]"), ListNode)
    with pytest.raises(CassetteError, match="at most 4 values"):
        read_tree(b"[a, b, c, d]")


def test_a_node_knows_its_place():
    root = read_tree(b"a:\n  - b: 'c'\n")
    assert isinstance(root, MapNode)
    items = root.items["a"]
    assert isinstance(items, ListNode)
    entry = items.items[0]
    assert isinstance(entry, MapNode)
    assert (entry.line, entry.column) == (2, 4)


def test_unknown_values_keep_whether_they_were_plain():
    tree = to_tree(read_tree(b"a: 5\nb: '5'\nc: [~, !!str 7]\nd: !!binary /w==\n"))
    assert tree == {"a": "5", "b": "5", "c": ["~", "7"], "d": b"\xff"}
    assert isinstance(tree, dict)
    kinds = {key: type(value) for key, value in tree.items()}
    assert kinds == {"a": Plain, "b": str, "c": list, "d": bytes}
    assert [type(item) for item in tree["c"]] == [Plain, str]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")
@pytest.mark.parametrize(
    "data",
    [
        b"---\na: |+\n  data: x\n\nb: 'it''s'\nc: \"\\U0001F600\\n\"\nd: [1, {}]\n",
        b"a: !!binary |\n  AAEC\n  AwQF\n",
    ],
)
def test_the_pure_python_parser_reads_the_same(data, monkeypatch):
    by_libyaml = read_tree(data)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert read_tree(data) == by_libyaml


@pytest.mark.parametrize("data", [ALIAS_BOMB, b"a: !!python/object:x {}\n", b"a: [\n"])
def test_the_pure_python_parser_refuses_the_same(data, monkeypatch):
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    with pytest.raises(CassetteError):
        read_tree(data)
