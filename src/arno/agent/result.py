"""What a run has done: its steps, and their usage and cost added up (unknown stays unknown)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, InvalidOperation

import msgspec

from arno.canon.parts import Part, RefusalPart, TextPart, ToolResultPart
from arno.canon.request import Message
from arno.canon.response import FinishReason, Response
from arno.canon.usage import Usage

COUNTS = tuple(f.name for f in msgspec.structs.fields(Usage) if f.type == (int | None))
"""The fields of `Usage` that are token counts."""

_EXACT = Context(prec=10_000)  # wider than any number the JSON layer lets in: sums never round


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of the model and the results of the tools it asked for.

    number: from 1. results: in call order. generation_id: what the upstream calls this answer
    (header `x-generation-id`, else the answer's own id). first_token_s: seconds from sending the
    request to the first output, None if there was none.
    """

    number: int
    response: Response
    results: tuple[ToolResultPart, ...] = ()
    generation_id: str | None = None
    first_token_s: float | None = None

    @property
    def usage(self) -> Usage | None:
        """Tokens of this answer, None if the upstream did not say."""
        return self.response.usage

    @property
    def cost_usd(self) -> Decimal | None:
        """What the upstream says it charged, in USD, exact; None if it did not say."""
        return reported_cost(self.usage)

    @property
    def served_by(self) -> str | None:
        """Who really served, when the upstream is itself a gateway."""
        return self.response.served_by

    @property
    def finish(self) -> FinishReason | None:
        """Why the answer ended."""
        return self.response.choices[0].reason if self.response.choices else None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the answer."""
        return answer_parts(self.response)


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands.

    messages: the history, ready to go on from (without the agent's instructions). unknown_steps:
    answers that failed or were cancelled; what they cost is not known, so the totals are not.
    """

    messages: tuple[Message, ...] = ()
    steps: tuple[Step, ...] = ()
    unknown_steps: int = 0

    @property
    def text(self) -> str:
        """The last answer's text."""
        return joined_text(self.steps[-1].parts, TextPart) if self.steps else ""

    @property
    def refusal(self) -> str:
        """The last answer's refusal, "" if the model did not refuse."""
        return joined_text(self.steps[-1].parts, RefusalPart) if self.steps else ""

    @property
    def finish(self) -> FinishReason | None:
        """Why the last answer ended."""
        return self.steps[-1].finish if self.steps else None

    @property
    def usage(self) -> Usage | None:
        """Tokens of all steps; None, or a count of None, where any step's is not known."""
        if self.unknown_steps:
            return None
        return add_usage([step.usage for step in self.steps])

    @property
    def cost_usd(self) -> Decimal | None:
        """Cost of all steps in USD, exact; None if any step's is not known."""
        costs = [step.cost_usd for step in self.steps]
        if self.unknown_steps or None in costs:
            return None
        return self.known_cost_usd

    @property
    def known_cost_usd(self) -> Decimal | None:
        """The known costs added up in USD, exact; None if none is known."""
        known = [cost for step in self.steps if (cost := step.cost_usd) is not None]
        return add_costs(known) if known else None


def answer_parts(response: Response) -> tuple[Part, ...]:
    """The parts of the first choice: the agent asks for one."""
    return response.choices[0].parts if response.choices else ()


def joined_text(parts: Iterable[Part], kind: type[TextPart] | type[RefusalPart]) -> str:
    """The text of all parts of one kind."""
    return "".join(part.text for part in parts if isinstance(part, kind))


def reported_cost(usage: Usage | None) -> Decimal | None:
    """The reported cost in USD with all its digits; None if missing or not a number."""
    if usage is None or usage.cost is None:
        return None
    try:
        cost = Decimal(usage.cost)
    except InvalidOperation:
        return None
    return cost if cost.is_finite() else None


def add_costs(costs: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = Decimal(0)
    for cost in costs:
        total = _EXACT.add(total, cost)
    return total


def add_usage(usages: Sequence[Usage | None]) -> Usage | None:
    """Counts added up, each None where any of them is not known; None if one is missing."""
    known = [usage for usage in usages if usage is not None]
    if not known or len(known) < len(usages):
        return None
    costs = [cost for usage in known if (cost := reported_cost(usage)) is not None]
    total = format(add_costs(costs), "f") if len(costs) == len(known) else None
    return msgspec.structs.replace(
        Usage(cost=total), **{name: _sum(known, name) for name in COUNTS}
    )


def _sum(usages: Sequence[Usage], name: str) -> int | None:
    counts = [getattr(usage, name) for usage in usages]
    return None if None in counts else sum(counts)
