"""How much to think: `thinking` and `output_config.effort`.

The wire asks with a budget of tokens, or leaves it to the model (adaptive); a word for the effort
stands beside it. A request of another dialect that says a word gets the budget that the gateway
contract has for it (section 3.5), a share of the limit on the answer.

Thinking forbids other things (Anthropic, "Extended thinking", feature compatibility): sampling at
will, a forced tool, a turn of tool calls in mid-way that began without it. Sampling gives way, with
a Loss; for the others thinking gives way.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.request import Reasoning, Request, Sampling, ToolChoiceMode
from arno.dialects.disclosure import foreign
from arno.dialects.messages.residue import DIALECT, give, is_native, keep, note
from arno.dialects.residue import Document, integer, take

DEFAULT_MAX_TOKENS = 4096
"""The limit on an answer where a request has none and the wire must have one."""

LEAST_BUDGET = 1024
MOST_BUDGET = 128_000
ASSUMED_LIMIT = 24_576
"""What an effort is a share of where the request has no limit: with the answer's own tokens behind
it, what is asked for stays below the least limit (32,000) of the models that think."""

SHARES: dict[str, Decimal] = {
    "minimal": Decimal("0.1"),
    "low": Decimal("0.2"),
    "medium": Decimal("0.5"),
    "high": Decimal("0.8"),
    "xhigh": Decimal("0.95"),
    "max": Decimal("0.95"),
}
WORDS = frozenset(SHARES) - {"minimal"}
"""Words that the wire has itself, which only newer models read: written beside a budget only."""
OFF = "none"
LEAST_TOP_P = Decimal("0.95")


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


DISPLAYS = {"omitted": True, "summarized": False}
"""Words of `display`, and whether thoughts stay out of the answer."""


def decode_reasoning(residue: Document, fields: dict[str, Any]) -> None:
    """`thinking` and the effort; what no canonical field carries stays in the reasoning's ext."""
    thinking, config = residue.get("thinking"), residue.get("output_config")
    effort = config.get("effort") if isinstance(config, Mapping) else None
    if isinstance(effort, str) and effort and isinstance(config, Mapping):
        residue["output_config"] = {k: v for k, v in config.items() if k != "effort"}
        fields["reasoning"] = Reasoning(effort=effort, ext=keep({}))
    if not isinstance(thinking, Mapping):
        return
    try:
        known = msgspec.convert(thinking, _Thinking)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise RequestError(message, f"thinking{path.strip('`')}") from error
    values, rest = take(thinking, "type", "budget_tokens", "display")
    if known.display is not None and known.display not in DISPLAYS:
        rest["display"] = values["display"]
    del residue["thinking"]
    fields["reasoning"] = Reasoning(
        effort=effort if isinstance(effort, str) and effort else None,
        budget=known.budget_tokens,
        enabled=known.type != "disabled",
        exclude=DISPLAYS.get(known.display or ""),
        ext=keep({**rest, "@type": known.type}),
    )


class Thought(msgspec.Struct, frozen=True):
    """What a request says of thinking: the members, and the limit that leaves room for it."""

    members: Document
    limit: int | None
    losses: tuple[Loss, ...] = ()

    @property
    def is_on(self) -> bool:
        """True if the model is asked to think."""
        thinking = self.members.get("thinking")
        return isinstance(thinking, dict) and thinking.get("type") != "disabled"


def encode_reasoning(request: Request, *, begun: bool) -> Thought:
    """Thinking and the limit on the answer.

    begun: the request stands in the middle of tool calls of a turn that began without thinking.
    """
    reasoning, limit = request.reasoning, request.max_output_tokens
    if reasoning is None:
        return _limited(request, {}, limit, ())
    if is_native(reasoning.ext):
        return _limited(request, _native(reasoning), limit, ())
    losses = foreign(reasoning.ext, DIALECT, "/reasoning")
    if reasoning.summary is not None:
        why = "the wire does not choose between summaries"
        losses.append(Loss("/reasoning/summary", "dropped", why))
    if reasoning.enabled is False or reasoning.effort == OFF:
        return _limited(request, {"thinking": {"type": "disabled"}}, limit, losses)
    if not (reasoning.enabled or reasoning.effort or reasoning.budget is not None):
        return _limited(request, {}, limit, losses)
    why_not = _obstacle(request, begun)
    if why_not is not None:
        return _limited(request, {}, limit, [*losses, Loss("/reasoning", "dropped", why_not)])
    budget, lost = _budget(reasoning, limit)
    losses += lost
    if budget is None:
        return _limited(request, {}, limit, losses)
    thinking: Document = {"type": "enabled", "budget_tokens": budget}
    _show(reasoning, thinking)
    members: Document = {"thinking": thinking}
    if reasoning.effort is not None and reasoning.budget is not None:
        members["output_config"] = {"effort": _word(reasoning.effort, losses)}
    return _limited(request, members, limit, losses)


def _show(reasoning: Reasoning, thinking: Document) -> None:
    """Say whether thoughts are shown, where the request says it."""
    for word, exclude in DISPLAYS.items():
        if reasoning.exclude is exclude:
            thinking["display"] = word


def _word(effort: str, losses: list[Loss]) -> str:
    """The word beside a budget, one of the wire's."""
    if effort in WORDS:
        return effort
    losses.append(Loss("/reasoning/effort", "approximated", "the wire has no such word"))
    return "low" if effort == "minimal" else "medium"


def _native(reasoning: Reasoning) -> Document:
    members: Document = {}
    type_ = note(reasoning.ext, "type")
    if type_ is not None:
        thinking = {"type": type_, **give(reasoning.ext)}
        if reasoning.budget is not None:
            thinking["budget_tokens"] = reasoning.budget
        _show(reasoning, thinking)
        members["thinking"] = thinking
    if reasoning.effort is not None:
        members["output_config"] = {"effort": reasoning.effort}
    return members


def _obstacle(request: Request, begun: bool) -> str | None:
    """Why the model cannot be asked to think, None if it can."""
    choice = request.tool_choice
    if choice is not None and choice.mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED):
        return "thinking forbids to force a tool"
    if begun:
        return "a turn that began without thinking goes on without it"
    return None


def _budget(reasoning: Reasoning, limit: int | None) -> tuple[int | None, list[Loss]]:
    """Tokens to think with, None if the limit leaves no room for the least budget there is."""
    losses: list[Loss] = []
    asked = reasoning.budget
    if asked is None:
        effort = reasoning.effort or "medium"
        share = SHARES.get(effort)
        if share is None:
            losses.append(Loss("/reasoning/effort", "approximated", "an unknown word is medium"))
        asked = int((ASSUMED_LIMIT if limit is None else limit) * (share or SHARES["medium"]))
        budget = max(min(asked, MOST_BUDGET), LEAST_BUDGET)
        why = "the wire thinks by tokens: an effort is a share of the limit on the answer"
        losses.append(Loss("/reasoning/budget", "approximated", why))
    else:
        budget = max(min(asked, MOST_BUDGET), LEAST_BUDGET)
        if budget != asked:
            why = f"a budget is {LEAST_BUDGET} to {MOST_BUDGET} tokens"
            losses.append(Loss("/reasoning/budget", "approximated", why))
    if limit is None or budget < limit:
        return budget, losses
    if limit <= LEAST_BUDGET:
        why = "the limit on the answer leaves no room to think"
        return None, [Loss("/reasoning", "dropped", why)]
    why = "a budget is less than the limit on the answer"
    return limit - 1, [*losses, Loss("/reasoning/budget", "approximated", why)]


def _limited(
    request: Request, members: Document, limit: int | None, losses: list[Loss] | tuple[Loss, ...]
) -> Thought:
    if limit is not None:
        return Thought(members, limit, tuple(losses))
    if DIALECT in request.ext:
        return Thought(members, None, tuple(losses))
    thinking = members.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    made = DEFAULT_MAX_TOKENS + (integer(budget) or 0)
    why = f"the wire must have a limit: {made} where the request has none"
    loss = Loss("/max_output_tokens", "approximated", why)
    return Thought(members, made, (*losses, loss))


def encode_sampling(
    sampling: Sampling, *, thinking: bool, native: bool
) -> tuple[Document, list[Loss]]:
    """Sampling members, and what the wire has none for."""
    members: Document = {}
    losses: list[Loss] = []
    if sampling.temperature is not None:
        members["temperature"] = sampling.temperature if native else _clamped(sampling, losses)
    for name in ("top_p", "top_k"):
        if getattr(sampling, name) is not None:
            members[name] = getattr(sampling, name)
    for name, why in NOT_SAID.items():
        if getattr(sampling, name) not in (None, False, 0):
            losses.append(Loss(f"/sampling/{name}", "dropped", why))
    if thinking and not native:
        losses += _give_way(members)
    return members, losses


NOT_SAID: dict[str, str] = {
    "min_p": "only chat requests of open models have it",
    "frequency_penalty": "the wire has no penalties",
    "presence_penalty": "the wire has no penalties",
    "repetition_penalty": "only chat requests of open models have it",
    "seed": "the wire cannot ask for the same answer twice",
    "logit_bias": "only a chat request biases single tokens",
    "logprobs": "the wire tells no probabilities",
    "top_logprobs": "the wire tells no probabilities",
}
"""Sampling that the wire has no member for."""


def _clamped(sampling: Sampling, losses: list[Loss]) -> Json:
    temperature = sampling.temperature
    clamped = max(min(temperature, 1), 0)
    if clamped != temperature:
        why = "the wire's temperature is 0 to 1"
        losses.append(Loss("/sampling/temperature", "approximated", why))
    return clamped


def _give_way(members: Document) -> list[Loss]:
    """Take out the sampling that thinking forbids."""
    kept = {"temperature": 1}
    losses = []
    for name in ("temperature", "top_p", "top_k"):
        value = members.get(name)
        allowed = value == kept.get(name) or (name == "top_p" and _is_high(value))
        if value is not None and not allowed:
            del members[name]
            losses.append(Loss(f"/sampling/{name}", "dropped", "thinking forbids it"))
    return losses


def _is_high(top_p: Json) -> bool:
    return isinstance(top_p, Decimal | int) and top_p >= LEAST_TOP_P
