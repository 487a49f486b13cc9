"""R35: nothing of a request decides where the gateway connects, or with which key.

A real `arno serve` before the operator's upstream; beside them a canary server which every trick
names and which must stay without a connection. That a request can reach it at all is the control.
"""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.cli.commands import arno
from tests.faults.canaries import CLIENT, UPSTREAM, hits
from tests.faults.processes import MESSAGES, ask, gateway, whole
from tests.gateway.harness import CHAT, connect, get, post, raw_exchange
from tests.gateway.upstream import Upstream

BEARER = {"Authorization": f"Bearer {CLIENT}"}


class Canary:
    """A server that nobody may connect to; `seen` are the first bytes of those who did."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.place = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.place}/v1"
        self.seen = []

    def serve(self):
        """Note connections until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(5)
                    self.seen.append(connection.recv(65536))

    def close(self):
        """Take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def elsewhere():
    """A canary, listening."""
    canary = Canary()
    thread = threading.Thread(target=canary.serve, daemon=True)
    thread.start()
    try:
        yield canary
    finally:
        canary.close()
        thread.join(10)


def answering(peer):
    """The operator's upstream: whatever it is asked, one whole answer."""
    peer.answer(200, whole(), "Content-Type: application/json")


def toml(url, more=""):
    """One provider, with a key."""
    text = f'[provider.lab]\nbase_url = "{url}"\nkey_env = "LAB_KEY"\n'
    return f"{text}[replay]\ncassettes = []\n{more}"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(gateway, the operator's upstream, the canary); clients have a key."""
    variables = {"LAB_KEY": UPSTREAM, "ARNO_KEYS": f"me:{CLIENT}"}
    with Upstream(answering) as upstream, elsewhere() as canary:
        text = toml(upstream.url)
        with gateway(tmp_path_factory.mktemp("r35"), text, **variables) as running:
            yield running, upstream, canary


@pytest.fixture
def unmoved(world):
    """The world; after the test the canary has seen nobody, the upstream the operator's key alone.

    The last request is a plain one, so the world still works: silence would prove nothing.
    """
    running, upstream, canary = world
    before = len(upstream.requests)
    yield world
    assert post(running.url, ask("lab/x"), BEARER).status == 200
    assert canary.seen == []
    fresh = upstream.requests[before:]
    assert fresh
    host = urlsplit(upstream.url).netloc
    for peer in fresh:
        assert peer.target == "/v1/chat/completions"
        assert peer.headers["host"] == host
        assert peer.headers["authorization"] == f"bearer {UPSTREAM.lower()}"
        assert hits(peer.head + peer.body) == {UPSTREAM}
        assert canary.place not in peer.head.decode("latin-1")


def test_the_canary_is_reached_by_whoever_is_sent_there(tmp_path):
    """The control: where the operator names it as the upstream, it is asked."""
    with elsewhere() as canary, gateway(tmp_path, toml(canary.url), LAB_KEY=UPSTREAM) as running:
        assert post(running.url, ask("lab/x")).status == 502
        assert hits(b"".join(canary.seen)) == {UPSTREAM}


MEMBERS = {
    "base_url": "URL",
    "api_base": "URL",
    "api_key": CLIENT,
    "extra_headers": {"Authorization": f"Bearer {CLIENT}", "Host": "PLACE"},
}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("stream", [False, True])
def test_members_that_are_the_operators_are_refused(unmoved, name, stream):
    running, upstream, canary = unmoved
    before = len(upstream.requests)
    text = json.dumps({name: MEMBERS[name]})
    told = json.loads(text.replace("URL", canary.url).replace("PLACE", canary.place))
    reply = post(running.url, ask("lab/x", stream=stream, **told), BEARER)
    assert reply.status == 400
    assert name in reply.document["error"]["message"]
    assert len(upstream.requests) == before


def test_the_same_member_spelled_otherwise_is_refused_and_null_says_nothing(unmoved):
    running, _, canary = unmoved
    body = json.dumps(ask("lab/x", base_url=canary.url)).replace("base_url", "base\\u005furl")
    assert post(running.url, body.encode(), BEARER).status == 400
    assert post(running.url, ask("lab/x", api_key=None), BEARER).status == 200


def elsewhere_in_members(canary):
    """Members that a gateway might follow, and this one must not."""
    url = canary.url
    content = [{"type": "image_url", "image_url": {"url": f"{url}/cat.png"}}]
    return [
        {"provider": {"base_url": url, "order": [url], "url": url}},
        {"provider": {"only": ["lab"], "order": ["lab", canary.place]}},
        {"models": ["lab/x", url]},
        {"metadata": {"base_url": url, "api_key": CLIENT[:9]}},
        {"extra_body": {"base_url": url}, "extra_query": {"x": url}},
        {"endpoint": url, "url": url, "host": canary.place, "proxy": url, "target": url},
        {"messages": [{"role": "user", "content": content}]},
        {"messages": [{"role": "user", "content": f"fetch {url}"}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"$ref": url}}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"$ref": url}}},
        {"user": url, "session_id": url, "route": url, "transforms": [url], "plugins": [url]},
    ]


@pytest.mark.parametrize("number", range(11))
def test_no_member_leads_elsewhere(unmoved, number):
    running, _, canary = unmoved
    members = elsewhere_in_members(canary)[number]
    # Refused or served by the operator's upstream; never anything else.
    reply = post(running.url, {**ask("lab/x"), **members}, BEARER)
    assert reply.status in (200, 400, 404)


HEADERS = {
    "X-Upstream": "URL",
    "X-Base-Url": "URL",
    "X-Forwarded-Host": "PLACE",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Original-URL": "/v1/models",
    "X-Rewrite-URL": "URL",
    "Forwarded": "host=PLACE;for=127.0.0.1",
    "X-Portkey-Custom-Host": "URL",
    "X-Portkey-Config": '{"custom_host": "URL"}',
    "Helicone-Target-Url": "URL",
    "OpenAI-Organization": "org-of-the-client",
    "OpenAI-Project": "proj-of-the-client",
    "Proxy-Authorization": "Basic Y2xpZW50OmNsaWVudA==",
    "Proxy": "URL",
    "Api-Key": "key-of-the-client",
    "X-Goog-Api-Key": CLIENT,
    "Cookie": "session=of-the-client",
    "Referer": "URL",
    "Via": "PLACE",
    "Connection": "authorization",
    "Upgrade": "h2c",
}


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_leads_elsewhere_or_goes_on(unmoved, name):
    running, upstream, canary = unmoved
    before = len(upstream.requests)
    value = HEADERS[name].replace("URL", canary.url).replace("PLACE", canary.place)
    assert post(running.url, ask("lab/x"), BEARER).status == 200
    assert post(running.url, ask("lab/x"), {**BEARER, name: value}).status == 200
    [plain, peer] = upstream.requests[before:]
    assert (peer.head, peer.body) == (plain.head, plain.body)


TARGETS = [
    "http://{place}/v1/chat/completions",
    "https://{place}/v1/chat/completions",
    "http://{place}@127.0.0.1/v1/chat/completions",
    "//{place}/v1/chat/completions",
    "/v1/chat/completions?base_url={url}",
    "/v1/chat/completions#{url}",
    "/v1/http://{place}/chat/completions",
    "/v1/../v1/chat/completions",
    "/v1/%2e%2e/v1/chat/completions",
    "/v1/chat/completions;{place}",
    "{place}",
    "*",
]


@pytest.mark.parametrize("host", ["{own}", "{place}", "localhost:4000/#@{place}", "a@{place}"])
@pytest.mark.parametrize("target", TARGETS)
def test_neither_target_nor_host_leads_elsewhere(unmoved, target, host):
    """What is asked for in another form is the same, or is refused."""
    running, _, canary = unmoved
    words = {"place": canary.place, "url": canary.url, "own": urlsplit(running.url).netloc}
    answer = asked_raw(running.url, target.format(**words), host.format(**words), BEARER)
    status = int(answer.split(b" ")[1])
    assert status in (200, 400, 404)
    assert status == 400 or "@" not in host


def asked_raw(url, target, host, fields):
    """What comes back for a request line and a Host as they are."""
    body = json.dumps(ask("lab/x")).encode()
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return raw_exchange(url, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)


@pytest.mark.parametrize("target", TARGETS[:4])
def test_no_form_of_a_target_goes_round_the_key(unmoved, target):
    """Bad input 10: without a key it is refused whatever it is called."""
    running, upstream, canary = unmoved
    before = len(upstream.requests)
    answer = asked_raw(running.url, target.format(place=canary.place), canary.place, {})
    assert int(answer.split(b" ")[1]) in (400, 401, 404)
    assert len(upstream.requests) == before


def test_connect_is_no_method_here(unmoved):
    """The gateway is no proxy."""
    running, _, canary = unmoved
    with connect(running.url) as client:
        line = f"CONNECT {canary.place} HTTP/1.1\r\nHost: {canary.place}\r\n\r\n"
        client.send(line.encode())
        status, _ = client.read_head()
    assert status in (400, 404, 405)


MODELS = [
    "lab/../../{place}/x",
    "lab/..",
    "lab/%2e%2e/%2f{place}",
    "lab/#@{place}/",
    "lab/@{place}/v1",
    "lab/?base_url={url}",
    "lab/{url}",
    "lab@{place}/x",
    "lab#{place}/x",
    "{url}",
    "{place}/x",
    "//{place}/x",
    "lab//{place}",
    "lab/x y",
    "lab/\\{place}",
    "lab/x\r\nHost: {place}\r\n\r\n",
    "lab/x\nX-Evil: 1",
    "lab/x\0",
    "lab/é",
    "replay/x",
]


@pytest.mark.parametrize("model", MODELS)
def test_no_model_id_changes_host_or_path(unmoved, model):
    running, upstream, canary = unmoved
    before = len(upstream.requests)
    name = model.format(place=canary.place, url=canary.url)
    reply = post(running.url, ask(name), BEARER)
    if name.startswith("lab/") and name.isprintable():
        assert reply.status == 200
        [peer] = upstream.requests[before:]
        assert json.loads(peer.body)["model"] == name.removeprefix("lab/")
    else:
        assert reply.status == 400
        assert upstream.requests[before:] == []


@pytest.mark.parametrize("name", ["anthropic-beta", "openai-beta"])
def test_what_goes_on_as_it_came_cannot_begin_a_header(unmoved, name):
    running, upstream, _ = unmoved
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {CLIENT}"
    body = json.dumps(ask("lab/x")).encode()
    for value in ("a\rX-Evil: 1", "a\0b", "a\x0bb"):
        head_now = f"{head}\r\n{name}: {value}\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = raw_exchange(running.url, head_now.encode() + body)
        assert int(answer.split(b" ")[1]) in (200, 400)
    assert not [peer for peer in upstream.requests if "x-evil" in peer.headers]


REDIRECTS = (301, 302, 303, 307, 308)


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_is_never_followed(tmp_path, status, stream):
    """Fault row 24: it is a failure of that upstream, and the next candidate is asked."""

    def moved(peer):
        body, place = b"<a href=elsewhere>moved</a>", f"{canary.url}/chat/completions"
        peer.answer(status, body, "Content-Type: text/html", f"Location: {place}")

    with elsewhere() as canary, Upstream(moved) as first, Upstream(answering) as second:
        text = toml(first.url, f'[provider.other]\nbase_url = "{second.url}"\n')
        text += '[model.both]\ncandidates = ["lab/x", "other/x"]\n'
        with gateway(tmp_path, text, LAB_KEY=UPSTREAM) as running:
            alone = post(running.url, ask("lab/x", stream=stream))
            both = post(running.url, ask("both", stream=stream))
        assert (alone.status, both.status) == (502, 200)
        assert canary.place.encode() not in alone.body
        assert both.headers["x-provider-name"] == "other"
        assert (len(first.requests), len(second.requests)) == (2, 1)
        assert canary.seen == []


NO_KEY = {
    "none": {},
    "an injection": {"Authorization": "Bearer ' OR '1'='1"},
    "an empty token": {"Authorization": "Bearer "},
    "no token": {"Authorization": "Bearer"},
    "an empty header": {"Authorization": ""},
    "an empty key": {"x-api-key": ""},
    "another scheme": {"Authorization": f"Basic {CLIENT}"},
    "the key alone": {"Authorization": CLIENT},
    "a longer key": {"Authorization": f"Bearer {CLIENT}0"},
    "a shorter key": {"Authorization": f"Bearer {CLIENT[:-1]}"},
    "another case": {"Authorization": f"Bearer {CLIENT.swapcase()}"},
    "the upstream's key": {"Authorization": f"Bearer {UPSTREAM}"},
    "two keys": {"Authorization": f"Bearer {CLIENT}, Bearer {CLIENT}"},
    "its name": {"Authorization": "Bearer me"},
    "local": {"Authorization": "Bearer local"},
    "a wildcard": {"Authorization": "Bearer *"},
    "a quote in SQL": {"x-api-key": "sk-' OR 1=1--"},
    "a long key": {"x-api-key": "k" * 20_000},
    "a forwarded address": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    "a forwarded user": {"X-Forwarded-User": "me", "X-Remote-User": "me"},
    "a cookie": {"Cookie": f"authorization=Bearer {CLIENT}"},
}


@pytest.mark.parametrize("case", NO_KEY)
def test_what_is_no_key_is_refused_in_one_shape(unmoved, case):
    running, upstream, _ = unmoved
    before = len(upstream.requests)
    replies = [
        post(running.url, ask("lab/x"), NO_KEY[case]),
        get(running.url, "/v1/key", NO_KEY[case]),
        get(running.url, "/v1/generation?id=x", NO_KEY[case]),
    ]
    assert {reply.status for reply in replies} == {401}
    assert len({reply.body for reply in replies}) == 1
    assert "www-authenticate" in replies[0].headers
    assert len(upstream.requests) == before


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
@pytest.mark.parametrize("keys", ["", ",", "short", " "])
def test_off_loopback_it_does_not_start_without_keys(tmp_path, host, keys):
    (tmp_path / "arno.toml").write_text(f'[server]\nhost = "{host}"\n')
    done = arno("serve", cwd=tmp_path, ARNO_DATA=str(tmp_path / "d"), ARNO_KEYS=keys)
    assert (done.returncode, done.stdout) == (2, "")
    assert "client keys" in done.stderr or "16 to 512" in done.stderr


def test_with_a_key_it_starts_off_loopback(tmp_path):
    """The control; a key is then needed on this machine as well."""
    variables = {"ARNO_KEYS": f"me:{CLIENT}"}
    with gateway(tmp_path, "", "--host", "0.0.0.0", **variables) as running:
        here = running.url.replace("0.0.0.0", "127.0.0.1")
        body = {"model": "no/such", "messages": MESSAGES}
        assert post(here, body).status == 401
        assert post(here, body, BEARER).status == 400


def test_a_name_that_moves_is_looked_up_anew(tmp_path):
    """A name of the operator's may resolve to another address; that is no redirect."""
    hook = """
import os, socket
def moving(kind):
    known = kind.getaddrinfo
    async def getaddrinfo(self, host, port, **more):
        if host != "lab.example":
            return await known(self, host, port, **more)
        with open(os.environ["MOVED"]) as file:
            place = ("127.0.0.1", int(file.read()))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]
    kind.getaddrinfo = getaddrinfo
import asyncio
moving(asyncio.BaseEventLoop)
try:
    import uvloop
except ImportError:
    pass
else:
    moving(uvloop.Loop)
"""
    place = tmp_path / "place"
    variables = {"LAB_KEY": UPSTREAM, "MOVED": str(place)}
    with (
        Upstream(answering) as first,
        Upstream(answering) as second,
        gateway(tmp_path, toml("http://lab.example/v1"), hook=hook, **variables) as running,
    ):
        for upstream in (first, second):
            place.write_text(str(urlsplit(upstream.url).port))
            assert post(running.url, ask("lab/x")).status == 200
    [one], [two] = first.requests, second.requests
    assert one.headers["host"] == two.headers["host"] == "lab.example"
