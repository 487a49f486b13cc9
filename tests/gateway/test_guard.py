"""Who is let in: names, pages and hosts, over raw sockets where a library would tidy up."""

import pytest

from arno.gateway.errors import SettingsError
from arno.gateway.keys import KeyRing
from arno.gateway.settings import GatewaySettings, check_exposure, is_loopback
from arno.wire import json
from tests.gateway.harness import (
    ASK,
    CHAT,
    ScriptedEngine,
    gateway_app,
    get,
    hello,
    post,
    raw_exchange,
    request,
    running_gateway,
)

KEY = "sk-test-0123456789abcdef"
RING = [("team", KEY)]


@pytest.fixture(scope="module")
def keyless():
    engine = ScriptedEngine(hello)
    with running_gateway(gateway_app(engine)) as url:
        yield url, engine


@pytest.fixture(scope="module")
def keyed():
    engine = ScriptedEngine(hello)
    with running_gateway(gateway_app(engine, keys=KeyRing(RING))) as url:
        yield url, engine


def ask_raw(url, *fields, target=CHAT, method="POST"):
    """A chat request with exactly these header lines: (status, error reason or None)."""
    body = json.dumps(ASK)
    lines = [f"{method} {target} HTTP/1.1", *fields, "Connection: close"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}"]).encode("latin-1")
    answer = raw_exchange(url, head + b"\r\n\r\n" + body)
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    assert b"access-control" not in head.lower()
    if status == 200:
        return 200, None
    return status, json.loads(body)["error"]["metadata"]["reason"]


def port_of(url):
    return url.rsplit(":", 1)[1]


LOCAL_HOSTS = ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "127.1.2.3", "[::1]:{port}"]


@pytest.mark.parametrize("host", LOCAL_HOSTS)
def test_loopback_names_are_served(keyless, host):
    url, _ = keyless
    assert ask_raw(url, "Host: " + host.format(port=port_of(url))) == (200, None)


FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example",
    "evil.localhost",
    "localhost.",
    "127.0.0.1.",
    "128.0.0.1",
    "0.0.0.0:{port}",
    "192.168.0.1",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "2130706433",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_name_that_was_rebound_to_loopback_is_not_served(keyless, host):
    url, engine = keyless
    before = len(engine.calls)
    assert ask_raw(url, "Host: " + host.format(port=port_of(url))) == (421, "foreign_host")
    assert len(engine.calls) == before


BROKEN_HOSTS = [
    [],
    ["Host: 127.0.0.1", "Host: 127.0.0.1"],
    ["Host: 127.0.0.1", "Host: evil.example"],
    ["Host: 127.0.0.1/#@evil.example"],
    ["Host: user@127.0.0.1"],
    ["Host: 127.0.0.1:port"],
    ["Host: "],
    ["Host: 127.0.0.1, evil.example"],
]


@pytest.mark.parametrize("fields", BROKEN_HOSTS)
def test_a_missing_doubled_or_malformed_host_is_refused(keyless, keyed, fields):
    for url, engine in (keyless, keyed):
        before = len(engine.calls)
        assert ask_raw(url, *fields, f"Authorization: Bearer {KEY}") == (400, "invalid_host")
        assert len(engine.calls) == before


FOREIGN_PAGES = [
    ["Origin: https://evil.example"],
    ["Origin: null"],
    ["Origin: http://127.0.0.1:1"],
    ["Origin: https://127.0.0.1:{port}"],
    ["Origin: http://localhost:{port}"],
    ["Origin: http://127.0.0.1:{port}.evil.example"],
    ["Origin: "],
    ["Origin: http://127.0.0.1:{port}", "Origin: https://evil.example"],
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],
    ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
]


@pytest.mark.parametrize("fields", FOREIGN_PAGES)
def test_a_foreign_page_is_not_served(keyless, fields):
    url, engine = keyless
    before = len(engine.calls)
    lines = [field.format(port=port_of(url)) for field in fields]
    host = f"Host: 127.0.0.1:{port_of(url)}"
    assert ask_raw(url, host, *lines) == (403, "foreign_origin")
    assert len(engine.calls) == before


@pytest.mark.parametrize(
    "fields",
    [
        ["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"],
        ["Sec-Fetch-Site: none"],
    ],
)
def test_the_gateways_own_page_and_the_address_bar_are_served(keyless, fields):
    url, _ = keyless
    lines = [field.format(port=port_of(url)) for field in fields]
    assert ask_raw(url, f"Host: 127.0.0.1:{port_of(url)}", *lines) == (200, None)


@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/key", "/healthz", "/nothing"])
def test_the_guard_stands_before_every_route(keyless, path):
    url, _ = keyless
    assert get(url, path, {"Origin": "https://evil.example"}).status == 403
    assert get(url, path, {"Host": "evil.example"}).status == 421


def test_a_preflight_gets_no_cors_headers(keyless, keyed):
    for url, _ in (keyless, keyed):
        fields = {"Origin": url, "Access-Control-Request-Method": "POST"}
        reply = request(url, "OPTIONS", CHAT, None, fields)
        assert reply.status == 405
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_with_keys_host_and_origin_are_free(keyed):
    url, _ = keyed
    fields = [
        "Host: gateway.example",
        "Origin: https://app.example",
        f"Authorization: Bearer {KEY}",
    ]
    assert ask_raw(url, *fields) == (200, None)


def test_cors_is_there_when_it_is_switched_on():
    settings = GatewaySettings(cors=True)
    with running_gateway(gateway_app(settings=settings, keys=KeyRing(RING))) as url:
        reply = post(url, ASK, {"Authorization": f"Bearer {KEY}"})
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-expose-headers"] == (
            "X-Generation-Id,X-Provider-Name,X-Failed-Attempts,X-Arno-Loss"
        )
        refused = post(url, ASK, {"Origin": "https://app.example"})
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "*")
        fields = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        preflight = request(url, "OPTIONS", CHAT, None, fields)
        assert (preflight.status, preflight.body) == (204, b"")
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert "POST" in preflight.headers["access-control-allow-methods"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example", ""])
def test_off_loopback_it_does_not_start_without_keys(host):
    settings = GatewaySettings(host=host)
    with pytest.raises(SettingsError, match="without client keys"):
        check_exposure(settings, has_keys=False)
    check_exposure(settings, has_keys=True)
    with pytest.raises(SettingsError, match="without client keys"):
        gateway_app(settings=settings)


def test_cors_does_not_start_without_keys():
    with pytest.raises(SettingsError, match="cors needs client keys"):
        gateway_app(settings=GatewaySettings(cors=True))


def test_loopback_hosts():
    assert [h for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost") if not is_loopback(h)] == []


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(port):
    with pytest.raises(SettingsError, match="port"):
        GatewaySettings(port=port)
