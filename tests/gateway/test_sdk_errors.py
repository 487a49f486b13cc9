"""Errors of the gateway are those of the official Python SDK (R21); all else is in tests/sdk."""

import openai
import pytest

from arno.wire import json
from tests.gateway.harness import ASK, ScriptedEngine, gateway_app, outcome, running_gateway

KEY = "sk-any-0123456789abcdef"


def failing(status, error_type, headers=()):
    """An engine that answers with an error of the contract."""
    document = {"error": {"code": status, "message": "no", "metadata": {"error_type": error_type}}}

    async def script(call, down):
        await down.head(status, (("content-type", "application/json"), *headers))
        await down.body(json.dumps(document))
        await down.end()
        return outcome(call, status=status, state="error")

    return ScriptedEngine(script)


ERRORS = [
    (400, "invalid_request", openai.BadRequestError),
    (403, "permission_denied", openai.PermissionDeniedError),
    (404, "not_found", openai.NotFoundError),
    (429, "rate_limit_exceeded", openai.RateLimitError),
    (502, "provider_unavailable", openai.InternalServerError),
    (503, "provider_overloaded", openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "error_type", "kind"), ERRORS)
def test_r21_errors_are_the_sdks_own(status, error_type, kind):
    engine = failing(status, error_type, (("retry-after", "7"),))
    with (
        running_gateway(gateway_app(engine)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
        pytest.raises(kind) as raised,
    ):
        client.chat.completions.create(**ASK)
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.body["metadata"]["error_type"] == error_type
