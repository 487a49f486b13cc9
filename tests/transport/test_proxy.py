"""Which proxy stands before an origin: the environment's conventions, row by row."""

from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.canon.failure import LocalError
from arno.transport.proxy import NoProxy, Proxies, Proxy
from arno.transport.url import Origin, parse_url

HTTP = parse_url("http://up.test/").origin
HTTPS = parse_url("https://up.test/").origin
P = "http://p.test:3128"

ENVIRONMENTS = [
    # environment, proxy of an http and of an https upstream
    ({}, None, None),
    ({"http_proxy": P}, "p.test:3128", None),
    ({"HTTP_PROXY": P}, "p.test:3128", None),
    ({"https_proxy": P}, None, "p.test:3128"),
    ({"HTTPS_PROXY": P}, None, "p.test:3128"),
    ({"all_proxy": P}, "p.test:3128", "p.test:3128"),
    ({"ALL_PROXY": P}, "p.test:3128", "p.test:3128"),
    ({"ALL_PROXY": P, "https_proxy": "q.test:1"}, "p.test:3128", "q.test:1"),
    ({"HTTP_PROXY": P, "http_proxy": "q.test:1"}, "q.test:1", None),
    ({"HTTPS_PROXY": P, "https_proxy": ""}, None, None),
    ({"ALL_PROXY": P, "https_proxy": ""}, "p.test:3128", None),
    ({"HTTPS_PROXY": "  "}, None, None),
    # In a CGI program HTTP_PROXY is what the client sent as header `Proxy`.
    ({"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None, None),
    ({"http_proxy": P, "REQUEST_METHOD": "GET"}, "p.test:3128", None),
    ({"HTTPS_PROXY": P, "REQUEST_METHOD": "GET"}, None, "p.test:3128"),
    ({"ALL_PROXY": P, "NO_PROXY": "up.test"}, None, None),
    ({"ALL_PROXY": P, "NO_PROXY": "up.test", "no_proxy": ""}, "p.test:3128", "p.test:3128"),
]


def label(proxy: Proxy | None) -> str | None:
    return None if proxy is None else proxy.label


@pytest.mark.parametrize(("environ", "http", "https"), ENVIRONMENTS)
def test_environment(environ, http, https):
    proxies = Proxies.from_environment(environ)
    assert (label(proxies.find(HTTP)), label(proxies.find(HTTPS))) == (http, https)


PROXY_URLS = {
    "p.test": (Origin(False, "p.test", 80), None),
    "p.test:3128": (Origin(False, "p.test", 3128), None),
    "http://p.test:3128/": (Origin(False, "p.test", 3128), None),
    "HTTPS://P.test": (Origin(True, "p.test", 443), None),
    "http://[fd00::1]:3128": (Origin(False, "fd00::1", 3128), None),
    "http://u:p@p.test": (Origin(False, "p.test", 80), "Basic dTpw"),
    "u:p@p.test:1": (Origin(False, "p.test", 1), "Basic dTpw"),
    "http://u@p.test": (Origin(False, "p.test", 80), "Basic dTo="),
    "http://@p.test": (Origin(False, "p.test", 80), None),
    # Percent signs say bytes; a raw @ or : in the password is its own.
    "http://u%40x:p%3Aq@p.test": (Origin(False, "p.test", 80), "Basic dUB4OnA6cQ=="),
    "http://u:a@b:c@p.test": (Origin(False, "p.test", 80), "Basic dTphQGI6Yw=="),
}


@pytest.mark.parametrize("url", PROXY_URLS)
def test_proxy_url(url):
    proxy = Proxy.parse(url)
    assert (proxy.origin, proxy.authorization) == PROXY_URLS[url]


@pytest.mark.parametrize(
    "url",
    [
        "socks5://u:sk-secret@p.test:1080",
        "http://u:sk-secret@",
        "http://u:sk-secret@p.test:99999",
        "http://u:sk-secret@p.test/path",
        "http://u:sk-secret@p.test?q",
        "http://u:sk-secret@p test",
        "http://sk-secret",
        "http://u:sk-secret@p.test#x",
    ],
)
def test_a_bad_proxy_url_is_refused_by_the_name_of_its_variable(url):
    if url == "http://sk-secret":
        url += "..test"
    with pytest.raises(LocalError, match=r"^HTTPS_PROXY: ") as caught:
        Proxies.from_environment({"HTTPS_PROXY": url})
    assert "secret" not in str(caught.value)


def test_no_repr_shows_credentials():
    proxies = Proxies.from_environment({"ALL_PROXY": "http://user:sk-secret@p.test:3128"})
    assert "p.test:3128" in repr(proxies)
    for hidden in ("user", "secret", "Basic", proxies.https.authorization):
        assert hidden not in repr(proxies)
        assert hidden not in f"{proxies.https} {proxies.https!r}"


DIRECT = [
    # NO_PROXY, what goes direct, what does not
    ("up.test", ["up.test", "a.up.test", "UP.test", "up.test."], ["xup.test", "test", "up.test.x"]),
    (".up.test", ["up.test", "a.up.test"], ["xup.test"]),
    ("*.up.test", ["up.test", "a.b.up.test"], ["xup.test"]),
    ("UP.test.", ["up.test"], ["x.test"]),
    ("*", ["up.test", "10.0.0.1", "[fd00::1]"], []),
    ("up.test:8080", ["up.test:8080", "a.up.test:8080"], ["up.test", "up.test:80"]),
    ("a.test,b.test", ["a.test", "b.test"], ["c.test"]),
    (" a.test , b.test\tc.test ,", ["a.test", "b.test", "c.test"], ["d.test"]),
    ("10.1.2.3", ["10.1.2.3", "10.1.2.3:81", "[::ffff:10.1.2.3]"], ["10.1.2.4", "x.10.1.2.3.test"]),
    ("10.1.2.3:81", ["10.1.2.3:81"], ["10.1.2.3"]),
    ("10.0.0.0/8", ["10.9.9.9"], ["11.0.0.1", "up.test"]),
    ("10.1.2.3/8", ["10.9.9.9"], ["11.0.0.1"]),
    ("fd00::1", ["[fd00::1]", "[fd00:0:0::1]:99"], ["[fd00::2]"]),
    ("[fd00::1]", ["[fd00::1]"], ["[fd00::2]"]),
    ("[fd00::1]:99", ["[fd00::1]:99"], ["[fd00::1]"]),
    ("fd00::/8", ["[fdff::1]"], ["[fe80::1]", "10.0.0.1"]),
    ("", ["localhost", "x.localhost", "localhost:8000", "127.9.9.9", "[::1]"], ["up.test"]),
    ("", ["[::ffff:127.0.0.1]"], ["localhost.test", "10.0.0.1", "[::]"]),
]


@pytest.mark.parametrize(("entries", "direct", "proxied"), DIRECT)
def test_no_proxy(entries, direct, proxied):
    rules = NoProxy(entries)
    covered = {host: rules.covers(parse_url(f"http://{host}/").origin) for host in direct + proxied}
    assert covered == dict.fromkeys(direct, True) | dict.fromkeys(proxied, False)


@pytest.mark.parametrize(
    "entry", ["http://up.test", "10.0.0.0/99", "a b/c", "*up.test", "up.test:0", "192.168.*", "."]
)
def test_what_no_proxy_cannot_mean_is_refused(entry):
    with pytest.raises(LocalError, match=r"^NO_PROXY: .* is no host, address or network"):
        Proxies.from_environment({"NO_PROXY": entry})


@contextmanager
def suppress_refusal():
    """A list that gets the text of the ValueError the block may end with."""
    told = []
    try:
        yield told
    except ValueError as error:
        told.append(str(error))


@given(st.text(max_size=40))
def test_no_proxy_is_understood_or_refused(entries):
    with suppress_refusal() as told:
        NoProxy(entries).covers(HTTP)
    assert all("is no host, address or network" in text for text in told)


@given(st.text(max_size=40))
def test_a_proxy_url_is_understood_or_refused_without_repeating_it(url):
    with suppress_refusal() as told:
        Proxy.parse("http://u:" + url)
    assert all(len(url) < 8 or url not in text for text in told)
