"""The guard: what a web page or a wrong name must not reach, decided before any route.

Serves the rule that a web page must not spend the user's money, the threat model's auth routing and
bad input 9. Without client keys anybody who reaches the port may spend: so the port is on loopback,
`Host` must name loopback (DNS rebinding makes a stranger's name point here), and a browser's
request must come from a page that the gateway itself served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from arno.gateway.errors import Refusal

_PORT = rb"(?::[0-9]{1,5})?"
_HOST = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])" + _PORT)
_LOOPBACK = re.compile(
    rb"(?:localhost|127\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}|\[::1\])" + _PORT, re.IGNORECASE
)
_OWN_PAGE = (b"same-origin", b"none")
"""Values of Sec-Fetch-Site that no foreign page can produce; "none" is the address bar."""


def check_host(headers: Mapping[bytes, bytes], repeated: frozenset[bytes]) -> None:
    """Raise Refusal unless there is exactly one well-formed Host."""
    host = headers.get(b"host")
    if host is None or b"host" in repeated or not _HOST.fullmatch(host):
        raise Refusal(400, "The request needs exactly one valid Host header", "invalid_host")


def check_local(scheme: str, headers: Mapping[bytes, bytes], repeated: frozenset[bytes]) -> None:
    """Raise Refusal for what may only come to a gateway with client keys. Host is checked."""
    host = headers[b"host"]
    if not _LOOPBACK.fullmatch(host):
        raise Refusal(421, "Without client keys only loopback names are served", "foreign_host")
    origin = headers.get(b"origin")
    own = scheme.encode() + b"://" + host
    if origin is not None and (b"origin" in repeated or origin.lower() != own.lower()):
        raise Refusal(403, "Without client keys web pages are not served", "foreign_origin")
    site = headers.get(b"sec-fetch-site")
    if site is not None and (b"sec-fetch-site" in repeated or site not in _OWN_PAGE):
        raise Refusal(403, "Without client keys web pages are not served", "foreign_origin")
