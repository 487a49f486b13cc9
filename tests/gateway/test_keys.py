"""Client keys: where they come from, what is kept of them, and who is refused how."""

import ast
import gc
import hashlib
from pathlib import Path

import pytest

from arno.gateway import keys
from arno.gateway.errors import SettingsError
from arno.gateway.keys import KEYS_VARIABLE, KeyRing, from_environment, from_file
from arno.wire import json
from tests.gateway.harness import (
    ASK,
    ScriptedEngine,
    connect,
    gateway_app,
    get,
    hello,
    post,
    running_gateway,
)

ONE = "sk-one-0123456789abcdef"
TWO = "sk-two-0123456789abcdef"


def test_keys_of_the_environment():
    ring = from_environment({KEYS_VARIABLE: f" team-a:{ONE}, {TWO} ,"})
    assert ring.key_id(ONE.encode()) == "team-a"
    assert ring.key_id(TWO.encode()) == "key-" + hashlib.sha256(TWO.encode()).hexdigest()[:8]
    assert ring.key_id(b"sk-other-0123456789abcdef") is None
    assert bool(ring)


@pytest.mark.parametrize("environ", [{}, {KEYS_VARIABLE: ""}, {KEYS_VARIABLE: " , "}])
def test_no_keys_are_no_keys(environ):
    assert not from_environment(environ)


def test_a_name_may_have_several_keys():
    ring = from_environment({KEYS_VARIABLE: f"a:{ONE},a:{TWO}"})
    assert {ring.key_id(ONE.encode()), ring.key_id(TWO.encode())} == {"a"}


BAD = [
    ("short", "16 to 512"),
    ("name:short", "16 to 512"),
    (f"{ONE},short", "entry 2"),
    (f"{ONE},{ONE}", "twice"),
    (f"bad name:{ONE}", "name:key"),
    (f"{ONE}\N{SNOWMAN}", "ASCII"),
    ("x" * 513, "16 to 512"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_bad_keys_are_refused_without_being_shown(text, words):
    with pytest.raises(SettingsError) as refused:
        from_environment({KEYS_VARIABLE: text})
    assert words in str(refused.value)
    assert KEYS_VARIABLE in str(refused.value)
    assert ONE not in str(refused.value)
    assert "short" not in str(refused.value)


def test_keys_of_a_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# team keys\n\nteam-a:{ONE}\n  {TWO}  \n")
    path.chmod(0o600)
    ring, warnings = from_file(path)
    assert (ring.key_id(ONE.encode()), warnings) == ("team-a", ())
    path.chmod(0o640)
    _, [warning] = from_file(path)
    assert "chmod 600" in warning


@pytest.mark.parametrize("content", ["", "# nothing\n", "short\n", "a b c\n"])
def test_a_file_without_good_keys_is_refused(tmp_path, content):
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(SettingsError, match="keys"):
        from_file(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="FileNotFoundError"):
        from_file(tmp_path / "keys")


def test_only_a_hash_is_kept():
    ring = KeyRing([("a", ONE)])
    assert "one" not in repr(ring)
    held = [thing for thing in gc.get_referents(ring.__dict__["_by_start"])]
    assert ONE not in str(held)


SECRETS = {"digest", "known", "credential", "bearer", "plain", "token", "key", "value"}
"""Names in the module of what a presented or a kept key is held in."""


def early_comparisons(source):
    """Where a secret is compared in a way whose time tells how much of it is right.

    None and lengths may be asked for; the constructor compares the operator's own keys.
    """
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef) or function.name == "__init__":
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Compare) and SECRETS & set(compared_names(node)):
                found.append(ast.unparse(node))
    return found


def compared_names(node):
    """The names whose values a comparison looks at."""
    if isinstance(node, ast.Compare) and all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return
    if isinstance(node, ast.Name):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from compared_names(child)


def test_secrets_are_compared_in_constant_time_only():
    source = Path(keys.__file__).read_text()
    assert early_comparisons(source) == []
    calls = [
        ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)
    ]
    assert "hmac.compare_digest(known[0], digest)" in calls
    assert "hmac.compare_digest(credential or b'', other)" in calls


@pytest.mark.parametrize(
    "bad",
    ["known[0] == digest", "digest != known[0]", "credential in ring", "bearer[:9] == plain[:9]"],
)
def test_the_rule_finds_a_comparison_that_stops_early(bad):
    assert early_comparisons(f"def f():\n    return {bad}") == [bad]


@pytest.fixture(scope="module")
def keyed():
    engine = ScriptedEngine(hello)
    with running_gateway(gateway_app(engine, keys=KeyRing([("a", ONE), ("b", TWO)]))) as url:
        yield url, engine


GOOD = [
    ({"Authorization": f"Bearer {ONE}"}, "a"),
    ({"Authorization": f"bearer  {ONE} "}, "a"),
    ({"x-api-key": TWO}, "b"),
    ({"Authorization": f"Bearer {TWO}", "x-api-key": TWO}, "b"),
]


@pytest.mark.parametrize(("headers", "key_id"), GOOD)
def test_a_key_lets_its_owner_in(keyed, headers, key_id):
    url, engine = keyed
    assert post(url, ASK, headers).status == 200
    assert engine.calls[-1].caller.key_id == key_id


WRONG = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer ' OR '1'='1"},
    {"Authorization": "Bearer sk-' OR 1=1--"},
    {"Authorization": f"Basic {ONE}"},
    {"Authorization": ONE},
    {"Authorization": f"Bearer {ONE}x"},
    {"Authorization": f"Bearer {ONE[:-1]}"},
    {"Authorization": "Bearer " + hashlib.sha256(ONE.encode()).hexdigest()},
    {"Authorization": "Bearer " + "k" * 60_000},
    {"x-api-key": "a"},
    {"x-api-key": ""},
]


@pytest.mark.parametrize("headers", WRONG)
def test_a_wrong_key_is_a_401_in_one_constant_shape(keyed, headers):
    url, engine = keyed
    before = len(engine.calls)
    reply = post(url, ASK, headers)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.document == {
        "error": {
            "code": 401,
            "message": "No valid API key was given",
            "metadata": {"error_type": "authentication", "reason": "invalid_key"},
        }
    }
    assert len(engine.calls) == before


def test_two_different_credentials_are_ambiguous(keyed):
    url, _ = keyed
    reply = post(url, ASK, {"Authorization": f"Bearer {ONE}", "x-api-key": TWO})
    assert (reply.status, reply.reason) == (400, "ambiguous_credentials")


@pytest.mark.parametrize("name", ["Authorization", "x-api-key"])
def test_a_repeated_credential_is_ambiguous(keyed, name):
    url, _ = keyed
    value = f"Bearer {ONE}" if name == "Authorization" else ONE
    with connect(url) as client:
        client.post(ASK, headers=[(name, value), (name, value)])
        status, headers = client.read_head()
        body = client.read_until(b"}}}")
    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(body)["error"]["metadata"]["reason"] == "ambiguous_credentials"


def test_what_needs_no_key(keyed):
    url, _ = keyed
    for path in ("/healthz", "/readyz", "/api/v1/models", "/v1/models"):
        assert get(url, path).status == 200
    for path in ("/api/v1/key", "/v1/auth/key", "/api/v1/generation?id=gen-1"):
        assert get(url, path).status == 401


@pytest.mark.parametrize(
    ("fields", "path", "status"),
    [
        ({"x-goog-api-key": ONE}, "/v1beta/models/m:generateContent", 200),
        ({}, f"/v1beta/models/m:generateContent?key={ONE}", 200),
        ({}, "/v1beta/models/m:generateContent?key=wrong", 401),
        ({"x-goog-api-key": ONE}, f"/v1beta/models/m:generateContent?key={ONE}", 200),
        ({"x-goog-api-key": ONE}, f"/v1beta/models/m:generateContent?key={TWO}", 400),
        ({"x-goog-api-key": ONE, "x-api-key": TWO}, "/v1/messages", 400),
        ({"x-goog-api-key": ONE, "Authorization": f"Bearer {ONE}"}, "/v1/messages", 200),
        # A key in the query is this dialect's way only.
        ({}, f"/v1/messages?key={ONE}", 401),
    ],
)
def test_keys_where_the_callers_dialect_puts_them(keyed, fields, path, status):
    url, _ = keyed
    ask = {**ASK, "max_tokens": 5, "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert post(url, ask, fields, path=path).status == status
