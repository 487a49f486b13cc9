"""What may be written to a cassette: headers by allow-list, secrets replaced, a scan that refuses.

Serves behaviour R34 and spec/cassettes.md section 4.4. Two nets: `redact` removes what is known to
carry credentials, then `check` looks for what still looks like one and refuses the write. A value
is never put into an error.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from arno.cassette.errors import SecretFound
from arno.cassette.govcr import dump
from arno.cassette.model import (
    Cassette,
    Headers,
    Interaction,
    RecordedRequest,
    RecordedResponse,
    WireTiming,
)
from arno.cassette.timing import is_current, retimed

REPLACEMENT: Final = "[redacted]"
"""What stands in a body field whose value was a secret."""

_REPLACED: Final = f'"{REPLACEMENT}"'.encode()

REQUEST_HEADERS: Final = frozenset({"accept", "content-type", "user-agent"})
RESPONSE_HEADERS: Final = REQUEST_HEADERS | {"retry-after", "x-generation-id"}
SECRET_PARAMETERS: Final = frozenset(
    "key api_key api-key apikey access_token access-token auth auth_token authorization token"
    " client_secret password secret sig signature x-goog-api-key x-amz-credential"
    " x-amz-security-token x-amz-signature".split()
)
SECRET_FIELDS: Final = frozenset(
    "api_key api-key apiKey apikey access_token accessToken refresh_token refreshToken id_token"
    " auth_token authToken authorization Authorization client_secret clientSecret secret_key"
    " secretKey secret_access_key secretAccessKey session_token sessionToken private_key privateKey"
    " password x-api-key".split()
)

# A token that a dot and another token follow. Anchored at the start of the token and possessive, so
# that the search stays linear whatever it is given.
_DOTTED: Final = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++\.(?=[A-Za-z0-9_-]{8})")
_WEB_TOKEN: Final = re.compile(rb"eyJ[A-Za-z0-9_-]{8}")
_BEARER: Final = re.compile(
    rb"\bBearer(?: |\+|%20)(?=[^\s\"]{0,64}\d)[A-Za-z0-9._~+/=-]{12}", re.IGNORECASE
)


def _has_web_token(data: bytes) -> bool:
    return any(_WEB_TOKEN.search(found[0]) for found in _DOTTED.finditer(data))


# Key prefixes of spec section 4.4, each with enough of the shape behind it that prose ("Bearer
# authentication", "sk-learn") and plain base64 (which has no dot) do not match.
_SEARCHES: Final[tuple[tuple[str, Callable[[bytes], object]], ...]] = (
    ("an API key (sk-)", re.compile(rb"(?<![A-Za-z0-9_-])sk-[A-Za-z0-9_-]{12}").search),
    ("an API key (AIza) (AIza)", re.compile(rb"AIza[A-Za-z0-9_-]{12}").search),
    ("an AWS access key id", re.compile(rb"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{12}").search),
    ("a JSON web token (eyJ)", _has_web_token),
    ("a bearer token", _BEARER.search),
)
_HINT: Final = re.compile(rb"(?i)sk-|AIza|AKIA|ASIA|eyJ|bearer")


class Redaction(msgspec.Struct, frozen=True):
    """The rules of one recording. Header and parameter names are compared in lower case.

    `known` are secrets of this process (configured keys): finding one anywhere refuses the write.
    """

    request_headers: frozenset[str] = REQUEST_HEADERS
    response_headers: frozenset[str] = RESPONSE_HEADERS
    parameters: frozenset[str] = SECRET_PARAMETERS
    fields: frozenset[str] = SECRET_FIELDS
    known: tuple[str, ...] = ()


DEFAULT: Final = Redaction()
"""The rules unless somebody asks for others."""


def dump_redacted(cassette: Cassette, rules: Redaction = DEFAULT) -> bytes:
    """The file of a cassette after redaction: the only way a recording is to be written.

    Raises SecretFound, and gives no bytes, if something still looks like a credential.
    """
    clean = redact(cassette, rules)
    check(clean, rules)
    data = dump(clean)
    _refuse("the file", data, rules)
    return data


def redact(cassette: Cassette, rules: Redaction = DEFAULT) -> Cassette:
    """The cassette without headers off the list, key-bearing parameters and secret field values."""
    interactions = tuple(redact_interaction(item, rules) for item in cassette.interactions)
    return msgspec.structs.replace(cassette, interactions=interactions)


def redact_interaction(interaction: Interaction, rules: Redaction = DEFAULT) -> Interaction:
    """One interaction, redacted. Chunks keep their times and follow the body's new lengths; raw
    headers and raw encoded bodies of the timing are dropped.
    """
    return msgspec.structs.replace(
        interaction,
        request=_redact_request(interaction.request, rules),
        response=_redact_response(interaction.response, rules),
        wire=_redact_wire(interaction, rules),
    )


def redact_url(url: str, rules: Redaction = DEFAULT) -> str:
    """The URL without user info and without key-bearing parameters; the rest is left verbatim."""
    head, mark, tail = url.partition("?")
    query, hash_mark, fragment = tail.partition("#")
    pairs = [pair for pair in query.split("&") if _parameter(pair) not in rules.parameters]
    kept = "&".join(pairs)
    return f"{_without_user(head)}{mark if kept else ''}{kept}{hash_mark}{fragment}"


def redact_body(body: bytes, content_type: str = "", rules: Redaction = DEFAULT) -> bytes:
    """The body with the text values of secret fields replaced, in JSON wherever it stands (whole
    bodies, event streams) and in form bodies. Binary bodies (not UTF-8) are left alone.
    """
    if content_type.lower().startswith("application/x-www-form-urlencoded"):
        return b"&".join(_redact_form_pair(pair, rules) for pair in body.split(b"&"))
    parts: list[bytes] = []
    position = 0
    for start, end in _secret_values(body, rules):
        parts += body[position:start], _REPLACED
        position = end
    return b"".join((*parts, body[position:]))


def check(cassette: Cassette, rules: Redaction = DEFAULT) -> None:
    """Raise SecretFound, naming the place, if any value looks like a credential."""
    for where, data in _values(cassette):
        _refuse(where, data, rules)


def find_secret(data: bytes, rules: Redaction = DEFAULT) -> str | None:
    """What kind of credential `data` seems to hold, None if none."""
    for secret in rules.known:
        if secret and secret.encode() in data:
            return "a configured secret"
    if _HINT.search(data) is None:
        return None
    return next((kind for kind, search in _SEARCHES if search(data)), None)


def _refuse(where: str, data: bytes, rules: Redaction) -> None:
    kind = find_secret(data, rules)
    if kind is not None:
        raise SecretFound(where, kind)


def _redact_request(request: RecordedRequest, rules: Redaction) -> RecordedRequest:
    form = request.form.items()
    return msgspec.structs.replace(
        request,
        url=redact_url(request.url, rules),
        request_uri=redact_url(request.request_uri, rules),
        headers=_listed(request.headers, rules.request_headers),
        trailer=_listed(request.trailer, rules.request_headers),
        form={name: values for name, values in form if name.lower() not in rules.parameters},
        remote_addr="",
        body=redact_body(request.body, content_type(request.headers), rules),
    )


def _redact_response(response: RecordedResponse, rules: Redaction) -> RecordedResponse:
    return msgspec.structs.replace(
        response,
        headers=_listed(response.headers, rules.response_headers),
        trailer=_listed(response.trailer, rules.response_headers),
        body=redact_body(response.body, content_type(response.headers), rules),
    )


def _redact_wire(interaction: Interaction, rules: Redaction) -> WireTiming | None:
    wire, body = interaction.wire, interaction.response.body
    if wire is None:
        return None
    kept = {key: value for key, value in wire.extra.items() if key not in ("headers", "enc")}
    wire = msgspec.structs.replace(wire, extra=kept)
    if not is_current(wire, body):
        return wire
    spans = _secret_values(body, rules)
    return retimed(wire, [(start, end, len(_REPLACED)) for start, end in spans])


def content_type(headers: Headers) -> str:
    """The first content type among the headers, "" if there is none."""
    items = headers.items()
    found = (values[0] for name, values in items if values and name.lower() == "content-type")
    return next(found, "")


def _listed(headers: Headers, names: frozenset[str]) -> Headers:
    return {name: values for name, values in headers.items() if name.lower() in names}


def _parameter(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0]).lower()


def _without_user(head: str) -> str:
    scheme, mark, rest = head.partition("://")
    if not mark:
        return head
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority.rpartition('@')[2]}{slash}{path}"


def _redact_form_pair(pair: bytes, rules: Redaction) -> bytes:
    name, mark, _ = pair.partition(b"=")
    plain = unquote_plus(name.decode(errors="replace"))
    if plain in rules.fields or plain.lower() in rules.parameters:
        return name + mark + REPLACEMENT.encode()
    return pair


def _secret_values(body: bytes, rules: Redaction) -> list[tuple[int, int]]:
    """Where the values of secret fields stand, quotes included; nowhere in binary bodies."""
    if not rules.fields:
        return []
    spans = [found.span(1) for found in _field_pattern(rules.fields).finditer(body)]
    return spans if spans and _is_text(body) else []


@lru_cache(maxsize=16)
def _field_pattern(fields: frozenset[str]) -> re.Pattern[bytes]:
    names = "|".join(sorted(map(re.escape, fields)))
    return re.compile(rf'"(?:{names})"\s*:\s*("(?:[^"\\]|\\.)*+")'.encode(), re.DOTALL)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _values(cassette: Cassette) -> Iterator[tuple[str, bytes]]:
    """Every text and body in the cassette with the name of its place, keys included."""
    for place, item in enumerate(cassette.interactions):
        where = f"interaction {place}"
        yield from _walk(f"{where} request", msgspec.structs.asdict(item.request))
        yield from _walk(f"{where} response", msgspec.structs.asdict(item.response))
        if item.wire is not None:
            yield from _walk(f"{where} x_wire", msgspec.structs.asdict(item.wire))
        yield from _walk(where, item.extra)
    yield from _walk("the root", cassette.extra)


def _walk(where: str, value: object) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, bytes):
        yield where, value
    elif isinstance(value, str):
        yield where, value.encode(errors="surrogateescape")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{where} (a key)", str(key).encode(errors="surrogateescape")
            yield from _walk(f"{where}.{key}", item)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _walk(f"{where}[{place}]", item)
