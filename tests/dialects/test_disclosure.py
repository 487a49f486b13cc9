"""What an encoder says of members that another dialect kept."""

import pytest

from arno.canon.ext import Loss
from arno.dialects.disclosure import MAX_TOLD, disclosed, foreign


def test_each_member_of_another_dialect_is_one_loss():
    ext = {"chat": {"prediction": {"type": "content"}, "a/b~c": 0}, "gemini": {"labels": [1]}}
    assert foreign(ext, "messages", "/tools/3") == [
        Loss("/tools/3/prediction", "dropped", "a member of chat that messages has not"),
        Loss("/tools/3/a~1b~0c", "dropped", "a member of chat that messages has not"),
        Loss("/tools/3/labels", "dropped", "a member of gemini that messages has not"),
    ]


def test_what_is_left_of_a_body_is_told_by_member():
    ext = {"chat": {"type": "function", "function": {"speed": 3, "strict": None}}}
    assert [loss.path for loss in foreign(ext, "messages", "/tools/0")] == [
        "/tools/0/function/speed"
    ]


@pytest.mark.parametrize(
    "ext",
    [
        {},
        {"messages": {"mine": 1}},
        {"chat": {}},
        {"chat": {"@limit": "max_tokens"}},
        {"chat": {"type": "text", "index": 3}},
        {"converse": {"source": {"type": "base64"}}},
        {"chat": {"eager": False, "function": {"lazy": False}}},
        {"chat": {"stop": None, "user": "", "function": {}, "format": {"json_schema": {}}}},
    ],
)
def test_what_is_no_loss(ext):
    assert foreign(ext, "messages", "") == []


def test_a_loss_is_told_once_and_not_without_end():
    losses = [Loss(f"/{n // 2}", "dropped", "why") for n in range(4 * MAX_TOLD)]
    told = disclosed(losses)
    assert len(told) == MAX_TOLD
    assert told[1] == {"path": "/1", "action": "dropped", "why": "why"}
