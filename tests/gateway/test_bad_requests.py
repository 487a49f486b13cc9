"""Bad bodies and keys in every client dialect (part D of the behaviour spec: 7, 8, 14 to 33).

Each is refused with 400 or 413 in the caller's own error shape, under our stable word, naming the
field; nothing of it reaches an upstream. Every row is sent twice where it can be: to a provider of
the caller's dialect, where bodies pass without being decoded and only what the gateway itself reads
is judged, and to one of another dialect, where everything is decoded.
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from arno.dialects import bodies
from arno.dialects.chat import request as chat_request
from arno.gateway import inference
from arno.gateway.keys import KeyRing
from arno.wire import json
from tests.faults.gateways import assembled
from tests.gateway.bad_bodies import whole_bodies
from tests.gateway.bad_requests import ADDRESSES, FACES, NEAR, PICTURES, TOLD, changed
from tests.gateway.harness import connect, gateway_app, post, running_gateway
from tests.sdk.upstreams import DIALECTS
from tests.sdk.upstreams.story import Asked
from tests.sdk.worlds import UPSTREAM_KEY, prefix, toml
from tests.transport.upstream import Script, ThreadedUpstream

QUICK_S = 2.0
"""How long the worst body may take, on a busy machine with two cores: far from a hang."""

VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [1, 2]}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


def answer(request):
    """A good answer in the dialect of the path, without a look at the body."""
    path = request.path.partition("?")[0]
    if path.endswith("/embeddings"):
        return Script.json(json.dumps(VECTORS))
    [name] = [name for name, mark in MARKS.items() if mark in path]
    asked = Asked({}, "text", "stream" in path, {}, scenario="text")
    asked.counts = path.endswith("count_tokens")
    return DIALECTS[name].answer(asked)


MARKS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "gemini": ":",
    "converse": "/converse",
}


@dataclass
class World:
    """A running gateway before one provider of each dialect, and what reached these."""

    url: str
    upstream: Any

    def ask(self, face, way, body, model=None):
        """(reply, how many requests reached an upstream, seconds)."""
        model = model or model_of(face, way)
        before, began = len(self.upstream.requests), time.monotonic()
        reply = post(self.url, body, path=face.target(model))
        return reply, len(self.upstream.requests) - before, time.monotonic() - began


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with ThreadedUpstream(answer) as upstream:
        folder, environ = tmp_path_factory.mktemp("bad"), {"UPSTREAM_KEY": UPSTREAM_KEY}
        app, config, _ = assembled(folder, toml(upstream.url), environ=environ)
        with running_gateway(app, config.settings) as url:
            yield World(url, upstream)


def model_of(face, way):
    """A model that a provider of the caller's dialect serves, or one of another."""
    return f"{prefix(getattr(face, way))}text.bad"


WAYS = [
    (name, way) for name, face in FACES.items() for way in ("near", "far") if getattr(face, way)
]


def refusal_of(face, reply):
    """(status, our reason) as the dialect tells them; raises for another shape."""
    document = reply.document
    error = document["error"]
    assert isinstance(error["message"], str)
    if face.dialect == "messages":
        assert document["type"] == "error"
        kind = {400: "invalid_request_error", 413: "request_too_large"}
        assert error["type"] == kind[reply.status]
        return reply.status, error["reason"]
    if face.dialect == "responses":
        assert error["type"] == "invalid_request_error"
        assert "param" in error
        return reply.status, error["code"]
    assert error["code"] == reply.status
    if face.dialect == "gemini":
        assert error["status"] == "INVALID_ARGUMENT"
        [info] = [each for each in error["details"] if each["@type"].endswith(".ErrorInfo")]
        assert info["domain"] == "arno"
        return reply.status, info["reason"]
    return reply.status, error["metadata"]["reason"]


REASONS = {400: "invalid_request", 413: "body_too_large"}


def problem_of(face, asked, named, status=400):
    """What is wrong with the answer to a bad request, None if nothing is."""
    reply, reached, seconds = asked
    if reached:
        return f"{reached} requests reached an upstream ({reply.status})"
    if seconds > QUICK_S:
        return f"took {seconds:.1f} s"
    if reply.status != status:
        return f"status {reply.status}: {reply.body[:200]!r}"
    try:
        told = refusal_of(face, reply)
    except (AssertionError, KeyError, TypeError, ValueError) as fault:
        return f"shape: {fault!r} {reply.body[:200]!r}"
    if told != (status, REASONS[status]):
        return f"told {told}"
    message = reply.document["error"]["message"]
    return None if named in message else f"{named} is not named: {message!r}"


def served(asked, *, reached=1):
    """What is wrong with the answer to a good request, None if nothing is."""
    reply, count, _ = asked
    if (reply.status, count) == (200, reached):
        return None
    return f"status {reply.status}, {count} requests reached an upstream: {reply.body[:200]!r}"


def members_wrong(world, name, way, *, only=lambda row: True):
    """(how many rows were sent, the wrong ones) of one face."""
    face = FACES[name]
    good = face.good(model_of(face, way))
    count, wrong = 0, {}
    for row in filter(only, face.rows):
        asked = world.ask(face, way, row.body(good))
        refused = way == "far" or row.judged == NEAR
        reached = 0 if name == "count_tokens" and way == "far" else 1
        found = (
            problem_of(face, asked, row.named or row.path)
            if refused
            else served(asked, reached=reached)
        )
        count += 1
        if found is not None:
            wrong[row.name] = found
    return count, wrong


def bodies_wrong(world, name, way, *, only=lambda body: True):
    """(how many bodies were sent, the wrong ones) of one face."""
    face = FACES[name]
    good = face.good(model_of(face, way))
    count, wrong = 0, {}
    for body in filter(only, whole_bodies(face, good)):
        asked = world.ask(face, way, body.body)
        refused = way == "far" or body.judged == NEAR
        found = problem_of(face, asked, body.named, body.status) if refused else served(asked)
        count += 1
        if found is not None:
            wrong[body.name] = found
    return count, wrong


def verdict(name, way, count, wrong):
    """The check of a face; one number for it is printed."""
    print(f"{name} {way}: {count - len(wrong)} of {count} bad requests judged right")
    assert wrong == {}
    assert count


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_good_request_is_served(world, name, way):
    """The control: it holds every kind of member that the rows break."""
    face = FACES[name]
    counts = name == "count_tokens" and way == "far"
    asked = world.ask(face, way, json.dumps(face.good(model_of(face, way))))
    assert served(asked, reached=0 if counts else 1) is None


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_member_of_another_type_is_refused(world, name, way):
    verdict(name, way, *members_wrong(world, name, way))


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_body_that_is_wrong_as_a_whole_is_refused(world, name, way):
    verdict(name, way, *bodies_wrong(world, name, way))


@pytest.mark.parametrize("name", TOLD)
def test_r14_what_nobody_knows_goes_to_its_own_dialect_and_is_told_elsewhere(world, name):
    face = FACES[name]
    for told in TOLD[name]:
        for way in ("near", "far"):
            document = changed_to(face.good(model_of(face, way)), told)
            reply, reached, _ = world.ask(face, way, json.dumps(document))
            assert (reply.status, reached) == (200, 1), told.path
            assert ("x-arno-loss" in reply.headers) is (way == "far"), told.path
        # Nothing of it stands in the translated request, all of it in the other one.
        near, far = (json.loads(each.body) for each in world.upstream.requests[-2:])
        assert str(told.value) in str(near)
        assert "hologram" not in str(far).lower().replace("_call", "")


def changed_to(good, told):
    """The good request with what nobody knows."""
    return changed(good, told.path, told.value)


@pytest.mark.parametrize("way", ["near", "far"])
@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_fetched_from_where_a_request_points(world, name, way):
    """Rows 27 and 28: addresses pass to the upstream, or are refused."""
    face = FACES[name]
    path, source = PICTURES[name]
    with ThreadedUpstream(lambda request: Script.json(b"{}")) as canary:
        place = urlsplit(canary.url)
        for address in ADDRESSES:
            url = address.format(canary=place.netloc, port=place.port)
            document = changed(face.good(model_of(face, way)), path, source(url))
            reply, reached, _ = world.ask(face, way, json.dumps(document))
            assert (reply.status, reached) in ((200, 1), (400, 0)), url
        assert canary.connections == 0


MUTANTS = {
    "types are not looked at": (
        (chat_request, "check", lambda shape, document: None),
        members_wrong,
        ("chat", "far"),
    ),
    "limits are not looked at": (
        (bodies, "check_limit", lambda value, path: None),
        members_wrong,
        ("messages", "near"),
    ),
    "models are not looked at": (
        (bodies, "check_model", lambda model, path: model or "up-chat/text.bad"),
        members_wrong,
        ("embeddings", "near"),
    ),
    "operators are not looked for": (
        (bodies, "check_operators", lambda members: None),
        members_wrong,
        ("responses", "near"),
    ),
    "doubles are not looked for": (
        (bodies, "check_doubles", lambda body: None),
        bodies_wrong,
        ("chat", "near"),
    ),
    "nothing is counted": (
        (bodies, "check_counts", lambda members, most: None),
        bodies_wrong,
        ("gemini", "near"),
    ),
    "the text is not looked at": (
        (bodies, "_check_text", lambda body: None),
        bodies_wrong,
        ("messages", "near"),
    ),
    "the field is not named": (
        (inference, "invalid", lambda error: plain_failure()),
        members_wrong,
        ("responses", "near"),
    ),
}


def plain_failure():
    """A failure that says nothing of where."""
    return inference.Failure(kind=inference.FailureKind.INVALID_REQUEST, message="bad")


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_out(world, mutant, monkeypatch):
    (place, name, lax), find, face = MUTANTS[mutant]
    monkeypatch.setattr(place, name, lax)
    light = {"many": 1, "too long": 0}
    only = (lambda body: light.get(body.name.split(" ")[0], 1)) if find is bodies_wrong else bool
    _, wrong = find(world, *face, only=only)
    assert wrong


# Keys: rows 7, 8 and 33.

CLIENT_KEY = "sk-client-0123456789abcdef"
OTHER_KEY = "sk-client-another-456789abc"


@pytest.fixture(scope="module")
def locked():
    keys = KeyRing([("me", CLIENT_KEY), ("you", OTHER_KEY)])
    app = gateway_app(keys=keys)
    with running_gateway(app) as url:
        yield url, app.gateway.engine


AMBIGUOUS = {
    "two Authorization headers": (
        f"Authorization: Bearer {CLIENT_KEY}\r\nAuthorization: Bearer {OTHER_KEY}\r\n"
    ),
    "twice the same": f"Authorization: Bearer {CLIENT_KEY}\r\n" * 2,
    "two ways": f"Authorization: Bearer {CLIENT_KEY}\r\nx-api-key: {OTHER_KEY}\r\n",
    "two other ways": f"x-goog-api-key: {CLIENT_KEY}\r\nx-api-key: {OTHER_KEY}\r\n",
}

WRONG_KEYS = (
    "sk-' OR 1=1--",
    "x" * 600,
    "",
    CLIENT_KEY[:-1],
    hashlib.sha256(CLIENT_KEY.encode()).hexdigest(),
)

TYPES = {
    "chat": {400: 400, 401: 401},
    "responses": {400: "invalid_request_error", 401: "authentication_error"},
    "messages": {400: "invalid_request_error", 401: "authentication_error"},
    "gemini": {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED"},
}
"""What says the status in each dialect's own words."""


def key_told(face, document):
    """(the dialect's word for the status, our reason)."""
    error = document["error"]
    if face.dialect == "messages":
        return error["type"], error["reason"]
    if face.dialect == "responses":
        return error["type"], error["code"]
    if face.dialect == "gemini":
        return error["status"], error["details"][0]["reason"]
    return error["code"], error["metadata"]["reason"]


def asked_raw(url, face, fields):
    """(status, document) of a request with these header lines."""
    body = json.dumps(face.good("arno/harbour-1"))
    target = face.target("arno/harbour-1")
    with connect(url) as client:
        client.send(f"POST {target} HTTP/1.1\r\nHost: {client.host}\r\n{fields}".encode())
        client.send(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status, headers = client.read_head()
        length = int(headers.get("content-length", 0))
        data = client.waiting
        while len(data) < length:
            data += client.socket.recv(65536)
        return status, data


@pytest.mark.parametrize("name", FACES)
def test_keys_that_can_be_read_in_two_ways_are_refused(locked, name):
    url, engine = locked
    face, before = FACES[name], len(engine.calls)
    for case, fields in AMBIGUOUS.items():
        status, body = asked_raw(url, face, fields)
        told = key_told(face, json.loads(body))
        expected = (TYPES[face.dialect][400], "ambiguous_credentials")
        assert (status, told) == (400, expected), case
    assert len(engine.calls) == before


@pytest.mark.parametrize("name", FACES)
def test_wrong_keys_are_refused_in_one_constant_shape(locked, name):
    url, engine = locked
    face, before = FACES[name], len(engine.calls)
    answers = set()
    for key in WRONG_KEYS:
        for field in ("authorization: Bearer ", "x-api-key: ", "x-goog-api-key: "):
            status, body = asked_raw(url, face, f"{field}{key}\r\n")
            answers.add((status, body))
    answers.add(asked_raw(url, face, ""))
    [(status, body)] = answers
    told = key_told(face, json.loads(body))
    assert (status, told) == (401, (TYPES[face.dialect][401], "invalid_key"))
    assert len(engine.calls) == before


@pytest.mark.parametrize("name", [name for name in FACES if name != "count_tokens"])
def test_a_right_key_is_served(locked, name):
    """The control; in each of the ways that SDKs send a key."""
    url, engine = locked
    before = len(engine.calls)
    for field in ("authorization: Bearer ", "x-api-key: ", "x-goog-api-key: "):
        status, _ = asked_raw(url, FACES[name], f"{field}{CLIENT_KEY}\r\n")
        assert status == 200
    assert len(engine.calls) == before + 3
