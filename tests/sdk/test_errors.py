"""What goes wrong before an answer begins, as every official client sees it: its own error class,
our status, our message (openrouter-api 4.8, R21, R39).
"""

import pytest

from arno.wire import json
from tests.case0.cases import every_case
from tests.sdk.clients import conversation, job
from tests.sdk.conftest import RIGHT_KEY
from tests.sdk.gateways import fronting
from tests.engine.harness import MODEL
from tests.transport.upstream import Framing, Script

ASK = {"messages": [{"role": "user", "content": "Hello"}], "stream": True}
WRONG_KEY = "sk-arno-sdk-tests-wrong"


def error_of(client, todo):
    """The error of a job that must read nothing."""
    found = client(todo)
    assert (found["readings"], found["models"]) == ([], [])
    assert found["error"] is not None
    return found["error"]


@every_case
def test_an_unknown_model(client, gateway_of, case, classes):
    error = error_of(client, job(gateway_of(case), {**ASK, "model": "no/such-model"}))
    assert (error["kind"], error["status"]) == (classes["NotFoundError"], 404)
    assert "no/such-model" in error["message"]
