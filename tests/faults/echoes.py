"""An upstream that repeats the key it was sent, in every way that we could think of (R34).

The model that is asked for names the way. Each is a function of the connection and the key.
"""

import json
import re
import socket
from contextlib import suppress

from tests.faults.canaries import PLANTED
from tests.faults.processes import piece, whole
from tests.gateway.upstream import STREAM

_KEY = re.compile(r"authorization: bearer (\S+)", re.IGNORECASE)

STATUSES = (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 529)


def error(key):
    """An error document with the key in each of its members."""
    told = {"raw": f'{{"auth": "Bearer {key}"}}', key: [key, {"headers": {"Authorization": key}}]}
    words = f"Incorrect API key provided: {key}. You sent 'Authorization: Bearer {key}'."
    return {"error": {"message": words, "type": key, "code": key, "param": key, "metadata": told}}


def answering(status, body, *fields, kind="application/json"):
    """A way that is one whole answer; `body(key)` and fields with {key} in them."""

    def way(peer, key):
        headers = [f"Content-Type: {kind}", *(field.replace("{key}", key) for field in fields)]
        peer.answer(status, body(key), *headers)

    return way


def streaming(*events, end=True):
    """A way that is a stream; each event is a function of the key."""

    def way(peer, key):
        peer.send(STREAM)
        for event in events:
            peer.chunk(event(key))
        if end:
            peer.end()

    return way


def raw(text):
    """A way that is no HTTP."""
    return lambda peer, key: peer.send(text.replace("{key}", key).encode())


def _json(key):
    return json.dumps(error(key)).encode()


def _escaped(key):
    """The same as PHP writes it, and with each letter of the key's begin as an escape."""
    start = "".join(f"\\u{ord(sign):04x}" for sign in key[:12])
    text = json.dumps(error(key)).replace("/", "\\/")
    return text.replace(key[:12], start).encode()


def _html(key):
    return f"<html><title>401</title><p>Bad key <b>{key}</b></html>".encode()


def _at(place):
    """A message so long that the key stands where messages are cut."""
    return lambda key: json.dumps({"error": {"message": "x" * place + key + "y" * 99}}).encode()


def _event(key, name=b""):
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    return name + b"data: " + json.dumps({**error(key), "choices": [choice]}).encode() + b"\n\n"


def _escaped_event(key):
    return _event(key).replace(b"/", b"\\/")


def _bare_event(key):
    return b"data: " + _json(key) + b"\n\n"


HELLO = [lambda key: piece("Hel"), lambda key: piece("lo")]
IN_HEADERS = (
    "WWW-Authenticate: Bearer {key}",
    "X-Request-Id: {key}",
    "Retry-After: {key}",
    "Set-Cookie: k={key}",
    "Location: https://{key}@elsewhere.example/{key}",
    "Server: {key}",
)

WAYS = {
    **{f"status-{status}": answering(status, _json) for status in STATUSES},
    "escaped": answering(400, _escaped),
    "in-headers": answering(401, lambda key: b"{}", *IN_HEADERS),
    "content-type": answering(401, lambda key: b"no", kind="text/{key}"),
    "html-401": answering(401, _html, kind="text/html"),
    "html-502": answering(502, _html, kind="text/html"),
    "text": answering(400, str.encode, kind="text/plain"),
    "redirect": answering(302, _html, *IN_HEADERS, kind="text/html"),
    "inside-a-200": answering(200, _json),
    "no-json-200": answering(200, lambda key: b'{"choices": ' + key.encode()),
    "coding": answering(200, lambda key: b"x", "Content-Encoding: {key}"),
    **{f"cut-at-{place}": answering(400, _at(place)) for place in (2000, 2015, 2030, 2040)},
    "first-event": streaming(_event),
    "mid-stream": streaming(*HELLO, _event),
    "mid-stream-escaped": streaming(*HELLO, _escaped_event),
    "named-event": streaming(*HELLO, lambda key: _event(key, b"event: error\n")),
    "bare-event": streaming(*HELLO, _bare_event),
    "no-json-event": streaming(*HELLO, lambda key: b"data: {" + key.encode() + b"\n\n"),
    "no-end": streaming(*HELLO, lambda key: b": " + key.encode(), end=False),
    "status-line": raw("HTTP/1.1 {key} {key}\r\n\r\n"),
    "header-line": raw("HTTP/1.1 200 OK\r\n{key}\r\n\r\n"),
    "length": raw("HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n"),
    "chunk-size": raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n"),
    "no-answer": raw(""),
}

PLANTED_ERROR = json.dumps({"error": {"message": f"about {PLANTED}"}}).encode()


def script(peer):
    """What the model that is asked for says; `planted` repeats what is no key, `fine` nothing."""
    key = _KEY.search(peer.head.decode("latin-1"))
    key = key[1] if key else ""
    model = json.loads(peer.body)["model"]
    if model in WAYS:
        WAYS[model](peer, key)
        with suppress(OSError):
            peer.socket.shutdown(socket.SHUT_WR)
    elif model.startswith(PLANTED):
        peer.answer(400, PLANTED_ERROR, "Content-Type: application/json")
    else:
        peer.answer(200, whole(), "Content-Type: application/json")
