"""Steps added up: exact money, and unknown stays unknown."""

from decimal import Decimal

import msgspec
import pytest

from arno.agent.result import COUNTS, RunResult, Step, add_usage, reported_cost
from arno.canon.parts import RefusalPart, TextPart
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage


def result(*usages: Usage | None, unknown_steps: int = 0) -> RunResult:
    steps = tuple(Step(number=n, response=Response(usage=u)) for n, u in enumerate(usages, 1))
    return RunResult(steps=steps, unknown_steps=unknown_steps)


def costs(*texts: str | None) -> RunResult:
    return result(*(Usage(cost=text) for text in texts))


COSTS: list[tuple[RunResult, str | None, str | None]] = [
    (costs("0.0002582", "0.0000844"), "0.0003426", "0.0003426"),
    (costs("0.1", "0.2"), "0.3", "0.3"),
    (costs("1e-30", "1e20"), "100000000000000000000.000000000000000000000000000001", None),
    (costs("0", "0"), "0", "0"),
    (costs("0.5", None), None, "0.5"),
    (costs(None, None), None, None),
    (result(Usage(cost="0.5"), None), None, "0.5"),
    (result(Usage(cost="0.5"), unknown_steps=1), None, "0.5"),
    (costs("0.5", "free"), None, "0.5"),
    (costs("0.5", "NaN"), None, "0.5"),
    (costs(), None, None),
]


@pytest.mark.parametrize(("run", "total", "known"), COSTS)
def test_cost_is_the_exact_sum_or_unknown(
    run: RunResult, total: str | None, known: str | None
) -> None:
    known = total if total is not None else known
    assert run.cost_usd == (None if total is None else Decimal(total))
    assert run.known_cost_usd == (None if known is None else Decimal(known))


def test_cost_of_one_step_keeps_its_digits() -> None:
    assert str(reported_cost(Usage(cost="0.00025820"))) == "0.00025820"


def test_counts_are_added_up_where_all_are_known() -> None:
    run = result(
        Usage(input=68, output=31, cache_read=68, reasoning=0, cost="0.0002582"),
        Usage(input=121, output=22, cache_read=32, cost="0.0000844"),
    )
    assert run.usage == Usage(input=189, output=53, cache_read=100, cost="0.0003426")


@pytest.mark.parametrize(
    "run", [result(), result(None), result(Usage(input=1), None), result(Usage(), unknown_steps=1)]
)
def test_usage_is_none_where_a_step_has_none(run: RunResult) -> None:
    assert run.usage is None


def test_a_small_cost_is_written_without_an_exponent() -> None:
    total = add_usage([Usage(cost="1e-9"), Usage(cost="1e-9")])
    assert total is not None
    assert total.cost == "0.000000002"


def test_every_count_of_usage_is_added() -> None:
    one = msgspec.convert(dict.fromkeys(COUNTS, 1), Usage)
    total = add_usage([one, one])
    assert total is not None
    assert [getattr(total, name) for name in COUNTS] == [2] * len(COUNTS)
    assert set(COUNTS) >= {"input", "output", "cache_read", "reasoning"}


def test_text_is_that_of_the_last_step() -> None:
    parts = (TextPart(text="a"), RefusalPart(text="no"), TextPart(text="b"))
    last = Response(choices=(Choice(parts=parts, reason=FinishReason.STOP),))
    first = Response(choices=(Choice(parts=(TextPart(text="x"),)),))
    run = RunResult(steps=(Step(number=1, response=first), Step(number=2, response=last)))
    assert (run.text, run.refusal, run.finish) == ("ab", "no", FinishReason.STOP)


def test_a_run_without_steps_says_nothing() -> None:
    run = RunResult()
    assert (run.text, run.refusal, run.finish) == ("", "", None)
