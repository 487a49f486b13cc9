"""What an upstream tells as a count or a cost, and what is none: unknown, never 0."""

import pytest

from arno.dialects import DIALECTS
from arno.dialects.counts import MAX_COUNT, cost_text, count
from arno.wire import json

COUNTS = [
    ("0", 0),
    ("17", 17),
    ("17.0", 17),
    ("1e3", 1000),
    (str(MAX_COUNT), MAX_COUNT),
    (str(MAX_COUNT + 1), None),
    ("1e30", None),
    ("-1", None),
    ("-1.0", None),
    ("1.5", None),
    ("true", None),
    ('"17"', None),
    ("null", None),
    ("[]", None),
]

COSTS = [
    ("0", "0"),
    ("3", "3"),
    ("0.00010", "0.00010"),
    ("2.5e-7", "0.00000025"),
    ("true", None),
    ('"3"', None),
    ("null", None),
]


@pytest.mark.parametrize(("told", "meant"), COUNTS)
def test_count(told, meant):
    read = count(json.loads(told.encode()))
    assert read == meant
    assert type(read) is type(meant)


@pytest.mark.parametrize(("told", "meant"), COSTS)
def test_cost_text(told, meant):
    assert cost_text(json.loads(told.encode())) == meant


ANSWERS = {
    "chat": '{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":%s,"completion_tokens":2}}',
    "responses": '{"status":"completed","output":[],"usage":{"input_tokens":%s,"output_tokens":2}}',
    "messages": '{"type":"message","role":"assistant","content":[],"stop_reason":"end_turn",'
    '"usage":{"input_tokens":%s,"output_tokens":2}}',
    "gemini": '{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}],'
    '"usageMetadata":{"promptTokenCount":%s,"candidatesTokenCount":2}}',
    "converse": '{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn",'
    '"usage":{"inputTokens":%s,"outputTokens":2}}',
}


@pytest.mark.parametrize(("told", "meant"), [("1e3", 1000), ("1e30", None)])
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_takes_no_count_that_a_ledger_row_cannot_hold(name, told, meant):
    answer = DIALECTS[name].decode_response((ANSWERS[name] % told).encode())
    assert (answer.usage.input, answer.usage.output) == (meant, 2)
