"""Where reasoning artefacts come from: signatures and sealed reasoning go back only there (R18).

An artefact is opaque and the client sends it back without saying who made it, so its origin is
found by its hash. What nobody knows (it was made before the memory, or elsewhere) is left to the
dialects, which carry an artefact only where its format is their own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec

from arno.canon.ext import Loss
from arno.canon.parts import Part, ReasoningPart
from arno.canon.request import Message, Request
from arno.ledger.ports import SinkError

MOST_KNOWN = 100_000
"""Artefacts whose origin is kept in memory: 32 bytes of hash each and a shared name."""

RECALL_S = 0.25
"""How long the store may take to tell origins."""

WHY = "a reasoning artefact goes back only to the endpoint that made it"


class Origins(Protocol):
    """Remembers which endpoint made an artefact."""

    def __bool__(self) -> bool:
        """False if it knows none."""
        ...

    def learn(self, artefacts: Iterable[str], endpoint: str) -> None:
        """Keep that `endpoint` (its slug) made these."""
        ...

    def of(self, artefact: str) -> str | None:
        """The slug of the endpoint that made it, None if that is not known."""
        ...

    async def recall(self, artefacts: Iterable[str]) -> None:
        """Get what is known elsewhere of these, so that `of` can tell."""
        ...


class Kept(Protocol):
    """Where origins are kept beyond one process; digests are hex text.

    `write` does not wait; `read` does, and is not called on the event loop.
    """

    def write(self, digests: Iterable[str], endpoint: str) -> None:
        """Remember that `endpoint` made these."""
        ...

    def read(self, digests: Iterable[str]) -> Mapping[str, str]:
        """Those that are known, with their endpoints. Raises SinkError."""
        ...


class MemoryOrigins:
    """The origins of the latest artefacts, in this process."""

    def __init__(self, kept: Kept | None = None, most: int = MOST_KNOWN) -> None:
        """kept: what is known beyond this process."""
        self._kept = kept
        self._most = most
        self._known: OrderedDict[str, str] = OrderedDict()

    def __bool__(self) -> bool:
        return self._kept is not None or bool(self._known)

    def learn(self, artefacts: Iterable[str], endpoint: str) -> None:
        """Keep that `endpoint` made these; the oldest ones are forgotten first."""
        new = [name for name in map(digest, artefacts) if self._known.get(name) != endpoint]
        self._put(dict.fromkeys(new, endpoint))
        if self._kept is not None and new:
            self._kept.write(new, endpoint)

    def _put(self, origins: Mapping[str, str]) -> None:
        self._known.update(origins)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def of(self, artefact: str) -> str | None:
        """The slug of the endpoint that made it."""
        return self._known.get(digest(artefact))

    async def recall(self, artefacts: Iterable[str]) -> None:
        """Ask what is kept, for a bounded time; without an answer they are unknown."""
        unknown = [name for name in map(digest, artefacts) if name not in self._known]
        if self._kept is None or not unknown:
            return
        with suppress(SinkError, TimeoutError):
            async with asyncio.timeout(RECALL_S):
                self._put(await asyncio.to_thread(self._kept.read, unknown))


def digest(artefact: str) -> str:
    """What is kept of an artefact: its SHA-256 in hex."""
    return hashlib.sha256(artefact.encode(errors="surrogatepass")).hexdigest()


def artefacts_of(part: Part) -> list[str]:
    """The artefacts that a part carries."""
    sealed = part.sealed if isinstance(part, ReasoningPart) else None
    return [text for text in (part.signature, sealed) if text]


def without_foreign(
    request: Request, origins: Origins, endpoint: str
) -> tuple[Request, tuple[Loss, ...]]:
    """`request` without the artefacts that another endpoint is known to have made."""
    losses: list[Loss] = []
    messages: list[Message] = []
    for number, message in enumerate(request.messages):
        parts: list[Part] = []
        for place, part in enumerate(message.parts):
            if any(origins.of(text) not in (None, endpoint) for text in artefacts_of(part)):
                losses.append(Loss(f"/messages/{number}/parts/{place}", "dropped", WHY))
                parts.extend(_without_artefacts(part))
            else:
                parts.append(part)
        changed = len(losses) > 0 and tuple(parts) != message.parts
        messages.append(
            msgspec.structs.replace(message, parts=tuple(parts)) if changed else message
        )
    if not losses:
        return request, ()
    return msgspec.structs.replace(request, messages=tuple(messages)), tuple(losses)


def _without_artefacts(part: Part) -> list[Part]:
    """What is left of a part: nothing of reasoning, since unsigned it proves nothing."""
    if isinstance(part, ReasoningPart):
        return []
    return [msgspec.structs.replace(part, signature=None, format=None)]
