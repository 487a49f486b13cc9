"""R34: no secret leaves, by the search for canaries in all that a real `arno serve` gives away.

One conversation, held once: live upstreams that repeat the key in every way of `echoes`, upstreams
that cannot be reached, keys of clients in every wrong place; while the database is locked, so that
the journal holds all of it. Then everything is searched: answers, output, journal, database. Each
place is shown to be searched by PLANTED, which is put there and must be found.
"""

import shutil
from base64 import b64encode
from contextlib import contextmanager

import pytest

from tests.faults import echoes
from tests.faults.canaries import (
    CLIENT,
    CLIENT_FILED,
    CONTRACT,
    FILED,
    PLANTED,
    PROXY,
    SECRETS,
    UPSTREAM,
    hits,
)
from tests.faults.processes import DEBUG, ask, gateway, path_of
from tests.gateway.harness import CHAT, get, post, raw_exchange, request
from tests.gateway.upstream import Upstream
from tests.store.locks import lock_database, until
from tests.transport.certificates import Authority
from tests.transport.upstream import ThreadedUpstream

BEARER = {"Authorization": f"Bearer {CLIENT}"}
KEYS = {"plain": UPSTREAM, "filed": FILED, "contract": CONTRACT}


def configuration(folder, upstream, untrusted):
    """Three providers that answer, some that cannot be reached, client keys."""
    place = upstream.url.removesuffix("/v1")
    ways = "".join(f'[model."contract/{w}"]\ncandidates = ["contract/{w}"]\n' for w in echoes.WAYS)
    key, client = path_of(folder, "up.key", FILED), path_of(folder, "me.key", CLIENT_FILED)
    return f"""
[provider.plain]
base_url = "{place}/plain"
key_env = "PLAIN_KEY"
[provider.filed]
base_url = "{place}/filed"
key_file = "{key}"
[provider.contract]
base_url = "{place}/contract"
key_env = "CONTRACT_KEY"
contract = true
unlisted_models = false
[provider.down]
base_url = "http://127.0.0.1:9/v1"
key_env = "PLAIN_KEY"
[provider.tls]
base_url = "{untrusted}/v1"
key_env = "PLAIN_KEY"
[provider.far]
base_url = "http://far.invalid/v1"
key_env = "PLAIN_KEY"
[provider.farther]
base_url = "https://farther.invalid/v1"
key_env = "PLAIN_KEY"
[[key]]
name = "me"
key_file = "{client}"
{ways}
[replay]
cassettes = []
"""


@contextmanager
def untrusted(folder):
    """The URL of a server whose certificate nobody vouches for; of no server without openssl."""
    if shutil.which("openssl") is None:
        yield "https://127.0.0.1:9"
        return
    context = Authority(folder).server("IP:127.0.0.1")
    with ThreadedUpstream([], ssl_context=context) as upstream:
        yield upstream.url


def proxied(peer):
    """A proxy that wants other credentials than it got, and repeats those."""
    told = peer.head.decode("latin-1")
    page = f"<html>{told} {PROXY}</html>".encode()
    peer.answer(407, page, "Content-Type: text/html", f"Proxy-Authenticate: Basic {PROXY}")


class Conversation:
    """What was given away, by place; answers are (case, text)."""

    def __init__(self):
        self.answers = []
        self.sent = b""
        self.places = {}

    def told(self, case, reply):
        """Note an answer: status, headers and body."""
        self.answers.append((case, reply))

    def text(self):
        """All answers as one text."""
        return "".join(f"{case} {r.status} {r.headers} {r.body}" for case, r in self.answers)


def hold(url, found):
    """The requests with a key that counts."""
    for provider in KEYS:
        for way in echoes.WAYS:
            for stream in (False, True):
                case = (provider, way, stream)
                found.told(case, post(url, ask(f"{provider}/{way}", stream=stream), BEARER))
    for provider in ("down", "tls", "far", "farther"):
        for stream in (False, True):
            found.told(
                (provider, "", stream), post(url, ask(f"{provider}/x", stream=stream), BEARER)
            )
    filed = {"x-api-key": CLIENT_FILED}
    planted = post(url, ask(f"plain/{PLANTED}"), filed)
    found.told(("planted",), planted)
    for path in ("/v1/key", f"/v1/generation?id={planted.headers.get('x-generation-id')}"):
        found.told((path,), get(url, path, filed))


def misplace(url, found):
    """Keys of clients where they do not belong, and keys that are none of ours."""
    wrong = [
        {"Authorization": f"Bearer {CLIENT}x"},
        {"Authorization": f"Basic {CLIENT}"},
        {"Authorization": CLIENT},
        {"Authorization": f"Bearer {CLIENT}", "x-api-key": CLIENT_FILED},
        {"x-api-key": f"{CLIENT} "},
        {"Authorization": f"Bearer {UPSTREAM}"},
        {"Cookie": f"key={CLIENT}"},
    ]
    for number, fields in enumerate(wrong):
        found.told(("wrong", number), post(url, ask("plain/fine"), fields))
    found.told(("query",), post(url, ask("plain/fine"), {}, f"{CHAT}?api_key={CLIENT}"))
    found.told(("body",), post(url, ask("plain/fine", api_key=CLIENT), {}))
    paths = (f"/{CLIENT}/v1/chat/completions", f"/v1/models/{CLIENT}", f"/v1/{PLANTED}")
    for number, path in enumerate(paths):
        found.told(("path", number), post(url, ask("plain/fine"), BEARER, path))
    found.told(("method",), request(url, "DELETE", CHAT, None, BEARER))
    found.told(("no json",), post(url, b"{" + CLIENT.encode(), BEARER))
    found.told(("none",), get(url, f"/v1/generation?id={CLIENT}", BEARER))
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {CLIENT}\r\n"
    for rest in (f"X: \0{CLIENT}\r\n\r\n", f"{CLIENT} : x\r\n\r\n", "X: " + CLIENT * 4000):
        found.sent += raw_exchange(url, (head + rest + "\r\n\r\n").encode())


@pytest.fixture(scope="module")
def conversation(tmp_path_factory):
    """Everything is asked once; the tests look at what came of it."""
    folder, found = tmp_path_factory.mktemp("r34"), Conversation()
    with (
        Upstream(echoes.script) as upstream,
        Upstream(proxied) as proxy,
        untrusted(folder) as nobody,
    ):
        place = f"http://user:{PROXY}@{proxy.url[7:-3]}"
        variables = {
            "PLAIN_KEY": UPSTREAM,
            "CONTRACT_KEY": CONTRACT,
            "ARNO_KEYS": f"env:{CLIENT}",
            "HTTP_PROXY": place,
            "HTTPS_PROXY": place,
            **DEBUG,
        }
        with gateway(folder, configuration(folder, upstream, nobody), **variables) as running:
            locked = lock_database(running.data / "ledger.db")
            hold(running.url, found)
            misplace(running.url, found)
            found.places["journal"] = running.left("journal/*")
            locked.close()
            until(lambda: PLANTED in running.left("ledger.db*").decode("latin-1"))
            found.places["database"] = running.left("ledger.db*")
            running.stop()
            found.places["files at the end"] = running.left()
            found.places["output"] = running.said()
    found.upstream = "".join(peer.head.decode("latin-1") for peer in upstream.requests)
    found.proxy = "".join(peer.head.decode("latin-1") for peer in proxy.requests)
    found.places["answers"] = found.text()
    return found


@pytest.mark.parametrize("place", ["answers", "output", "journal", "database", "files at the end"])
def test_no_secret_is_anywhere(conversation, place):
    data = conversation.places[place]
    assert hits(data, [PLANTED]) == {PLANTED}, "the control: what is there is found"
    assert hits(data) == set()
    assert hits(conversation.sent) == set()


def test_the_secrets_were_there(conversation):
    """The control: every key was sent where it belongs, and only there."""
    assert hits(conversation.upstream) == set(KEYS.values())
    assert hits(conversation.proxy) == {PROXY, UPSTREAM}


def test_every_way_is_a_failure_that_says_so(conversation):
    for case, reply in conversation.answers:
        if len(case) == 3:
            text = reply.body.decode()
            assert reply.status >= 400 or '"error"' in text, case
            assert "[DONE]" not in text, case


def test_keys_in_wrong_places_are_refused_in_one_shape(conversation):
    replies = {case: reply for case, reply in conversation.answers}
    refused = [reply for case, reply in replies.items() if case[0] in ("wrong", "query", "body")]
    assert {reply.status for reply in refused} == {400, 401}
    assert len({reply.body for reply in refused if reply.status == 401}) == 1


@pytest.mark.parametrize("canary", SECRETS)
def test_the_search_finds_pieces_and_encodings(canary):
    """The control of the search itself."""
    assert hits(f"... {canary[7:17]} ...") == {canary}
    assert hits(b64encode(f"user:{canary}".encode())) == {canary}
    assert hits("nothing here") == set()
