"""What is measured: the gateway in its ways, its floor, and other gateways, one shape for all.

A `Subject` is started afresh for each kind of measurement and stopped after it; nothing else runs
on its core meanwhile. What it says about itself is printed with its figures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec

from benchmarks import machine
from benchmarks.children import BenchmarkError, Server, serving
from benchmarks.gateway import KINDS
from benchmarks.lanes import LANES
from benchmarks.mock import Certificate
from benchmarks.nginx import Front, Nginx


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A subject that serves. prefix: of a model's name; fields: that each request carries."""

    server: Server
    prefix: str = ""
    fields: tuple[tuple[str, str], ...] = ()


class Ground(msgspec.Struct, frozen=True):
    """What subjects are started on. upstream: with TLS too where there is a certificate."""

    upstream: Server
    certificate: Certificate | None = None


Open = Callable[[Ground], AbstractContextManager[Running]]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    on: what is switched on; missing: why there is nothing to start; ours: whether a bad answer
    is a fault of the run; gated: whether the budgets are meant for it.
    """

    name: str
    on: str
    start: Open | None = None
    missing: str = ""
    version: str = ""
    ours: bool = False
    gated: bool = False


DIRECT = "direct"
FLOOR = "floor"
_ALL_ON = "client keys, routing, prices, ledger (journal and SQLite), request log"


@contextmanager
def _direct(ground: Ground) -> Iterator[Running]:
    yield Running(server=ground.upstream, prefix="up/")


@contextmanager
def _floor(ground: Ground) -> Iterator[Running]:
    command = ["-m", "benchmarks.floor", ground.upstream.url]
    with serving(command, machine.SERVER_CORE) as server:
        yield Running(server=server, prefix="up/")


def gateway(
    ground: Ground, kind: str, lane: str, *, tls: bool = False, options: Sequence[str] = ()
) -> AbstractContextManager[Running]:
    """The product with a new ledger. kind: `verbatim` or `restamped`; lane: how it is driven."""
    return _gateway(ground, kind, lane, tls, options)


@contextmanager
def _gateway(
    ground: Ground, kind: str, lane: str, tls: bool, options: Sequence[str]
) -> Iterator[Running]:
    url, more = ground.upstream.url, ["--lane", lane, *options]
    if tls:
        if ground.certificate is None:
            raise BenchmarkError("there is no certificate for the upstream")
        url, more = ground.upstream.secure, [*more, "--trust", str(ground.certificate.authority)]
    with tempfile.TemporaryDirectory() as data:
        command = ["-m", "benchmarks.gateway", url, data, *more]
        with serving(command, machine.SERVER_CORE) as server:
            yield Running(server=server, prefix=f"{kind}/")


def _ours(kind: str, lane: str, *, tls: bool, certified: bool) -> Subject:
    name = f"arno {lane}, {kind}" + (", TLS" if tls else "")
    if tls and not certified:
        return Subject(name=name, on=_ALL_ON, missing="openssl is not here", ours=True)
    return Subject(
        name=name,
        on=_ALL_ON + ("; TLS 1.3 to the upstream, verified" if tls else ""),
        start=lambda ground: gateway(ground, kind, lane, tls=tls),
        ours=True,
        gated=not tls,
    )


def nginx_subject(nginx: Nginx, *, tls: bool) -> Subject:
    """nginx as a gateway."""

    @contextmanager
    def start(ground: Ground) -> Iterator[Running]:
        certificate = ground.certificate if tls else None
        front = Front(
            ground.upstream.secure if tls else ground.upstream.url,
            authority=None if certificate is None else certificate.authority,
        )
        with nginx.serving(front, machine.SERVER_CORE) as server:
            yield Running(server=server, prefix="up/")

    return Subject(
        name="nginx" + (", TLS" if tls else ""),
        on="keep-alive both ways, proxy_buffering off, one worker; no keys, no ledger, no log"
        + ("; TLS 1.3 to the upstream, verified" if tls else ""),
        start=start,
        version=nginx.version,
    )


def own(lanes: Sequence[str] = tuple(LANES), *, certified: bool) -> list[Subject]:
    """The rows that need nothing but this repository. certified: whether there is TLS."""
    return [
        Subject(
            name=DIRECT,
            on="no gateway at all; CPU columns: what the upstream itself takes",
            start=_direct,
        ),
        Subject(
            name=FLOOR,
            on="our server and upstream pool with nothing between them",
            start=_floor,
            ours=True,
        ),
        *(
            _ours(kind, lane, tls=tls, certified=certified)
            for lane in lanes
            for tls in (False, True)
            for kind in KINDS
        ),
    ]
