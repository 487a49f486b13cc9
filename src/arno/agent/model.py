"""The seam between a run and what answers it: a gateway, a provider, or a test's own list.

A `Model` turns one canonical request into one stream of canonical events. `arno.agent.http` is the
one that speaks HTTP.
"""

from __future__ import annotations

from typing import Protocol

from arno.canon.events import Event
from arno.canon.request import Request


class ModelStream(Protocol):
    """One answer as it arrives.

    Events come in the order of `arno.canon.order`, the last one a ResponseEnd or a StreamError:
    an upstream's fault is an event, not an exception.
    """

    @property
    def generation_id(self) -> str | None:
        """What the upstream calls this answer outside of it (`x-generation-id`), if it says."""
        ...

    def __aiter__(self) -> ModelStream:
        """The stream itself."""
        ...

    async def __anext__(self) -> Event:
        """The next event."""
        ...

    async def aclose(self) -> None:
        """Give the answer up: closes the upstream. Safe at any time and more than once."""
        ...


class Model(Protocol):
    """Answers requests; safe for concurrent use on one event loop."""

    def stream(self, request: Request) -> ModelStream:
        """Begin to answer. Raises LocalError (here or at the first event) for a bad request."""
        ...

    async def aclose(self) -> None:
        """Let connections go."""
        ...
