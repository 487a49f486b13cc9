"""Quirks: what a row's other members cannot say, one named pure function each.

A quirk takes the members of a request that would be sent and gives those to send; where it does
not have to look into their values, these stay raw bytes. It is applied only where the endpoint's
row names it, and is there only if traffic or a vendor's documents show that the upstream needs it.
Those of messages: `arno.providers.message_quirks`. What a quirk takes away that the client said is
a Loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec
from msgspec import Raw

from arno.canon.ext import Loss
from arno.providers import message_quirks
from arno.providers.message_quirks import Look, Members

Quirk = Callable[[Members], Members]

_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def max_completion_tokens(members: Members) -> Members:
    """The limit of the answer under its new name alone: with the old one the request is refused."""
    return _under_one_name(members, "max_completion_tokens", "max_tokens")


def max_tokens(members: Members) -> Members:
    """The limit of the answer under its old name alone: the new one is refused or overlooked."""
    return _under_one_name(members, "max_tokens", "max_completion_tokens")


def no_stream_options(members: Members) -> Members:
    """Without `stream_options`, which is refused; the usage is told unasked."""
    return {name: value for name, value in members.items() if name != "stream_options"}


BUDGETS: tuple[tuple[int, str], ...] = ((2048, "low"), (8192, "medium"))
"""Most tokens of a budget, and the effort that comes near it; a greater one is "high"."""


def effort_alone(members: Members) -> Members:
    """How much to think as `reasoning_effort`: the contract's `reasoning` object is refused.

    Source: answers of Groq (property 'reasoning' is unsupported) and OpenAI's reference.
    """
    if "reasoning" not in members:
        return members
    rest = {name: value for name, value in members.items() if name != "reasoning"}
    effort = _effort(msgspec.json.decode(members["reasoning"]))
    if effort is None or _is_said(rest.get("reasoning_effort")):
        return rest
    return {**rest, "reasoning_effort": Raw(msgspec.json.encode(effort))}


def _effort(reasoning: object) -> str | None:
    if not isinstance(reasoning, dict):
        return None
    effort, budget = reasoning.get("effort"), reasoning.get("max_tokens")
    if isinstance(effort, str):
        return effort
    if isinstance(budget, int) and not isinstance(budget, bool):
        return next((word for most, word in BUDGETS if budget <= most), "high")
    switch = {True: "medium", False: "none"}
    enabled = reasoning.get("enabled")
    return switch[enabled] if isinstance(enabled, bool) else None


def _under_one_name(members: Members, name: str, other: str) -> Members:
    """`members` without `other`; its value takes the place of a `name` that is not there."""
    if other not in members:
        return members
    rest = {key: value for key, value in members.items() if key != other}
    if _is_said(rest.get(name)) or not _is_said(members[other]):
        return rest
    return {**rest, name: members[other]}


def _is_said(value: Raw | None) -> bool:
    """False for a member that is null, which says as little as one that is not there."""
    return value is not None and bytes(value).strip() != b"null"


QUIRKS: Mapping[str, Quirk] = MappingProxyType(
    {
        quirk.__name__: quirk
        for quirk in (
            max_completion_tokens,
            max_tokens,
            no_stream_options,
            effort_alone,
            message_quirks.system_role,
            message_quirks.no_reasoning,
            message_quirks.no_reasoning_details,
            message_quirks.reasoning_content,
            message_quirks.thinking_calls,
            message_quirks.short_ids,
            message_quirks.nine_ids,
            message_quirks.media_after_results,
        )
    }
)
"""Every quirk by the name that rows use."""

_ABSENT = Raw()


class _Body(msgspec.Struct, gc=False):
    """What quirks look at, read in one go: a long prompt is gone through once for all of them."""

    max_tokens: Raw = _ABSENT
    max_completion_tokens: Raw = _ABSENT
    stream_options: Raw = _ABSENT
    reasoning: Raw = _ABSENT
    messages: list[Look] = []


_LOOK = msgspec.json.Decoder(_Body)


def _in_messages(concerns: Callable[[Look], bool]) -> Callable[[_Body], bool]:
    return lambda body: any(map(concerns, body.messages))


def _stands(member: Raw) -> bool:
    return len(memoryview(member)) > 0


_CONCERNS: Mapping[str, Callable[[_Body], bool]] = MappingProxyType(
    {
        "max_completion_tokens": lambda body: _stands(body.max_tokens),
        "max_tokens": lambda body: _stands(body.max_completion_tokens),
        "no_stream_options": lambda body: _stands(body.stream_options),
        "effort_alone": lambda body: _stands(body.reasoning),
        **{name: _in_messages(concerns) for name, concerns in message_quirks.CONCERNS.items()},
    }
)
"""Whether a quirk may change something."""


_ARTEFACTS = Loss("/messages", "dropped", "reasoning of earlier turns goes back to its origin only")
LOSSES: Mapping[str, Loss] = {
    "effort_alone": Loss("/reasoning", "approximated", "the upstream reads an effort alone"),
    "system_role": Loss("/messages", "renamed", "the upstream knows no developer, only a system"),
    "no_reasoning": _ARTEFACTS,
    "no_reasoning_details": _ARTEFACTS,
    "media_after_results": Loss(
        "/messages", "approximated", "media of tool results are shown as the user's"
    ),
}
"""What a quirk tells of a request that it changes; those that are not here change no meaning.

Paths are JSON pointers into the canonical request.
"""


def _is_exact(name: str, members: Members) -> bool:
    """True if the upstream is told all the same: an effort says all that an effort said."""
    if name != "effort_alone":
        return False
    reasoning = msgspec.json.decode(members["reasoning"])
    said = {k for k, v in reasoning.items() if v is not None} if isinstance(reasoning, dict) else ()
    return not set(said) - {"effort"}


def _concerned(quirks: Iterable[str], body: bytes) -> list[str]:
    """The quirks that may change something; all of them where the body has an odd shape."""
    names = list(quirks)
    if not names:
        return names
    try:
        look = _LOOK.decode(body)
    except msgspec.ValidationError:
        return names
    return [name for name in names if _CONCERNS[name](look)]


def apply(quirks: Iterable[str], body: bytes) -> bytes:
    """The JSON request to send for `body`; the very same bytes where no quirk changes anything.

    `body` must be a JSON object. Raises KeyError for an unknown quirk (the catalogue has none).
    """
    return apply_and_tell(quirks, body)[0]


def apply_and_tell(quirks: Iterable[str], body: bytes) -> tuple[bytes, tuple[Loss, ...]]:
    """What `apply` gives, and what was lost of the client's request."""
    names = _concerned(quirks, body)
    if not names:
        return body, ()
    asked: Members = _RAW.decode(body)
    members = asked
    losses: list[Loss] = []
    for name in names:
        changed = QUIRKS[name](members)
        if name in LOSSES and changed != members and not _is_exact(name, members):
            losses.append(LOSSES[name])
        members = changed
    sent = body if members == asked else msgspec.json.encode(members)
    return sent, tuple(dict.fromkeys(losses))
