"""Where reasoning artefacts come from: signatures and sealed reasoning go back only there (R18).

An artefact is opaque and the client sends it back without saying who made it, so its origin is
found by its hash. What nobody knows (it was made before the memory, or elsewhere) is left to the
dialects, which carry an artefact only where its format is their own.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

import msgspec

from arno.canon.ext import Loss
from arno.canon.parts import Part, ReasoningPart
from arno.canon.request import Message, Request

MOST_KNOWN = 100_000
"""Artefacts whose origin is kept in memory: 32 bytes of hash each and a shared name."""

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


class MemoryOrigins:
    """The origins of the latest artefacts, in this process."""

    def __init__(self, most: int = MOST_KNOWN) -> None:
        self._most = most
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._known)

    def learn(self, artefacts: Iterable[str], endpoint: str) -> None:
        """Keep that `endpoint` made these; the oldest ones are forgotten first."""
        for artefact in artefacts:
            self._known[digest(artefact)] = endpoint
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def of(self, artefact: str) -> str | None:
        """The slug of the endpoint that made it."""
        return self._known.get(digest(artefact))


def digest(artefact: str) -> bytes:
    """What is kept of an artefact."""
    return hashlib.sha256(artefact.encode(errors="surrogatepass")).digest()


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
