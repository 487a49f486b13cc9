"""Every key is checked: its name, type and range, with file, line and expectation."""

from types import UnionType
from typing import get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.gateway.config.problems import MAX_SHOWN, Problems, Source, shown
from arno.gateway.config.read import _hints, read_document
from arno.gateway.config.schema import Document, Rule, Table
from tests.gateway.config.building import configured, problems

LAB = '[provider.lab]\nbase_url = "http://127.0.0.1:9/v1"\n'

WRONG = {
    "a key that does not exist": (
        "[server]\nprot = 80",
        ["arno.toml:2: server.prot: unknown key; did you mean 'port'?"],
    ),
    "a table that does not exist": (
        "[servers]\nport = 80",
        ["arno.toml:1: servers: unknown key; did you mean 'server'?"],
    ),
    "nothing near": (
        "[tls]\nxyzzy = 1",
        ["arno.toml:2: tls.xyzzy: unknown key; known: ca_file"],
    ),
    "text for a number": (
        '[server]\nport = "80"',
        ["arno.toml:2: server.port: expected a port from 0 to 65535 (0: a free one), got '80'"],
    ),
    "a boolean for a number": (
        "[server]\nport = true",
        ["arno.toml:2: server.port: expected a port from 0 to 65535 (0: a free one), got true"],
    ),
    "a number for a boolean": (
        "[server]\ncors = 1",
        ["arno.toml:2: server.cors: expected true or false, got 1"],
    ),
    "a value for a table": (
        "server = 80",
        ["arno.toml:1: server: expected a table, written as [server]"],
    ),
    "a table for a value": (
        "[server.port]\nx = 1",
        ["arno.toml:1: server.port: expected a port from 0 to 65535 (0: a free one), got a table"],
    ),
    "a value for a table of tables": (
        "provider = 3",
        ["arno.toml:1: provider: expected a table, written as [provider.NAME]"],
    ),
    "one table for an array of them": (
        '[key]\nname = "me"',
        ["arno.toml:1: key: expected an array of tables, written as [[key]]"],
    ),
    "a text for an array": (
        '[replay]\ncassettes = "x.yaml"',
        ["arno.toml:2: replay.cassettes: expected an array of texts in brackets"],
    ),
    "an element of an array, at its own line": (
        '[replay]\ncassettes = [\n  "",\n]',
        ["arno.toml:3: replay.cassettes: expected a path (~ is not expanded), got ''"],
    ),
    "a home folder": (
        '[server]\ndata = "~/arno"',
        ["arno.toml:2: server.data: expected a path (~ is not expanded), got '~/arno'"],
    ),
    "below the range": (
        "[limits]\nattempts = 0",
        ["arno.toml:2: limits.attempts: expected a whole number from 1 to 100, got 0"],
    ),
    "not a number": (
        "[deadlines]\nfirst = nan",
        [
            "arno.toml:2: deadlines.first: expected seconds, above 0 and at most 86400, or inf for "
            "no limit, got nan"
        ],
    ),
    "no limit where there must be one": (
        "[deadlines]\nconnect = inf",
        ["arno.toml:2: deadlines.connect: expected seconds, above 0 and at most 86400, got inf"],
    ),
    "a price that is a float": (
        LAB + '[[price]]\nprovider = "lab"\nmodel = "m"\ninput = 0.1',
        [
            "arno.toml:6: price.input: expected USD per million tokens as decimal text in quotes, "
            'like "0.15", got 0.1'
        ],
    ),
    "a day that is none": (
        LAB + '[[price]]\nprovider = "lab"\nmodel = "m"\ninput = "1"\nvalid_from = "2026-02-30"',
        [
            'arno.toml:7: price.valid_from: expected a day in quotes, like "2026-03-12", got '
            "'2026-02-30'"
        ],
    ),
    "what must be there": (
        '[[key]]\nkey_env = "X"',
        [
            "arno.toml:1: key.name: is missing; expected a name of 1 to 64 letters, digits, '_', "
            "'.' or '-'"
        ],
    ),
    "a name that needs quotes": (
        '[model."a/b"]\nweight = 1',
        [
            'arno.toml:1: model."a/b": expected candidates or weights: no shipped model has this '
            "name",
            "arno.toml:2: model.\"a/b\".weight: unknown key; did you mean 'weights'?",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_document_is_told_with_line_and_expectation(case, tmp_path):
    text, expected = WRONG[case]
    assert problems(tmp_path, text) == expected


MANY = """\
[server]
prot = 80
grace = -1
[provider.lab]
base_url = "ftp://x"
[provider.nowhere]
connections = 0
[model.m]
candidates = ["lab/m", "lbb/m"]
[alias]
fast = "nothing"
[[price]]
provider = "lab"
model = "m"
[limits]
frame = "1"
"""


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path):
    """Those of single values and those between tables."""
    found = [line.split(": ")[:2] for line in problems(tmp_path, MANY)]
    assert found == [
        ["arno.toml:2", "server.prot"],
        ["arno.toml:3", "server.grace"],
        ["arno.toml:5", "provider.lab.base_url"],
        ["arno.toml:6", "provider.nowhere"],
        ["arno.toml:7", "provider.nowhere.connections"],
        ["arno.toml:9", "model.m.candidates"],
        ["arno.toml:11", "alias.fast"],
        ["arno.toml:12", "price"],
        ["arno.toml:16", "limits.frame"],
    ]


URLS = [
    ("http://127.0.0.1:9/v1", True),
    ("https://api.example/v1", True),
    ("http://[::1]:80", True),
    ("ftp://x", False),
    ("api.example/v1", False),
    ("https://api.example/v1/", False),
    ("https://user@api.example/v1", False),
    ("https://user:pass@api.example/v1", False),
    ("https://api.example/v1?key=x", False),
    ("https://api.example/v1#x", False),
    ("https://api.example:99999/v1", False),
    ("https://", False),
    ("https://a b/v1", False),
    ("https://api.example\\\\@evil.example/v1", False),
    ("", False),
]


@pytest.mark.parametrize(("url", "good"), URLS)
def test_a_base_url_is_absolute_and_holds_nothing_but_a_place(url, good, tmp_path):
    found = problems(tmp_path, f'[provider.lab]\nbase_url = "{url}"\n')
    if good:
        assert found == []
    else:
        [line] = found
        assert line.startswith("arno.toml:2: provider.lab.base_url: expected an http(s) URL")


def test_the_example_of_the_rules(tmp_path):
    [line] = problems(tmp_path, '[provider.lab]\nbase_url = "ftp://x"\n')
    assert line == (
        "arno.toml:2: provider.lab.base_url: expected an http(s) URL without a slash at its end, "
        "and without user, query and fragment, got 'ftp://x'"
    )


SECRET = "canary-0123456789abcdef"
LITERAL = {
    "a key in a provider": f'[provider.groq]\napi_key = "{SECRET}"',
    "a key in a client key": f'[[key]]\nname = "me"\nkey = "{SECRET}"',
    "a key as the list of keys": f'key = "{SECRET}"',
    "a key as a client key": f'key = ["{SECRET}"]',
    "a token": f'[provider.lab]\nbase_url = "http://h/v1"\nToken = "{SECRET}"',
    "a key for the name of a variable": f'[provider.groq]\nkey_env = "{SECRET}"',
    "a key for the name of a file": f'[provider.groq]\nkey_file = "{SECRET}"',
    "a key in a URL's user": f'[provider.lab]\nbase_url = "https://{SECRET}@h/v1"',
    "a key in a URL's query": f'[provider.lab]\nbase_url = "https://h/v1?key={SECRET}"',
}


@pytest.mark.parametrize("case", LITERAL)
def test_a_literal_key_is_an_error_that_does_not_repeat_it(case, tmp_path):
    found = problems(tmp_path, LITERAL[case])
    assert found
    assert SECRET not in "\n".join(found)


def test_a_literal_key_is_told_where_keys_belong(tmp_path):
    [line] = problems(tmp_path, '[provider.groq]\nenabled = false\nkey = "x"')
    assert line == (
        "arno.toml:3: provider.groq.key: a secret never stands in this file: name its environment "
        "variable with key_env, or its file with key_file"
    )


def test_values_in_messages_are_short_and_on_one_line():
    assert len(shown("x" * 1000)) == MAX_SHOWN
    assert "\n" not in shown("a\nb\x1b[2J")
    assert "\x1b" not in shown("\x1b[2J")


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
TABLES = list(_hints(Document))


@given(st.dictionaries(st.sampled_from(TABLES), VALUES, max_size=4))
def test_any_document_is_read_or_told_of(raw):
    found = Problems(Source(name="arno.toml"))
    assert isinstance(read_document(raw, found), Document)


def rules(kind, path=()):
    """Every key of the schema with its rule."""
    for name, hint in _hints(kind).items():
        yield from _rules_of(hint, (*path, name))


def _rules_of(hint, path):
    if isinstance(hint, type) and issubclass(hint, Table):
        yield from rules(hint, path)
    elif hasattr(hint, "__metadata__"):
        yield path, hint.__metadata__[0]
    elif get_origin(hint) in (dict, tuple, UnionType) or get_args(hint):
        inner = get_args(hint)
        yield from _rules_of(inner[1] if get_origin(hint) is dict else inner[0], path)


def test_every_key_has_a_rule_that_says_what_is_expected():
    found = dict(rules(Document))
    assert len(found) > 60
    for rule in found.values():
        assert isinstance(rule, Rule)
        assert rule.expects


def test_an_empty_file_is_a_configuration(tmp_path):
    assert configured(tmp_path, "").document == Document()
