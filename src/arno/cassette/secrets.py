"""What is a credential by its value: known prefixes and shapes, and the values a request carries.

Serves behaviour R34 and spec/cassettes.md section 4.4. A value is never put into an answer: the
scan says what kind it found.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import msgspec

from arno.cassette.rules import CREDENTIAL_HEADERS, DEFAULT, Redaction, is_parameter

MIN_CREDENTIAL: Final = 8
"""Characters of the shortest value that is taken for a credential of a request."""

# A token that a dot and another token follow. Anchored at the start of the token and possessive, so
# that the search stays linear whatever it is given.
_DOTTED: Final = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++\.(?=[A-Za-z0-9_-]{8})")
_WEB_TOKEN: Final = re.compile(rb"eyJ[A-Za-z0-9_-]{8}")
_BEARER: Final = re.compile(
    rb"\bBearer(?: |\+|%20)(?=[^\s\"]{0,64}\d)[A-Za-z0-9._~+/=-]{12}", re.IGNORECASE
)
_ESCAPED: Final = re.compile(rb"\\u00([2-7][0-9A-Fa-f])")


def _has_web_token(data: bytes) -> bool:
    return any(_WEB_TOKEN.search(found[0]) for found in _DOTTED.finditer(data))


_LONG_PREFIXES: Final = (
    *("gsk_", "csk-", "xai-", "hf_", "r8_", "fw_", "pplx-", "jina_"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "npm_"),
    *("sk_live_", "sk_test_", "rk_live_", "rk_test_"),
)
"""Prefixes that stand before at least 16 letters and digits without a break."""

_LOOSE_PREFIXES: Final = ("nvapi-", "glpat-", "tgp_v1_", "xoxb-", "xoxp-")
"""Prefixes so rare that dashes and underscores may stand between what follows."""


def _after(prefixes: Iterable[str], shape: str) -> re.Pattern[bytes]:
    either = "|".join(map(re.escape, prefixes))
    return re.compile(f"(?<![A-Za-z0-9_-])(?:{either}){shape}".encode())


class _Shape(msgspec.Struct, frozen=True):
    """One kind of credential. Without any of the `hints` in a text there is none of it."""

    kind: str
    hints: tuple[bytes, ...]
    search: Callable[[bytes], object]


def _prefixed(prefixes: tuple[str, ...], shape: str) -> _Shape:
    hints = tuple(prefix.encode() for prefix in prefixes)
    return _Shape(f"an API key ({', '.join(prefixes)})", hints, _after(prefixes, shape).search)


# Each prefix with enough of the shape behind it that prose ("Bearer authentication", "sk-learn",
# `hf_hub_download`) and plain base64 (which has no dot) do not match.
_SHAPES: Final = (
    _prefixed(("sk-",), "[A-Za-z0-9_-]{12}"),
    *(_prefixed((prefix,), "[A-Za-z0-9]{16}") for prefix in _LONG_PREFIXES),
    *(_prefixed((prefix,), "[A-Za-z0-9_-]{16}") for prefix in _LOOSE_PREFIXES),
    _Shape("an API key (AIza)", (b"AIza",), re.compile(rb"AIza[A-Za-z0-9_-]{12}").search),
    _Shape(
        "an AWS access key id",
        (b"AKIA", b"ASIA"),
        re.compile(rb"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{12}").search,
    ),
    _Shape("a JSON web token (eyJ)", (b"eyJ",), _has_web_token),
    _Shape("a bearer token", (b"earer", b"EARER"), _BEARER.search),
)


def find_secret(data: bytes, rules: Redaction = DEFAULT) -> str | None:
    """What kind of credential `data` seems to hold, None if none."""
    if rules.known and _holds_known(data, rules.known):
        return "a configured secret"
    for shape in _SHAPES:
        if any(hint in data for hint in shape.hints) and shape.search(data):
            return shape.kind
    return None


def carried(
    url: str, headers: Iterable[tuple[str, str]], rules: Redaction = DEFAULT
) -> tuple[str, ...]:
    """The credentials that a request itself carries, in its headers (names in lower case) and its
    query: an upstream may repeat them in its answer.
    """
    found = [
        text
        for name, value in headers
        if name in CREDENTIAL_HEADERS
        for text in (_cookies(value) if name == "cookie" else _with_and_without_scheme(value))
    ]
    pairs = parse_qsl(url.partition("?")[2].partition("#")[0])
    found += (value for name, value in pairs if is_parameter(name, rules))
    return tuple(dict.fromkeys(text for text in found if len(text) >= MIN_CREDENTIAL))


def _cookies(value: str) -> list[str]:
    return [value, *(pair.partition("=")[2].strip() for pair in value.split(";"))]


def _with_and_without_scheme(value: str) -> list[str]:
    return [value.strip(), value.strip().partition(" ")[2].strip()]


@lru_cache(maxsize=64)
def spellings(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """How known secrets stand in texts: as they are, in a URL, in JSON; longest first."""
    found: set[bytes] = set()
    for secret in filter(None, secrets):
        plain = secret.encode(errors="surrogateescape")
        found |= {plain, quote(plain, safe="").encode(), _in_json(secret)}
    return tuple(sorted(found, key=len, reverse=True))


def _in_json(secret: str) -> bytes:
    text = secret.encode(errors="replace").decode()
    return msgspec.json.encode(text)[1:-1]


def _holds_known(data: bytes, known: tuple[str, ...]) -> bool:
    texts = [data]
    if b"%" in data:
        texts.append(unquote_to_bytes(data))
    if b"\\u" in data:
        texts.append(_ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), data))
    return any(spelling in text for spelling in spellings(known) for text in texts)
