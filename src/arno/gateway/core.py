"""What the handlers share: one gateway's parts, put together once.

Engine, catalogue and sink are handed in (only the command line and `arno.gateway` know the store);
this module names what the gateway needs of them.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from arno.canon.failure import Failure
from arno.engine.call import Call, Downstream, Outcome
from arno.gateway.clock import Clock
from arno.gateway.inflight import Inflight
from arno.gateway.keys import KeyRing
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings
from arno.ledger.ports import Answers, Sink
from arno.ledger.price import PriceTable
from arno.providers import Catalogue


class Engine(Protocol):
    """What serves one generation.

    `serve` writes the whole answer and settles before it returns. If its task is cancelled it
    settles too and may finish the answer; what it leaves open the gateway ends.
    """

    async def serve(self, call: Call, down: Downstream) -> Outcome:
        """Serve `call`, write the answer to `down`, tell how it ended."""
        ...

    async def count(self, call: Call) -> int | Failure | None:
        """Tokens that `call` would send; None if nobody can tell."""
        ...


class Gateway(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The parts of one gateway. prices: the catalogue's, as rates; answers: where they are kept for
    requests that name earlier ones, None: nowhere.
    """

    settings: GatewaySettings
    engine: Engine
    catalogue: Catalogue
    prices: PriceTable
    sink: Sink
    keys: KeyRing
    clock: Clock
    inflight: Inflight
    log: RequestLog
    answers: Answers | None = None
