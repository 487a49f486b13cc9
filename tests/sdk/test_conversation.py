"""Case 0, item 2: every official client holds the recorded conversation with `arno serve`.

The client sends what was recorded, through its typed interface; the second request is made of what
it read of the first answer, so a wrong reading would find no recording.
"""

from decimal import Decimal

import pytest

from tests.case0.cases import every_case
from tests.sdk.clients import conversation, job


def expected(step):
    """What a client must read of a step."""
    usage = {"input": step.input, "output": step.output, "total": step.input + step.output}
    return {
        "text": step.text,
        "call": step.call and [step.call.id, step.call.name],
        "arguments": step.call.arguments if step.call else "",
        "reasons": [step.finish],
        "usage": {**usage, "cached": step.cached, "cost": step.cost},
        "provider": step.served_by,
    }


def digits(reading):
    """A reading with its cost as wire digits, without our own generation id."""
    usage = reading["usage"]
    cost = f"{Decimal(str(usage['cost'])):f}"
    plain = {name: value for name, value in reading.items() if name != "generation_id"}
    return {**plain, "usage": {**usage, "cost": cost}}


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1"])
@every_case
def test_case_0_2_both_steps_are_read_as_recorded(client, gateway_of, case, prefix):
    found = client(conversation(gateway_of(case), case, prefix=prefix))
    assert found["error"] is None
    assert list(map(digits, found["readings"])) == list(map(expected, case.steps))


@every_case
def test_the_models_are_listed(client, gateway_of, case):
    found = client(job(gateway_of(case)))
    assert (found["error"], found["models"]) == (None, [case.model])
