"""What may be written to a cassette: headers by allow-list, secrets replaced, a scan that refuses.

Serves behaviour R34 and spec/cassettes.md section 4.4. Two nets: `redact` removes what is known to
carry credentials, then `check` looks for what still looks like one and refuses the write. A value
is never put into an error.
"""

import re
from collections.abc import Iterator
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
    Tree,
    WireTiming,
)
from arno.cassette.rules import DEFAULT, REPLACEMENT, Redaction, is_parameter
from arno.cassette.secret_fields import apply, find_edits, known_pattern
from arno.cassette.secrets import find_secret
from arno.cassette.timing import is_current, retimed

_SEPARATOR: Final = re.compile("([&;])")


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
    """The cassette without headers off the list, key-bearing parameters, secret field values and
    known secrets.
    """
    interactions = tuple(redact_interaction(item, rules) for item in cassette.interactions)
    extra = _tree_without_known(cassette.extra, rules)
    return msgspec.structs.replace(cassette, interactions=interactions, extra=extra)


def redact_interaction(interaction: Interaction, rules: Redaction = DEFAULT) -> Interaction:
    """One interaction, redacted. Chunks keep their times and follow the body's new lengths; raw
    headers and raw encoded bodies of the timing are dropped.
    """
    return msgspec.structs.replace(
        interaction,
        request=_redact_request(interaction.request, rules),
        response=_redact_response(interaction.response, rules),
        wire=_redact_wire(interaction, rules),
        extra=_tree_without_known(interaction.extra, rules),
    )


def redact_url(url: str, rules: Redaction = DEFAULT) -> str:
    """The URL without user info, without key-bearing parameters (in its fragment neither), known
    secrets replaced; the rest is left verbatim.
    """
    before, hash_mark, fragment = _without_user(url).partition("#")
    path, mark, query = before.partition("?")
    kept = _without_secret_pairs(query, rules)
    rest = _without_secret_pairs(fragment, rules)
    clean = f"{path}{mark if kept else ''}{kept}{hash_mark if rest else ''}{rest}"
    return _without_known(clean, rules)


def redact_body(body: bytes, content_type: str = "", rules: Redaction = DEFAULT) -> bytes:
    """The body with known secrets replaced, and the values of secret fields: in JSON wherever it
    stands (whole bodies, event streams, strings), in form bodies and in multipart ones. In binary
    bodies (not UTF-8) only known secrets are looked for.
    """
    return apply(body, find_edits(body, content_type, rules))


def check(cassette: Cassette, rules: Redaction = DEFAULT) -> None:
    """Raise SecretFound, naming the place, if any value looks like a credential."""
    for where, data in _values(cassette):
        _refuse(where, data, rules)


def _refuse(where: str, data: bytes, rules: Redaction) -> None:
    kind = find_secret(data, rules)
    if kind is not None:
        raise SecretFound(where, kind)


def _redact_request(request: RecordedRequest, rules: Redaction) -> RecordedRequest:
    form = {name: value for name, value in request.form.items() if not is_parameter(name, rules)}
    return msgspec.structs.replace(
        request,
        url=redact_url(request.url, rules),
        request_uri=redact_url(request.request_uri, rules),
        headers=_listed(request.headers, rules.request_headers, rules),
        trailer=_listed(request.trailer, rules.request_headers, rules),
        form=_headers_without_known(form, rules),
        remote_addr="",
        body=redact_body(request.body, content_type(request.headers), rules),
        extra=_tree_without_known(request.extra, rules),
    )


def _redact_response(response: RecordedResponse, rules: Redaction) -> RecordedResponse:
    return msgspec.structs.replace(
        response,
        status=_without_known(response.status, rules),
        headers=_listed(response.headers, rules.response_headers, rules),
        trailer=_listed(response.trailer, rules.response_headers, rules),
        body=redact_body(response.body, content_type(response.headers), rules),
        extra=_tree_without_known(response.extra, rules),
    )


def _redact_wire(interaction: Interaction, rules: Redaction) -> WireTiming | None:
    wire, response = interaction.wire, interaction.response
    if wire is None:
        return None
    kept = {key: value for key, value in wire.extra.items() if key not in ("headers", "enc")}
    sent = None if wire.sent is None else _without_known(wire.sent, rules)
    wire = msgspec.structs.replace(wire, sent=sent, extra=_tree_without_known(kept, rules))
    if not is_current(wire, response.body):
        return wire
    edits = find_edits(response.body, content_type(response.headers), rules)
    return retimed(wire, [(edit.start, edit.end, len(edit.text)) for edit in edits])


def content_type(headers: Headers) -> str:
    """The first content type among the headers, "" if there is none."""
    items = headers.items()
    found = (values[0] for name, values in items if values and name.lower() == "content-type")
    return next(found, "")


def _listed(headers: Headers, names: frozenset[str], rules: Redaction) -> Headers:
    kept = {name: values for name, values in headers.items() if name.lower() in names}
    return _headers_without_known(kept, rules)


def _without_secret_pairs(text: str, rules: Redaction) -> str:
    """Pairs between `&` or `;`, less those that hold secrets, each with the separator before it."""
    pieces = _SEPARATOR.split(text)
    marks = ("", *pieces[1::2])
    pairs = zip(marks, pieces[::2], strict=True)
    kept = [(mark, pair) for mark, pair in pairs if not is_parameter(_parameter(pair), rules)]
    if not kept:
        return ""
    return "".join((kept[0][1], *(mark + pair for mark, pair in kept[1:])))


def _parameter(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _without_user(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    authority, slash, path = rest.partition("/")
    end = min((authority.find(one) for one in "?#" if one in authority), default=len(authority))
    # Before `?` there is either a port, or a password that somebody did not escape.
    port = authority[:end].rpartition("]")[2].partition(":")[2]
    if port and not port.isdecimal():
        end = len(authority)
    host = authority[:end].rpartition("@")[2]
    return f"{scheme}{mark}{host}{authority[end:]}{slash}{path}"


def _without_known(text: str, rules: Redaction) -> str:
    if not rules.known:
        return text
    data = _bytes_without_known(text.encode(errors="surrogateescape"), rules)
    return data.decode(errors="surrogateescape")


def _bytes_without_known(data: bytes, rules: Redaction) -> bytes:
    pattern = known_pattern(rules.known)
    return data if pattern is None else pattern.sub(REPLACEMENT.encode(), data)


def _headers_without_known(headers: Headers, rules: Redaction) -> Headers:
    if not rules.known:
        return headers
    return {
        _without_known(name, rules): [_without_known(value, rules) for value in values]
        for name, values in headers.items()
    }


def _tree_without_known(tree: dict[str, Tree], rules: Redaction) -> dict[str, Tree]:
    if not rules.known:
        return tree
    return {
        _without_known(key, rules): _branch_without_known(value, rules)
        for key, value in tree.items()
    }


def _branch_without_known(value: Tree, rules: Redaction) -> Tree:
    if isinstance(value, dict):
        return _tree_without_known(value, rules)
    if isinstance(value, list):
        return [_branch_without_known(item, rules) for item in value]
    if isinstance(value, bytes):
        return _bytes_without_known(value, rules)
    if isinstance(value, str) and (clean := _without_known(value, rules)) != value:
        # Any other text stays what it is: a `Plain` one is written without quotes.
        return clean
    return value


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
