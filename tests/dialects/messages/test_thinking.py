"""How much to think, the limit on the answer, and sampling, on the messages wire."""

from decimal import Decimal

import pytest

from arno.canon.parts import (
    ToolCallPart,
)
from arno.canon.request import (
    Reasoning,
    Sampling,
    ToolChoice,
    ToolChoiceMode,
)
from tests.dialects.messages.documents import ADD, SIGNED, assistant, calls, result, said, user

SHARE = {"/reasoning/budget": "approximated"}
"""What is told where tokens stand for a word."""


def thinking(limit=4000, **fields):
    more = {key: fields.pop(key) for key in ("tools", "tool_choice", "sampling") if key in fields}
    document, losses = said(reasoning=Reasoning(**fields), max_output_tokens=limit, **more)
    return document.get("thinking"), document["max_tokens"], losses


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 2000), ("medium", 5000), ("high", 8000), ("xhigh", 9500)],
)
def test_an_effort_is_a_share_of_the_limit(effort, budget):
    assert thinking(10_000, effort=effort) == (
        {"type": "enabled", "budget_tokens": budget},
        10_000,
        SHARE,
    )


def test_an_effort_without_a_limit_gets_both():
    asked, limit, losses = thinking(None, effort="high")
    assert asked == {"type": "enabled", "budget_tokens": 19660}
    assert limit == 19660 + 4096
    assert losses == {"/max_output_tokens": "approximated"} | SHARE


def test_a_request_without_a_limit_gets_the_default():
    document, losses = said(max_output_tokens=None)
    assert document["max_tokens"] == 4096
    assert losses == {"/max_output_tokens": "approximated"}


@pytest.mark.parametrize(
    ("fields", "limit", "budget", "losses"),
    [
        ({"budget": 2048}, 4000, 2048, {}),
        ({"budget": 100}, 4000, 1024, {"/reasoning/budget": "approximated"}),
        ({"budget": 9000}, 4000, 3999, {"/reasoning/budget": "approximated"}),
        ({"enabled": True}, 4000, 2000, SHARE),
        ({"effort": "odd"}, 4000, 2000, SHARE | {"/reasoning/effort": "approximated"}),
        ({"effort": "high"}, 1000, None, {"/reasoning": "dropped"}),
        (
            {"enabled": True, "summary": "auto"},
            4000,
            2000,
            SHARE | {"/reasoning/summary": "dropped"},
        ),
        ({}, 4000, None, {}),
    ],
)
def test_budgets(fields, limit, budget, losses):
    asked, told, lost = thinking(limit, **fields)
    assert (asked and asked["budget_tokens"]) == budget
    assert (told, lost) == (limit, losses)


@pytest.mark.parametrize("fields", [{"enabled": False}, {"effort": "none"}])
def test_no_thinking(fields):
    assert thinking(**fields) == ({"type": "disabled"}, 4000, {})


def test_thinking_that_is_not_to_be_shown():
    assert thinking(budget=2000, exclude=True)[0]["display"] == "omitted"


def test_a_word_beside_a_budget_goes_beside_it():
    document, losses = said(reasoning=Reasoning(effort="minimal", budget=2000))
    assert document["output_config"] == {"effort": "low"}
    assert losses == {"/reasoning/effort": "approximated"}


def test_thinking_gives_way_to_a_forced_tool():
    choice = ToolChoice(ToolChoiceMode.REQUIRED)
    asked, _, losses = thinking(effort="high", tools=(ADD,), tool_choice=choice)
    assert (asked, losses) == (None, {"/reasoning": "dropped"})


def test_thinking_gives_way_in_a_turn_that_began_without_it():
    asked = {"reasoning": Reasoning(effort="high"), "tools": (ADD,)}
    document, losses = said(user("Hi"), calls("a"), result("a", "1"), **asked)
    assert "thinking" not in document
    assert losses == {"/reasoning": "dropped"}
    signed = assistant(SIGNED, ToolCallPart(call_id="a", name="add", arguments="{}"))
    document, losses = said(user("Hi"), signed, result("a", "1"), **asked)
    assert document["thinking"]["type"] == "enabled"
    assert losses == SHARE


def test_sampling_gives_way_to_thinking():
    sampling = Sampling(temperature=Decimal("0.5"), top_p=Decimal("0.99"), top_k=5)
    document, losses = said(sampling=sampling, reasoning=Reasoning(budget=2000))
    assert "temperature" not in document
    assert document["top_p"] == Decimal("0.99")
    assert losses == {"/sampling/temperature": "dropped", "/sampling/top_k": "dropped"}
    document, losses = said(sampling=sampling)
    assert (document["temperature"], document["top_k"], losses) == (Decimal("0.5"), 5, {})


@pytest.mark.parametrize(("given", "written"), [(Decimal("1.5"), 1), (-1, 0)])
def test_a_temperature_is_0_to_1(given, written):
    document, losses = said(sampling=Sampling(temperature=given))
    assert document["temperature"] == written
    assert losses == {"/sampling/temperature": "approximated"}


def test_sampling_that_the_wire_has_not():
    sampling = Sampling(min_p=1, seed=3, logit_bias={"1": 2}, logprobs=True, presence_penalty=0)
    _, losses = said(sampling=sampling)
    names = ("min_p", "seed", "logit_bias", "logprobs")
    assert losses == dict.fromkeys((f"/sampling/{name}" for name in names), "dropped")
