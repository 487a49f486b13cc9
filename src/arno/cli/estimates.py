"""Prices and models from a package, read by a child process (see `arno.providers.estimates`)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from arno.engine.prices import price_table
from arno.gateway.config.resolve import Config
from arno.ledger.price import PriceTable
from arno.providers import Catalogue, CatalogueError
from arno.providers.estimates import Estimates, arguments, parse_estimates

SECONDS = 30.0
"""How long the child may take."""


def command(config: Config) -> list[str]:
    """The child's command line; empty if there is nothing to ask for."""
    if config.document.estimates.enabled is False:
        return []
    asked = arguments(upstream.endpoint for upstream in config.live)
    return [sys.executable, "-m", "arno.providers.estimates", *asked] if asked else []


def estimate_now(config: Config) -> Estimates:
    """The estimates for a configuration; `reason` tells why there are none."""
    line = command(config)
    if not line:
        return Estimates()
    try:
        done = subprocess.run(
            line, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS, check=True
        )
        return parse_estimates(done.stdout)
    except (OSError, subprocess.SubprocessError, CatalogueError) as error:
        return Estimates(reason=f"the estimates cannot be read: {type(error).__name__}")


class LateEstimates:
    """Fetches estimates while the gateway already serves."""

    def __init__(self, config: Config, use: Callable[[Catalogue, PriceTable], None]) -> None:
        """use: given the catalogue with the estimates in it and its prices, on the event loop."""
        self._config = config
        self._use = use
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, if there is anything to ask for; called on the event loop."""
        if command(self._config):
            self._task = asyncio.get_running_loop().create_task(self._fetch())

    async def aclose(self) -> None:
        """Give up if it is still under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _fetch(self) -> None:
        try:
            found = await asyncio.to_thread(parse_estimates, await self._ask())
            if found.reason is None:
                # Many rows: a tenth of a second that no stream should wait for.
                catalogue, prices = await asyncio.to_thread(self._extended, found)
                self._use(catalogue, prices)
        except (OSError, CatalogueError) as error:
            text = f"arno: warning: no estimates of prices: {str(error) or type(error).__name__}"
            print(text, file=sys.stderr, flush=True)

    def _extended(self, found: Estimates) -> tuple[Catalogue, PriceTable]:
        """The catalogue with the estimates in it, and its prices."""
        catalogue = self._config.catalogue.with_estimates(found.models, found.prices)
        return catalogue, price_table(catalogue)

    async def _ask(self) -> bytes:
        child = await asyncio.create_subprocess_exec(
            *command(self._config),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            output, _ = await asyncio.wait_for(child.communicate(), SECONDS)
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        return output
