"""The header by which a request shortens its deadlines: `X-Arno-Deadlines: first=2, total=30`.

Seconds, each of connect, first, idle and total at most once. What the operator allows is the most
that a request gets, whatever it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from arno.engine.deadlines import NO_DEADLINES
from arno.exchange.driver import Deadlines
from arno.gateway.errors import Refusal

HEADER = b"x-arno-deadlines"

_ITEM = re.compile(r"(connect|first|idle|total)=([0-9]{1,6}(?:\.[0-9]{1,3})?)")


def asked_deadlines(headers: Mapping[bytes, bytes], repeated: frozenset[bytes]) -> Deadlines | None:
    """What a request asks for, None if it does not. Raises Refusal (400) naming the header."""
    value = headers.get(HEADER)
    if value is None:
        return None
    said: dict[str, float] = {}
    for item in value.decode("latin-1").split(","):
        match = _ITEM.fullmatch(item.strip())
        if match is None or match[1] in said or HEADER in repeated or not float(match[2]):
            raise Refusal(
                400,
                "X-Arno-Deadlines: expected connect, first, idle or total = seconds above 0, each"
                " once, separated by commas, for example first=2, total=30",
                "invalid_deadlines",
            )
        said[match[1]] = float(match[2])
    return msgspec.structs.replace(NO_DEADLINES, **said)
