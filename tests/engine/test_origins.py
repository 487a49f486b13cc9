"""R18: reasoning artefacts go back only to the endpoint that made them."""

import pytest

from arno.canon.parts import ReasoningForm, ReasoningPart, TextPart, ToolCallPart
from arno.canon.request import Message, Request, Role
from arno.engine.origins import MemoryOrigins, artefacts_of, without_foreign

THOUGHT = ReasoningPart(text="hm", signature="sig-a", format="anthropic-claude-v1")
SEALED = ReasoningPart(form=ReasoningForm.SEALED, sealed="box-a", format="openai-responses-v1")
CALL = ToolCallPart(call_id="c", name="f", signature="sig-b", format="google-gemini-v1")
PLAIN = TextPart(text="hello")


def request(*parts):
    return Request(model="m", messages=(Message(Role.ASSISTANT, parts),))


@pytest.fixture
def origins():
    known = MemoryOrigins()
    known.learn(["sig-a", "box-a"], "alpha")
    known.learn(["sig-b"], "beta")
    return known


@pytest.mark.parametrize(
    ("endpoint", "left", "lost"),
    [
        ("alpha", (THOUGHT, SEALED, PLAIN, ToolCallPart(call_id="c", name="f")), [3]),
        ("beta", (PLAIN, CALL), [0, 1]),
        ("gamma", (PLAIN, ToolCallPart(call_id="c", name="f")), [0, 1, 3]),
    ],
)
def test_each_endpoint_gets_its_own_back(origins, endpoint, left, lost):
    cleaned, losses = without_foreign(request(THOUGHT, SEALED, PLAIN, CALL), origins, endpoint)
    assert cleaned.messages[0].parts == left
    assert [loss.path for loss in losses] == [f"/messages/0/parts/{place}" for place in lost]
    assert {loss.action for loss in losses} == {"dropped"}


def test_what_nobody_knows_is_left_to_the_dialects():
    asked = request(THOUGHT, CALL)
    assert without_foreign(asked, MemoryOrigins(), "alpha") == (asked, ())


def test_a_request_without_artefacts_is_the_same_object(origins):
    asked = request(PLAIN)
    assert without_foreign(asked, origins, "alpha")[0] is asked


def test_the_latest_endpoint_counts(origins):
    origins.learn(["sig-a"], "beta")
    assert origins.of("sig-a") == "beta"


def test_artefacts_of_parts():
    assert artefacts_of(THOUGHT) == ["sig-a"]
    assert artefacts_of(SEALED) == ["box-a"]
    assert artefacts_of(CALL) == ["sig-b"]
    assert artefacts_of(PLAIN) == []
