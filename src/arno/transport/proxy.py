"""Which proxy stands between us and an origin, as curl and Python read it from the environment.

    http_proxy, HTTP_PROXY     for http:// upstreams; not HTTP_PROXY where REQUEST_METHOD is set: in
                               a CGI program a client's header `Proxy` would end up there
    https_proxy, HTTPS_PROXY   for https:// upstreams
    all_proxy, ALL_PROXY       for those of the two that are not set
    no_proxy, NO_PROXY         what goes direct, see `NoProxy`

Lower case goes first, and set to nothing it switches off the upper-case one. A value is a URL
`[http[s]://][user:password@]host[:port]`; without a port it is the scheme's own (80, 443). What is
on this machine (localhost, 127.0.0.0/8, ::1) always goes direct. No message and no repr shows a
user name or password.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import unquote_to_bytes

import msgspec

from arno.canon.failure import LocalError
from arno.transport.url import Origin, is_host_name, parse_url

_Network = IPv4Network | IPv6Network
_Port = int | None


class Proxy(msgspec.Struct, frozen=True):
    """One proxy. `authorization`: the value of Proxy-Authorization, None without credentials."""

    origin: Origin
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.origin.label!r})"

    @property
    def label(self) -> str:
        """`host:port` for messages."""
        return self.origin.label

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """The proxy a URL names. Raises `ValueError`, whose text never repeats the URL."""
        scheme, mark, rest = url.partition("://")
        if not mark:
            scheme, rest = "http", url
        if scheme.lower() not in ("http", "https"):
            raise ValueError("proxy URL scheme must be http or https")
        user_info, _, place = rest.rpartition("@")
        target = parse_url(f"{scheme.lower()}://{place}")
        if target.path != "/":
            raise ValueError("proxy URL must not have a path or query")
        return cls(target.origin, _basic(user_info) if user_info else None)


class NoProxy:
    """What goes direct: entries divided by commas or white space.

    `*` everything; `example.com`, `.example.com` and `*.example.com` that host and what is below
    it; `10.1.2.3`, `::1`, `[::1]` an address; `10.0.0.0/8`, `fd00::/8` the addresses of a network.
    All but `*` and networks may end in `:port` (an IPv6 address in brackets then). A host name is
    not looked up for the sake of addresses.
    """

    def __init__(self, entries: str = "") -> None:
        """Raises `ValueError` that names the entry which is none of these."""
        self._everything = False
        self._names: list[tuple[str, _Port]] = []
        self._networks: list[tuple[_Network, _Port]] = []
        for entry in entries.replace(",", " ").split():
            self._add(entry.lower())

    def covers(self, origin: Origin) -> bool:
        """Whether `origin` goes direct."""
        host = origin.host.removesuffix(".")
        address = _address(host)
        if self._everything or _is_loopback(host, address):
            return True
        if address is not None:
            return any(
                _same(port, origin) and address in network for network, port in self._networks
            )
        return any(
            _same(port, origin) and (host == name or host.endswith(f".{name}"))
            for name, port in self._names
        )

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._everything = True
            return
        network = _network(entry)
        if network is not None:
            self._networks.append((network, None))
            return
        host, port = _split_port(entry)
        network = _network(host)
        if network is not None:
            self._networks.append((network, port))
            return
        name = host.removeprefix("*.").removeprefix(".").removesuffix(".")
        if not is_host_name(name):
            raise ValueError(f"{entry!r} is no host, address or network")
        self._names.append((name, port))


class Proxies(msgspec.Struct, frozen=True):
    """The proxies of a process: for http upstreams, for https upstreams, and what goes direct."""

    http: Proxy | None = None
    https: Proxy | None = None
    direct: NoProxy = msgspec.field(default_factory=NoProxy)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Proxies:
        """As the module's table says. Raises `LocalError` that names the variable at fault."""
        return cls(
            http=_proxy(environ, "http_proxy", "all_proxy"),
            https=_proxy(environ, "https_proxy", "all_proxy"),
            direct=_no_proxy(environ),
        )

    def find(self, origin: Origin) -> Proxy | None:
        """The proxy on the way to `origin`, None if it goes direct."""
        proxy = self.https if origin.secure else self.http
        return None if proxy is None or self.direct.covers(origin) else proxy


def _proxy(environ: Mapping[str, str], *names: str) -> Proxy | None:
    for name in names:
        variable, value = _variable(environ, name)
        if value:
            try:
                return Proxy.parse(value)
            except ValueError as error:
                raise LocalError(f"{variable}: {error}") from None
        if variable in environ:
            return None
    return None


def _no_proxy(environ: Mapping[str, str]) -> NoProxy:
    variable, value = _variable(environ, "no_proxy")
    try:
        return NoProxy(value)
    except ValueError as error:
        raise LocalError(f"{variable}: {error}") from None


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The spelling of `name` that counts, and its value."""
    upper = name.upper()
    hidden = upper == "HTTP_PROXY" and "REQUEST_METHOD" in environ
    variable = name if name in environ or hidden else upper
    return variable, environ.get(variable, "").strip()


def _basic(user_info: str) -> str:
    user, _, password = user_info.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Basic {b64encode(pair).decode()}"


def _network(text: str) -> _Network | None:
    """The network or single address `text` names, brackets or not."""
    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        return ip_network(bare, strict=False)
    except ValueError:
        return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_loopback(host: str, address: IPv4Address | IPv6Address | None) -> bool:
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _split_port(entry: str) -> tuple[str, _Port]:
    host, colon, port = entry.rpartition(":")
    if colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536:
        return host, int(port)
    return entry, None


def _same(port: _Port, origin: Origin) -> bool:
    return port is None or port == origin.port
