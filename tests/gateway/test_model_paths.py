"""Model ids from clients before upstreams that have the model in the path: none leads elsewhere."""

from urllib.parse import quote

import pytest

from tests.gateway.harness import post
from tests.gateway.test_translated import answering, world

TALK = [{"role": "user", "content": "Hi"}]
CONTENTS = {"contents": [{"parts": [{"text": "Hi"}]}]}
ASKS = {
    "chat": lambda model: ("/v1/chat/completions", {"model": model, "messages": TALK}),
    "messages": lambda model: (
        "/v1/messages",
        {"model": model, "max_tokens": 9, "messages": TALK},
    ),
    "responses": lambda model: ("/v1/responses", {"model": model, "input": "Hi", "store": False}),
    "gemini": lambda model: (
        f"/v1beta/models/{quote(model, safe='')}:generateContent",
        CONTENTS,
    ),
}
ANSWERS = {
    "gemini": {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]},
    "converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "x"}]}},
        "stopReason": "end_turn",
    },
}
PATHS = {"gemini": "/v1/models/x:generateContent", "converse": "/v1/model/x/converse"}
BAD = ["..", "a/../../v1/files", "models/..", "x?key=1", "x#y", "%2e%2e", "a\\b", "a\tb", "a;b"]


@pytest.mark.parametrize("upstream", ANSWERS)
@pytest.mark.parametrize("client", ASKS)
def test_no_id_leads_elsewhere(tmp_path, client, upstream):
    with (
        answering(ANSWERS[upstream]) as up,
        world(tmp_path, alpha=(up, upstream)) as (url, _),
    ):
        replies = []
        for model in BAD:
            path, body = ASKS[client](f"alpha/{model}")
            replies.append(post(url, body, path=path))
        assert up.requests == []
        path, body = ASKS[client]("alpha/x")
        assert post(url, body, path=path).status == 200
        assert [peer.target for peer in up.requests] == [PATHS[upstream]]
    for reply in replies:
        assert reply.status == 400
        error = reply.document["error"]
        if client == "gemini":
            assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
        else:
            assert error.get("type", "invalid_request_error") == "invalid_request_error"
