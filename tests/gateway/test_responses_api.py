"""R22: `previous_response_id` with a store, across processes; a clear refusal without one."""

from contextlib import contextmanager

import pytest

from arno.gateway.settings import GatewaySettings
from arno.store.memory import MemorySink
from arno.store.sink import StoreSink
from arno.wire import json
from tests.gateway.harness import get, post, request
from tests.gateway.test_live import WHOLE, delta
from tests.gateway.upstream import STREAM, Upstream, live

PATH = "/v1/responses"
ASK = {"model": "a/b", "input": "My name is Ada."}
CALL = json.dumps(
    {
        "id": "up-2",
        "object": "chat.completion",
        "created": 1,
        "model": "b-upstream",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "weather:0",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "Florence"}'},
                        }
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
    }
)


def whole(peer):
    peer.answer(200, WHOLE, "Content-Type: application/json")


def streamed(peer):
    peer.send(STREAM)
    for piece in (delta("Hel"), delta("lo"), delta("", "stop"), b"data: [DONE]\n\n"):
        peer.chunk(piece)
    peer.end()


@contextmanager
def keeping(tmp_path, upstream, name="journal"):
    """A gateway that keeps answers in the database of `tmp_path`."""
    with (
        StoreSink(tmp_path / "ledger.db", tmp_path / name) as sink,
        live(upstream, sink=sink, answers=sink.answers) as url,
    ):
        yield url


def sent(upstream):
    """The messages of the last request that the upstream got."""
    return json.loads(upstream.requests[-1].body)["messages"]


def spoken(messages):
    """Roles and plain texts of messages."""
    found = []
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            content = "".join(part["text"] for part in content)
        found.append((message["role"], content))
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_an_earlier_answer_is_found_by_another_process(tmp_path, stream):
    with Upstream(streamed if stream else whole) as upstream:
        with keeping(tmp_path, upstream) as url:
            first = post(url, {**ASK, "stream": stream}, path=PATH)
        answer_id = first.headers["x-generation-id"]
        with keeping(tmp_path, upstream, "other") as url:
            again = {**ASK, "input": "What is my name?", "previous_response_id": answer_id}
            second = post(url, {**again, "stream": stream}, path=PATH)
    assert (first.status, second.status) == (200, 200)
    assert spoken(sent(upstream)) == [
        ("user", "My name is Ada."),
        ("assistant", "Hello"),
        ("user", "What is my name?"),
    ]


def test_only_the_output_of_a_call_need_be_sent(tmp_path):
    answers = iter([CALL, WHOLE])
    output = {"type": "function_call_output", "call_id": "weather:0", "output": "sunny"}
    with (
        Upstream(lambda peer: peer.answer(200, next(answers))) as upstream,
        keeping(tmp_path, upstream) as url,
    ):
        first = post(url, ASK, path=PATH).document
        [call] = [item for item in first["output"] if item["type"] == "function_call"]
        assert (call["call_id"], call["arguments"]) == ("weather:0", '{"city": "Florence"}')
        ask = {"model": "a/b", "input": [output], "previous_response_id": first["id"]}
        second = post(url, ask, path=PATH)
    assert second.status == 200
    assert [message["role"] for message in sent(upstream)] == ["user", "assistant", "tool"]
    assert sent(upstream)[1]["tool_calls"][0]["id"] == sent(upstream)[2]["tool_call_id"]


def test_answers_follow_each_other(tmp_path):
    with Upstream(whole) as upstream, keeping(tmp_path, upstream) as url:
        previous = {}
        for number in range(3):
            document = post(url, {**ASK, "input": f"{number}", **previous}, path=PATH).document
            previous = {"previous_response_id": document["id"]}
    assert [text for role, text in spoken(sent(upstream)) if role == "user"] == ["0", "1", "2"]


def test_what_must_not_be_kept_is_not_found(tmp_path):
    with Upstream(whole) as upstream, keeping(tmp_path, upstream) as url:
        answer = post(url, {**ASK, "store": False}, path=PATH).document
        reply = post(url, {**ASK, "previous_response_id": answer["id"]}, path=PATH)
        assert get(url, f"{PATH}/{answer['id']}").status == 404
    assert (reply.status, len(upstream.requests)) == (400, 1)
    assert "previous_response_id" in reply.document["error"]["message"]


def test_a_kept_answer_can_be_read_and_dropped(tmp_path):
    with Upstream(whole) as upstream, keeping(tmp_path, upstream) as url:
        answer = post(url, ASK, path=PATH).document
        place = f"{PATH}/{answer['id']}"
        assert get(url, place).document == answer
        assert request(url, "DELETE", place).document["deleted"] is True
        assert get(url, place).status == 404
        assert request(url, "DELETE", place).status == 404


@pytest.mark.parametrize(
    ("member", "value"),
    [("previous_response_id", "gen-1"), ("store", True)],
)
def test_without_a_store_the_member_is_named(member, value):
    with Upstream(whole) as upstream, live(upstream, sink=MemorySink()) as url:
        reply = post(url, {**ASK, member: value}, path=PATH)
        assert get(url, f"{PATH}/gen-1").status == 404
    assert (reply.status, upstream.requests) == (400, [])
    assert member in reply.document["error"]["message"]


@pytest.mark.parametrize("neutral", [{"previous_response_id": None}, {"store": False}, {}])
def test_without_a_store_nothing_else_changes(neutral):
    with Upstream(whole) as upstream, live(upstream, sink=MemorySink()) as url:
        assert post(url, {**ASK, **neutral}, path=PATH).status == 200
    assert spoken(sent(upstream)) == [("user", "My name is Ada.")]


def test_a_cut_answer_is_not_kept(tmp_path):
    def cut(peer):
        peer.send(STREAM)
        peer.chunk(delta("Hel"))
        peer.end()

    with Upstream(cut) as upstream, keeping(tmp_path, upstream) as url:
        first = post(url, {**ASK, "stream": True}, path=PATH)
        assert b"response.failed" in first.body
        answer_id = first.headers["x-generation-id"]
        assert get(url, f"{PATH}/{answer_id}").status == 404


def test_a_conversation_that_grew_too_large_is_refused(tmp_path):
    settings = GatewaySettings(max_body=2_000)
    with (
        Upstream(whole) as upstream,
        StoreSink(tmp_path / "ledger.db", tmp_path / "journal") as sink,
        live(upstream, sink=sink, answers=sink.answers, gateway_settings=settings) as url,
    ):
        first = post(url, {**ASK, "input": "a" * 1_500}, path=PATH).document
        again = {**ASK, "input": "b" * 1_500, "previous_response_id": first["id"]}
        reply = post(url, again, path=PATH)
    assert (reply.status, len(upstream.requests)) == (400, 1)
    assert "previous_response_id" in reply.document["error"]["message"]
