"""Several cassettes as one source: the file is named on a miss, and the models it speaks for."""

import pytest

from arno.cassette.canonical import Base
from arno.cassette.index import Index, NamedCassette, Unmatched, asked_models
from arno.cassette.match import Policy
from arno.cassette.model import Cassette
from tests.cassette.files import interaction

URL = "https://api.example.com/v1/chat/completions"


def named(name, *bodies):
    items = (interaction(body, number=n, answer=body) for n, body in enumerate(bodies))
    return NamedCassette(Cassette(tuple(items)), name)


def test_a_request_is_answered_by_the_first_cassette_that_has_it():
    index = Index([named("a", b'{"x":1}'), named("b", b'{ "x":1}', b'{"x":2}')])
    assert index.find("POST", URL, b'{"x":1}').response.body == b'{"x":1}'
    assert index.find("POST", URL, b'{"x":2}').response.body == b'{"x":2}'


def test_a_policy_holds_over_all_cassettes():
    index = Index([named("a", b'{"x":1}'), named("b", b'{ "x":1}')], Policy.SEQUENCE)
    found = [index.find("POST", URL, b'{"x":1}') for _ in range(3)]
    assert [item.response.body for item in found[:2]] == [b'{"x":1}', b'{ "x":1}']
    assert isinstance(found[2], Unmatched)
    assert "used already: #0 of a" in found[2].message


def test_unused_are_those_that_answered_nothing():
    index = Index([named("a", b'{"x":1}', b'{"x":2}')])
    index.find("POST", URL, b'{"x":2}')
    assert [item.id for item in index.unused()] == [0]


def test_hosts_decide_only_when_asked_for():
    other = "http://127.0.0.1:1/v1/chat/completions"
    assert not isinstance(Index([named("a", b"{}")]).find("POST", other, b"{}"), Unmatched)
    strict = Index([named("a", b"{}")], base=Base.URL)
    assert isinstance(strict.find("POST", other, b"{}"), Unmatched)


def test_a_miss_names_the_nearest_of_all_files_best_first():
    index = Index(
        [
            named("a.yaml", b'{"x":9,"y":9}'),
            named("b.yaml", b'{"x":9,"y":9}', b'{"x":1,"y":3}'),
        ]
    )
    miss = index.find("POST", URL, b'{"x":1,"y":2}')
    assert isinstance(miss, Unmatched)
    assert [(near.source, near.id) for near in miss.nearest] == [
        ("b.yaml", 1),
        ("a.yaml", 0),
        ("b.yaml", 0),
    ]
    assert miss.nearest[0].differences == ("/y: recorded 3, got 2",)
    assert "nearest is #1 of b.yaml: /y: recorded 3, got 2" in miss.message
    assert "a.yaml" not in miss.message


def test_a_miss_without_any_recording_says_so():
    miss = Index([]).find("POST", URL, b"{}")
    assert isinstance(miss, Unmatched)
    assert miss.message.endswith("nothing is recorded")
    assert miss.nearest == ()


@pytest.mark.parametrize(
    ("bodies", "models"),
    [
        ((b'{"model":"a/b"}', b'{"model":"c/d"}', b'{"model":"a/b"}'), ("a/b", "c/d")),
        ((b'{"model":1}', b'{"model":""}', b"[]", b"{", b"", b'{"x":{"model":"n"}}'), ()),
    ],
)
def test_models_are_those_that_requests_ask_for(bodies, models):
    assert asked_models(named("a", *bodies).cassette) == models
    assert Index([named("a", *bodies)]).models() == models
