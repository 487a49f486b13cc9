"""Policies, what was used, and the report on a request that nothing answers."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from arno.cassette import canonical
from arno.cassette.canonical import Base, Ignore
from arno.cassette.govcr import load
from arno.cassette.match import (
    MAX_DIFFERENCES,
    NEAREST,
    SLACK,
    SPELLINGS,
    Matcher,
    Miss,
    Policy,
)
from arno.cassette.model import Interaction
from arno.cassette.rules import Redaction
from arno.wire import json
from tests.cassette.files import SEED, go_vcr_files, interaction, recording
from tests.shared import needs_shared

URL = "https://api.example.com/v1/chat/completions"
PATH = "/v1/chat/completions"


def asked(text: str, **more: object) -> bytes:
    """A chat request whose last message is `text`."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more})


def recorded(*texts: str) -> list[Interaction]:
    """One interaction per text, numbered from 0."""
    return [interaction(asked(text), number=place) for place, text in enumerate(texts)]


def numbers(matcher: Matcher, *texts: str) -> list[int | None]:
    """The ids that requests got in turn, None for a miss."""
    found = [matcher.find("POST", URL, asked(text)) for text in texts]
    return [None if isinstance(item, Miss) else item.id for item in found]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy.SEQUENCE, [0, 2, None, None, 1]),
        (Policy.STICKY, [0, 2, 2, 2, 1]),
        (Policy.STATELESS, [0, 0, 0, 0, 1]),
    ],
)
def test_policies(policy, expected):
    matcher = Matcher(recorded("a", "b", "a"), policy)
    assert numbers(matcher, "a", "a", "a", "a", "b") == expected


def test_unused_recordings_are_known():
    matcher = Matcher(recorded("a", "b", "a"))
    assert [item.id for item in matcher.unused()] == [0, 1, 2]
    numbers(matcher, "a", "x")
    assert [item.id for item in matcher.unused()] == [1, 2]


def test_parallel_calls_get_each_recording_once():
    matcher = Matcher(recorded(*["a"] * 400))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: numbers(matcher, "a")[0], range(400)))
    assert sorted(number for number in found if number is not None) == list(range(400))


def test_path_base_answers_on_any_host():
    matcher = Matcher(recorded("a"), base=Base.PATH)
    found = matcher.find("POST", f"http://127.0.0.1:8080{PATH}", asked("a"))
    assert isinstance(found, Interaction)
    elsewhere = Matcher(recorded("a")).find("POST", f"http://127.0.0.1:8080{PATH}", asked("a"))
    assert isinstance(elsewhere, Miss)


def test_ignore_sets_apply():
    live = asked("a", max_tokens=5)
    assert isinstance(Matcher(recorded("a")).find("POST", URL, live), Miss)
    found = Matcher(recorded("a"), ignore=[Ignore.LIMITS]).find("POST", URL, live)
    assert isinstance(found, Interaction)


def miss(matcher: Matcher, body: bytes, method: str = "POST", url: str = URL) -> Miss:
    """The miss of a request that must not be found."""
    found = matcher.find(method, url, body)
    assert isinstance(found, Miss)
    return found


def test_the_message_of_a_miss_names_place_and_values():
    matcher = Matcher(recorded("18 C", "40 C"), base=Base.PATH, source="weather.yaml")
    numbers(matcher, "18 C")
    assert miss(matcher, asked("41 C")).message() == (
        "no recorded request matches POST /v1/chat/completions; nearest is"
        ' #0 of weather.yaml (used already): /messages/0/content: recorded "18 C", got "41 C"\n'
        'then #1 of weather.yaml: /messages/0/content: recorded "40 C", got "41 C"'
    )


def test_the_nearest_comes_first_and_only_three_are_shown():
    matcher = Matcher(
        [
            interaction(asked("x", stop="y", n=2), number=0),
            interaction(asked("a"), number=1, url="https://other.example.com/v1"),
            interaction(asked("a"), number=2, method="PUT"),
            interaction(asked("x", n=2), number=3),
            interaction(asked("x"), number=4),
        ]
    )
    found = miss(matcher, asked("a"))
    assert [near.interaction.id for near in found.near] == [4, 3, 0]
    assert len(found.near) == NEAREST


def test_method_and_url_are_named_when_they_differ():
    found = miss(
        Matcher(recorded("a")), asked("a"), "put", "https://other.example.com/v2?key=s3cret"
    )
    assert found.message() == (
        "no recorded request matches PUT https://other.example.com/v2; nearest is"
        ' #0: method: recorded "POST", got "PUT";'
        ' url: recorded "https://api.example.com/v1/chat/completions",'
        ' got "https://other.example.com/v2"'
    )


def test_many_differences_are_counted_and_bounded():
    old = interaction(json.dumps(list(range(100))))
    found = miss(Matcher([old]), json.dumps(list(range(100, 200))))
    assert len(found.near[0].differences) == MAX_DIFFERENCES
    assert found.message().endswith("/2: recorded 2, got 102; and at least 7 more")
    fewer = miss(Matcher([old]), json.dumps([*range(95), 0, 0, 0, 0, 0]))
    assert fewer.message().endswith("; and 2 more")


def test_the_message_of_an_exhausted_sequence():
    matcher = Matcher(recorded("a", "b", "a"), source="c.yaml")
    numbers(matcher, "a", "a")
    found = miss(matcher, asked("a"))
    assert found.exhausted
    assert found.message() == (
        f"every recorded request that matches POST {URL} was used already: #0, #2 of c.yaml"
    )


@pytest.fixture
def bodies_read(monkeypatch):
    """The lengths of the bodies that were looked into."""
    lengths, real = [], canonical.redact_body

    def watched(body, *arguments, **rules):
        lengths.append(len(body))
        return real(body, *arguments, **rules)

    monkeypatch.setattr(canonical, "redact_body", watched)
    return lengths


def test_a_body_far_longer_than_any_recorded_one_is_a_miss_unread(bodies_read):
    matcher = Matcher(recorded("a", "b"), source="c.yaml")
    longest = len(asked("a"))
    bound = SPELLINGS * longest + SLACK
    body = asked("a") + b" " * (bound - longest)
    assert isinstance(matcher.find("POST", URL, body), Interaction)
    bodies_read.clear()
    found = miss(matcher, body + b" ", url=f"{URL}?key=secret")
    assert max(bodies_read) <= longest
    assert (found.near, found.too_long) == ((), (bound + 1, longest))
    assert found.message() == (
        f"no recorded request matches POST {URL}: request body of {bound + 1} bytes;"
        f" the longest recorded one has {longest}"
    )


def test_the_bytes_that_a_miss_compares_are_bounded(bodies_read):
    texts = ["x" * 3_000_000 + str(n) for n in range(5)]
    matcher = Matcher(recorded(*texts))
    bodies_read.clear()
    assert len(miss(matcher, asked("a")).near) == NEAREST
    assert [length for length in bodies_read if length > 3_000_000] == [len(asked(texts[0]))] * 3


def test_a_recording_that_differs_too_late_is_said_to_be_too_much():
    old = interaction(json.dumps([0] * 30_000 + [1]))
    message = miss(Matcher([old]), json.dumps([0] * 30_000 + [2])).message()
    assert message.endswith("nearest is #0: too much to compare")


def test_an_empty_cassette_says_so():
    message = miss(Matcher([], source="c.yaml"), b"").message()
    assert message == f"no recorded request matches POST {URL}; nothing is recorded in c.yaml"


@pytest.mark.parametrize(("old", "new"), [(b"abc", b"abd"), (b"{}", b"x"), (b"x", b"{}")])
def test_bodies_that_are_not_json_compare_as_bytes(old, new):
    matcher = Matcher([interaction(old)])
    assert isinstance(matcher.find("POST", URL, old), Interaction)
    assert "body: recorded" in miss(matcher, new).message()


def test_a_message_never_shows_a_key():
    matcher = Matcher([interaction(b'{"a":"b"}')])
    key = "sk-or-v1-0123456789abcdef0123"
    body = b'{"a":"%b"}' % key.encode()
    for url in (f"{URL}?key={key}", f"{URL}/{key}", f"http://[::1?key={key}"):
        found = miss(matcher, body, url=url)
        assert key not in found.message()
        assert key not in found.url


def test_a_message_never_shows_a_configured_secret():
    matcher = Matcher([interaction(b'{"a":"b"}')], redaction=Redaction(known=("hunter2",)))
    assert "hunter2" not in miss(matcher, b'{"a":"hunter2"}', url=f"{URL}/hunter2").message()


@needs_shared
@pytest.mark.parametrize("name", go_vcr_files())
def test_every_recording_answers_its_own_requests_in_order(name):
    cassette = load(recording(name))
    matcher = Matcher(cassette.interactions, base=Base.PATH)
    for item in cassette.interactions:
        assert matcher.find(item.request.method, item.request.url, item.request.body) is item
    assert matcher.unused() == ()


@needs_shared
def test_the_seed_with_another_tool_result_is_a_miss_with_its_pointer():
    first, second = load(recording(SEED)).interactions
    changed = second.request.body.replace(b"40 C", b"41 C")
    assert changed != second.request.body
    matcher = Matcher((first, second), base=Base.PATH, source="tool_streaming.yaml")
    message = miss(matcher, changed, url="/api/v1/chat/completions").message()
    assert message.splitlines()[0] == (
        "no recorded request matches POST /api/v1/chat/completions; nearest is"
        ' #1 of tool_streaming.yaml: /messages/3/content: recorded "40 C", got "41 C"'
    )
