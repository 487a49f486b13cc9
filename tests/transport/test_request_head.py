"""URLs and request heads: what is sent, and that nothing can be smuggled into it."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.transport.base import HttpRequest
from arno.transport.request_head import encode_head
from arno.transport.url import Origin, Target, parse_url

URLS = {
    "http://a": Target(Origin(False, "a", 80), "a", "/"),
    "https://API.example.com/v1?x=1&y": Target(
        Origin(True, "api.example.com", 443), "api.example.com", "/v1?x=1&y"
    ),
    "http://a:8080/x": Target(Origin(False, "a", 8080), "a:8080", "/x"),
    "https://a:443/": Target(Origin(True, "a", 443), "a", "/"),
    "http://a:443/": Target(Origin(False, "a", 443), "a:443", "/"),
    "http://[::1]:9/x": Target(Origin(False, "::1", 9), "[::1]:9", "/x"),
    "http://127.0.0.1/?q": Target(Origin(False, "127.0.0.1", 80), "127.0.0.1", "/?q"),
    "http://a/x?b=c/d?e": Target(Origin(False, "a", 80), "a", "/x?b=c/d?e"),
    "http://a/%0d%0ax": Target(Origin(False, "a", 80), "a", "/%0d%0ax"),
}


@pytest.mark.parametrize("url", URLS)
def test_url(url):
    assert parse_url(url) == URLS[url]


def test_a_host_name_has_its_full_length():
    host = f"{'a' * 63}.{'b.' * 92}test."
    assert len(host) == 254 - 1
    assert parse_url(f"http://{host}/").origin.host == host


def test_label_puts_ipv6_in_brackets():
    assert Origin(True, "::1", 443).label == "[::1]:443"
    assert Origin(True, "a", 1).label == "a:1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a/b",
        "/v1/chat",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://user:sk-secret@a/",
        "http://@a/",
        "http://a\\@b/",
        "http://a b/",
        "http://a/x y",
        "http://a/\r\nx: y",
        "http://a/\tx",
        "http://a/\0",
        "http://a/ü",
        "http://ü/",
        "http://a:0/",
        "http://a:70000/",
        "http://a:x/",
        "http://a:sk-secret/",
        "http://a;b/",
        "http://a%2fb/",
        "http://a..b/",
        f"http://{'a' * 64}.test/",
        f"http://{'a.' * 127}test/",
        "http://-a/",
        "http://[::1/",
        "http://[v1.a]/",
        "http://[a]/",
        "http://[1.2.3.4]/",
        "http://[::1]evil.test/",
        "http://a:8080/x#frag",
        "http://a/#",
        "http://a#",
        "http://127.0.0.1?q",
        "http://a?",
        "https://evil.test#.vendor.test/openai",
        "https://evil.test?.vendor.test/openai",
        "https://evil.test?.vendor.test",
        "https://evil.test?/secret",
    ],
)
def test_url_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match="URL") as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_template_cannot_move_the_host():
    """A resource name that ends the host early makes no URL. A `/` cannot be told from one that is
    meant: whoever fills in a template checks the name.
    """
    for resource in ("evil.test#", "evil.test?", "x@evil.test", "evil.test\\", "evil.test%23"):
        with pytest.raises(ValueError, match="URL"):
            parse_url(f"https://{resource}.vendor.test/x")


TARGET = parse_url("http://a:81/p?q")


def head(method="POST", headers=(), body=b"") -> bytes:
    return encode_head(HttpRequest(method, "http://a:81/p?q", headers, body), TARGET)


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("GET", b"", b""),
        ("DELETE", b"", b""),
        ("POST", b"", b"content-length: 0\r\n"),
        ("PUT", b"ab", b"content-length: 2\r\n"),
        ("GET", b"ab", b"content-length: 2\r\n"),
    ],
)
def test_head_frames_the_body(method, body, length):
    expected = (
        method.encode() + b" /p?q HTTP/1.1\r\nhost: a:81\r\nx-y: z \xe9\r\n" + length + b"\r\n"
    )
    assert head(method, (("x-y", "z é"),), body) == expected


@pytest.mark.parametrize(
    "value", ["a\r\nb: c", "a\nb", "a\rb", "\r\n", "a\0b", "\x1b[0m", "\x7f", "北京"]
)
def test_unsafe_value_is_refused_and_not_repeated(value):
    with pytest.raises(ValueError, match="header x-key") as caught:
        head(headers=(("x-ok", "1"), ("x-key", f"sk-secret{value}")))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "a\0", "ü", "a\n"])
def test_header_name_must_be_a_token(name):
    with pytest.raises(ValueError, match="not a token"):
        head(headers=((name, "v"),))


@pytest.mark.parametrize("method", ["", "GET ", "GET /x HTTP/1.1\r\n", "G\0", "CONNECT", "GET\n"])
def test_method_must_be_a_token(method):
    with pytest.raises(ValueError, match="method"):
        head(method)


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "upgrade",
        "expect",
        "te",
        "Proxy-Authorization",
        "proxy-connection",
    ],
)
def test_framing_headers_are_ours(name):
    with pytest.raises(ValueError, match=f"header {name.lower()} is set by the transport"):
        head(headers=((name, "1"),))


@given(
    st.lists(
        st.tuples(
            st.text(string.ascii_letters + "-", min_size=1).map(lambda name: f"x-{name}"),
            st.text(max_size=30),
        ),
        max_size=5,
    )
)
def test_a_head_that_is_encoded_has_exactly_the_lines_asked_for(headers):
    try:
        encoded = head(headers=tuple(headers))
    except ValueError:
        return
    lines = encoded.decode("latin-1").split("\r\n")
    assert lines == [
        "POST /p?q HTTP/1.1",
        "host: a:81",
        *(f"{name}: {value}" for name, value in headers),
        "content-length: 0",
        "",
        "",
    ]
    assert "\r" not in "".join(lines)
    assert "\n" not in "".join(lines)
