"""Bodies that are bad as a whole, for every face of `bad_requests`."""

from dataclasses import dataclass
from typing import Any

from arno.wire import json
from tests.gateway.bad_requests import FAR, NEAR, changed

DEEP = 100_000
DIGITS = 5_000
MANY = 100_000
TOO_LONG = 33 * 1024 * 1024
"""Bytes; the bound is 32 MiB."""

MESSAGE = {"role": "user", "content": "x"}
ELEMENTS: dict[str, Any] = {
    "messages": MESSAGE,
    "input": MESSAGE,
    "contents": {"role": "user", "parts": [{"text": "x"}]},
}
"""A short element of a list; of `tools` the good request's own."""


def planted(good, path, text):
    """The request with raw bytes for the value at `path`."""
    return json.dumps(changed(good, path, "@planted@")).replace(b'"@planted@"', text)


@dataclass(frozen=True)
class Body:
    """A body that no member explains. named: what the complaint names, if it is a member."""

    name: str
    body: bytes
    judged: str = NEAR
    named: str = ""
    status: int = 400


def whole_bodies(face, good):
    """Bodies that are wrong as a whole, or in a text that only the bytes can show."""
    body = json.dumps(good)
    yield from (
        Body("empty", b""),
        Body("blank", b" \r\n"),
        *(
            Body(f"no object: {text!r}", text)
            for text in (b"[]", b'"x"', b"5", b"null", b"{", b"x")
        ),
        Body("cut", body[:-1]),
        Body("two", body + body),
        Body("BOM", b"\xef\xbb\xbf" + body),
        Body("UTF-16", body.decode().encode("utf-16")),
        Body("UTF-32", body.decode().encode("utf-32")),
        Body("not UTF-8", planted(good, face.text, b'"\xff"')),
        Body("half a character", planted(good, face.text, b'"\xe4\xb8"')),
        Body("deep", planted(good, face.text, b"[" * DEEP + b"]" * DEEP)),
        Body("deep objects", planted(good, face.text, b'{"a":' * DEEP + b"1" + b"}" * DEEP)),
        Body("a lone surrogate", planted(good, face.text, b'"\\ud800"')),
        Body("NaN", planted(good, face.text, b"NaN")),
        Body("too long", b" " * TOO_LONG, status=413),
    )
    if face.number is not None:
        yield Body("endless digits", planted(good, face.number, b"9" * DIGITS), FAR)
        yield Body("no number", planted(good, face.number, b"NaN"))
        yield Body("infinite", planted(good, face.number, b"1e999"), FAR)
    if face.limit is not None:
        for name, text in (("digits", b"9" * DIGITS), ("infinite", b"1e999"), ("half", b"1.5")):
            yield Body(f"limit: {name}", planted(good, face.limit, text))
    if "{model}" not in face.path:
        for key in (b'"model"', b'"mod\\u0065l"'):
            other = json.dumps(good["model"] + "2")
            yield Body(f"twice {key!r}", body[:-1] + b",%b:%b}" % (key, other), named="model")
    for name in face.many:
        element = json.dumps(ELEMENTS.get(name) or good[name][0])
        many = b"[" + b",".join([element] * MANY) + b"]"
        yield Body(f"many {name}", planted(good, name, many), named=name)
