"""The scanner knows a line for every path of every TOML document, and it is the right one."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.gateway.config.toml_lines import lines_of

KEYS = {
    "a": "a",
    "b-1": "b-1",
    '"a b"': "a b",
    "'x.y'": "x.y",
    r'"\u0061c"': "ac",
    '"#"': "#",
    '"="': "=",
    '"[k]"': "[k]",
    '""': "",
    r'"q\"t"': 'q"t',
}
SCALARS = [
    "1",
    "0x0f",
    "1e3",
    "inf",
    "true",
    "1979-05-27 07:32:00",
    "1979-05-27",
    '""',
    "''",
    '"]}#,"',
    r'"\\"',
    r'"a\"b"',
    "'\\'",
    '"""x"""',
    '""""x"" y"""""',
    '"""\n[a]\nb = 1\n"""',
    '"""a\\\n   b"""',
    r'"""\""""""',
    "'''\n# no comment ''\n'''",
    "''''a''''",
]
BLANKS = st.sampled_from(["", " ", "\t "])
GAPS = st.sampled_from(["", " ", "\n", " # c ] } ,\n", "\n\n  "])


def dotted():
    return st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=3).flatmap(
        lambda keys: BLANKS.map(lambda blank: f"{blank}.{blank}".join(keys))
    )


def arrays(values):
    items = st.lists(st.tuples(GAPS, values, GAPS).map("".join), max_size=3)
    ends = st.sampled_from(["", ",", " ,\n"])
    return st.tuples(items, ends, GAPS).map(
        lambda t: "[" + ",".join(t[0]) + (t[1] if t[0] else "") + t[2] + "]"
    )


def inline_tables(values):
    pairs = st.lists(st.tuples(dotted(), BLANKS, values), max_size=3)
    return pairs.map(lambda rows: "{ " + ", ".join(f"{k}{b}={b}{v}" for k, b, v in rows) + " }")


VALUES = st.recursive(
    st.sampled_from(SCALARS), lambda v: st.one_of(arrays(v), inline_tables(v)), max_leaves=6
)
STATEMENTS = st.one_of(
    st.tuples(dotted(), BLANKS, VALUES).map(lambda t: f"{t[0]}{t[1]}={t[1]}{t[2]}"),
    st.tuples(BLANKS, dotted()).map(lambda t: f"[{t[0]}{t[1]}{t[0]}]"),
    st.tuples(BLANKS, dotted()).map(lambda t: f"[[{t[0]}{t[1]}{t[0]}]]"),
    st.sampled_from(["", "# [comment]", "  "]),
)
ENDINGS = st.sampled_from(["", " # a = 1", "\t"])


def valid(text):
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@st.composite
def documents(draw):
    """Statements that go together; each is kept only if the whole is still TOML."""
    text, newline = "", draw(st.sampled_from(["\n", "\r\n"]))
    for statement in draw(st.lists(st.tuples(STATEMENTS, ENDINGS).map("".join), max_size=12)):
        longer = f"{text}{statement}\n"
        text = longer if valid(longer) else text
    text = text if draw(st.booleans()) else text.removesuffix("\n")
    return text.replace("\n", newline)


def paths(value, path=()):
    yield path
    members = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        yield from paths(member, (*path, key))


def spellings(key):
    return [spelled for spelled, plain in KEYS.items() if plain == key]


@given(documents())
def test_every_path_has_a_line_and_the_line_holds_its_last_key(text):
    lines = lines_of(text)
    assert set(lines) == set(paths(tomllib.loads(text)))
    written = text.split("\n")
    for path, number in lines.items():
        line = written[number - 1]
        if path and isinstance(path[-1], str):
            assert any(spelled in line for spelled in spellings(path[-1])), (path, number)


EXAMPLE = """\
# a comment
top = 1

[server]  # [other]
port = 80
names = [
  "one",   # ,
  "two",
]

[[key]]
name = "a"
[[key]]
name = "b"
[key.more]
x = { y = 1, z.w = '''
multi
line''' }
[a.b.c]
d = 1
[a]
e.f = [ { g = 1 },
        { g = 2 } ]
"""
EXPECTED = {
    (): 1,
    ("top",): 2,
    ("server",): 4,
    ("server", "port"): 5,
    ("server", "names"): 6,
    ("server", "names", 0): 7,
    ("server", "names", 1): 8,
    ("key",): 11,
    ("key", 0): 11,
    ("key", 0, "name"): 12,
    ("key", 1): 13,
    ("key", 1, "name"): 14,
    ("key", 1, "more"): 15,
    ("key", 1, "more", "x"): 16,
    ("key", 1, "more", "x", "y"): 16,
    ("key", 1, "more", "x", "z"): 16,
    ("key", 1, "more", "x", "z", "w"): 16,
    ("a",): 21,
    ("a", "b"): 19,
    ("a", "b", "c"): 19,
    ("a", "b", "c", "d"): 20,
    ("a", "e"): 22,
    ("a", "e", "f"): 22,
    ("a", "e", "f", 0): 22,
    ("a", "e", "f", 0, "g"): 22,
    ("a", "e", "f", 1): 23,
    ("a", "e", "f", 1, "g"): 23,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_lines_of_an_example(newline):
    assert lines_of(EXAMPLE.replace("\n", newline)) == EXPECTED


def test_a_document_without_anything():
    assert lines_of("") == {(): 1}
