"""What a gateway reads of a messages request, and the edits it makes."""

import hashlib

import pytest

from arno.canon.failure import RequestError
from arno.dialects import tags
from arno.dialects.base import RequestLine
from arno.dialects.bodies import ROUTING
from arno.wire import json
from tests.dialects.messages.documents import MESSAGES

TURN = {"role": "user", "content": "Hi"}


def request(**members):
    return json.dumps({"model": "m", "max_tokens": 5, "messages": [TURN], **members})


def edited(body, *, model=None, contract=False):
    members = MESSAGES.peek(body).members
    one = MESSAGES.edit_request(
        body, model=model, contract=contract, ask_usage=True, members=members
    )
    assert one == MESSAGES.edit_request(body, model=model, contract=contract, ask_usage=True)
    return one


def test_what_routing_and_limits_need():
    body = request(
        stream=True,
        models=["b"],
        provider={"order": ["x"]},
        metadata={"user_id": "u"},
        session_id="s",
    )
    envelope = MESSAGES.peek(body)
    assert (envelope.model, envelope.models, envelope.stream) == ("m", ("b",), True)
    assert (envelope.routing, envelope.user, envelope.session_id) == ({"order": ["x"]}, "u", "s")
    assert envelope.include_usage


def test_fallbacks_name_models_too():
    assert MESSAGES.peek(request(fallbacks=[{"model": "b"}, {"model": "c"}])).models == ("b", "c")


def test_the_model_may_stand_in_the_path():
    body = json.dumps({"messages": [TURN]})
    assert MESSAGES.peek(body, RequestLine(model="m")).model == "m"
    with pytest.raises(RequestError, match="model"):
        MESSAGES.peek(body)


def test_a_limit_may_be_left_out_and_is_put_in_for_upstreams():
    body = json.dumps({"model": "m", "messages": [TURN]})
    assert json.loads(edited(body))["max_tokens"] == 4096
    assert edited(body, contract=True) == body


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"model": 5}, "model"),
        ({"model": "x\n"}, "model"),
        ({"model": "x" * 300}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"models": ["x"] * 17}, "models"),
        ({"fallbacks": [{}]}, "fallbacks[0]"),
        ({"metadata": {"user_id": "u" * 600}}, "metadata.user_id"),
        ({"session_id": "s" * 300}, "session_id"),
        ({"api_base": "http://x"}, "api_base"),
    ],
)
def test_bad_envelopes_name_the_member(members, path):
    with pytest.raises(RequestError) as caught:
        MESSAGES.peek(request(**members))
    assert caught.value.path.startswith(path.partition("[")[0])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"\xff"}', b'{"a":' * 9999])
def test_bodies_that_are_none(body):
    with pytest.raises(RequestError):
        MESSAGES.peek(body)


def test_a_model_that_stands_twice_is_refused():
    with pytest.raises(RequestError, match="more than once"):
        MESSAGES.peek(b'{"model":"a","messages":[{}],"model":"b"}')


def test_a_body_in_which_nothing_changes_goes_on_as_it_came():
    body = request(foo_bar={"x": 1}).replace(b":", b" : ")
    assert edited(body) == body


def test_the_model_is_the_upstream_s_and_routing_stays_here():
    body = request(
        **{
            name: ["x"]
            for name in ROUTING
            if name not in ("models", "provider", "session_id", "fallbacks")
        },
        models=["b"],
        metadata={"user_id": "u", "x": 1},
    )
    document = json.loads(edited(body, model="up"))
    assert document["model"] == "up"
    assert not document.keys() & set(ROUTING)
    hidden = hashlib.sha256(b"u").hexdigest()[:32]
    assert document["metadata"] == {"user_id": hidden, "x": 1}
    kept = json.loads(edited(body, model="up", contract=True))
    assert kept == json.loads(body) | {"model": "up"}


# History that other upstreams have answered ------------------------------------------------------

TAGGED = tags.write(tags.Tag())


def history(*blocks, role="assistant"):
    return request(messages=[TURN, {"role": role, "content": list(blocks)}, TURN])


def test_ids_that_upstreams_refuse_are_written_as_they_read_them():
    called = {"type": "tool_use", "id": "weather:0", "name": "n", "input": {"id": "a:b"}}
    answered = {"type": "tool_result", "tool_use_id": "weather:0", "content": "x"}
    turns = [TURN, {"role": "assistant", "content": [called]}]
    turns.append({"role": "user", "content": [answered]})
    document = json.loads(edited(request(messages=turns)))
    assert document["messages"][1]["content"] == [called | {"id": "arno-weather_3a0"}]
    assert document["messages"][2]["content"][0]["tool_use_id"] == "arno-weather_3a0"


def test_tagged_reasoning_does_not_reach_an_upstream():
    own = {"type": "thinking", "thinking": "a", "signature": "c2ln"}
    tagged = {"type": "thinking", "thinking": "b", "signature": TAGGED}
    sealed = {
        "type": "redacted_thinking",
        "data": tags.write(tags.Tag(sealed="x", format="openai-responses-v1")),
    }
    said = {"type": "text", "text": "x"}
    elsewhere = {"type": "thinking", "thinking": "c", "signature": tags.write64(tags.Tag(id="1"))}
    document = json.loads(edited(history(own, tagged, sealed, elsewhere, said)))
    assert document["messages"][1]["content"] == [own, said]
    document = json.loads(edited(history(own, elsewhere, said)))
    assert document["messages"][1]["content"] == [own, said]
    document = json.loads(edited(history(tagged)))
    assert document["messages"] == [TURN, TURN]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {"id": "x"}},
        {"type": "text", "text": 'say "arno: and "id": "a:b"'},
        {"type": "thinking", "thinking": "x", "signature": "arno:odd"},
    ],
)
def test_other_history_goes_on_as_it_came(block):
    body = history(block)
    assert json.equal(json.loads(edited(body)), json.loads(body))
