"""Edits that the envelopes of all dialects share; what they check is tested with each of them."""

import msgspec
import pytest
from msgspec import Raw

from arno.dialects import bodies


def members(text):
    return bodies.members_of(text.encode())


def text(edited):
    return msgspec.json.encode(edited).decode()


@pytest.mark.parametrize(
    ("before", "model", "after"),
    [
        ('{"model":"a"}', "b", '{"model":"b"}'),
        ('{"n":1}', "b", '{"n":1,"model":"b"}'),
        ('{"model":"b"}', "b", None),
        ('{"model":"a"}', None, None),
        (r'{"model":"\u0062"}', "b", None),
    ],
)
def test_another_model_is_written_and_the_same_one_left_alone(before, model, after):
    found = members(before)
    assert bodies.set_model(found, model) is (after is not None)
    assert text(found) == (after or before)


def test_every_member_for_the_gateway_is_taken_out():
    found = {name: Raw(b"1") for name in (*bodies.ROUTING, "messages")}
    assert bodies.drop_routing(found)
    assert text(found) == '{"messages":1}'
    assert not bodies.drop_routing(found)


def test_an_end_users_id_is_hidden():
    found = members('{"user":"me"}')
    assert bodies.hide_user(found)
    assert text(found) == f'{{"user":"{bodies.private_id("me")}"}}'
    for none in ("{}", '{"user":null}', '{"user":""}', '{"user":1}'):
        found = members(none)
        assert not bodies.hide_user(found)
        assert text(found) == none
