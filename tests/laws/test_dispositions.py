"""R13 over all pairs of dialects: what is lost or refused is exactly what the tables say.

For each client and each upstream: the request with every field, and each field alone. A mapped
field loses nothing, a dropped one is told by its name, a refused one refuses the request.
"""

import re
from collections.abc import Mapping

import msgspec
import pytest

from arno.canon.ext import Loss
from arno.canon.failure import RequestError
from arno.dialects import DIALECTS
from arno.dialects.dispositions import Disposition, table
from arno.wire import json
from tests.laws import parameters
from tests.laws.parameters import (
    BESIDE,
    alone,
    document,
    expected,
    golden,
    minimal,
    neutral,
    place,
    refused,
    told,
    without,
)

pytestmark = pytest.mark.slow

NOTHING: Mapping[str, str] = {}

PAIRS = [(client, target) for client in DIALECTS for target in DIALECTS]
ALONE = [
    (client, target, name)
    for client, target in PAIRS
    for name, field in table(client).items()
    if field.canon != "/model"
]


def places(client: str, losses: tuple[Loss, ...], *actions: str) -> set[str]:
    return {place(client, loss.path) for loss in losses if loss.action in actions}


def check(client: str, target: str, request: dict, beside: Mapping[str, str] = NOTHING) -> None:
    """The law for one request; beside: fields that others in it push out, and why."""
    refusals = expected(client, target, request, Disposition.REFUSED)
    if refusals:
        path = refused(client, target, request)
        assert path is not None
        assert any(is_about(place(client, path), place_) for place_ in refusals), path
        return
    _, losses = told(client, target, request)
    nearly = expected(client, target, request, Disposition.APPROXIMATED)
    dropped = expected(client, target, request, Disposition.DROPPED)
    told_places = {(place(client, loss.path), loss.why) for loss in losses}
    pushed = {path for path, why in told_places if beside.get(path) == why}
    assert places(client, losses, "dropped") - nearly - pushed == dropped
    # A limit that a wire must have although the client gave none is told, and no field is lost.
    asked = {place(client, name) for name, _ in parameters.fields(client, request)}
    assert places(client, losses, "approximated", "renamed") & asked <= nearly


def is_about(path: str, place_: str) -> bool:
    """One stands in the other: a refusal of the whole object names its member's field too."""
    return path == place_ or place_.startswith(f"{path}/") or path.startswith(f"{place_}/")


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_a_minimal_request_loses_nothing(client, target):
    check(client, target, minimal(client))


@pytest.mark.parametrize(("client", "target", "name"), ALONE)
def test_each_field_alone(client, target, name):
    check(client, target, alone(client, name))


NEUTRAL = [
    (client, target, name, value)
    for client, target, name in ALONE
    for value in table(client)[name].neutral
    # The word for a schema needs one beside it, as in the request with all fields.
    if client != target and value != "json_schema"
]


@pytest.mark.parametrize(("client", "target", "name", "value"), NEUTRAL)
def test_a_value_that_asks_for_nothing_loses_nothing(client, target, name, value):
    """`n: 1`, `store: false` and their like are neither refused nor told as lost."""
    request = neutral(client, name, value)
    _, losses = told(client, target, request)
    assert place(client, name) not in places(client, losses, "dropped", "approximated", "renamed")


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_all_fields_together(client, target):
    union = without(client, target, document(client), Disposition.REFUSED)
    assert not expected(client, target, union, Disposition.REFUSED)
    check(client, target, union, BESIDE.get(target, NOTHING) if client != target else NOTHING)


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_what_the_upstream_reads_is_the_golden_document(client, target):
    body = golden(client, target)
    kept = document(client if client == target else f"{client}.{target}")
    assert json.equal(body, kept), json.dumps(body).decode()


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_routing_reaches_no_upstream_of_another_dialect(client, target):
    """R14."""
    if client != target:
        union = without(client, target, document(client), Disposition.REFUSED)
        body = json.loads(told(client, target, union)[0])
        routed = {name for name, field in table(client).items() if field.routed}
        assert routed
        assert not routed & body.keys()


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_an_unknown_field_is_told_and_not_sent(client, target):
    """R14."""
    body, losses = told(client, target, minimal(client) | {"foo_bar": 1})
    if client == target:
        assert json.loads(body) == minimal(client) | {"foo_bar": 1}
        assert losses == ()
    else:
        assert b"foo_bar" not in body
        assert [loss.path for loss in losses if loss.action == "dropped"] == ["foo_bar"]


@pytest.mark.parametrize(("client", "target"), PAIRS)
def test_fields_without_a_value_lose_nothing(client, target):
    """Null and empty ask for nothing, whatever the field."""
    tops = {re.split(r"[.[]", name)[0] for name in table(client)}
    silent = dict.fromkeys(tops - minimal(client).keys() - {"model", "modelId"})
    losses = told(client, target, minimal(client) | silent)[1]
    assert losses == told(client, target, minimal(client))[1]


def test_the_law_notices_a_field_that_is_lost_in_silence(monkeypatch):
    """A mutant: an encoder that keeps its losses to itself."""
    request = alone("chat", "prediction")
    assert expected("chat", "messages", request, Disposition.DROPPED) == {"prediction"}
    monkeypatch.setattr(parameters, "encode_for", lambda value, client, target: (b"{}", ()))
    with pytest.raises(AssertionError):
        check("chat", "messages", request)


def test_the_law_notices_a_refusal_that_does_not_come(monkeypatch):
    """A mutant: an encoder that answers once where several answers were asked for."""
    request = alone("chat", "n")
    monkeypatch.setattr(parameters, "encode_for", lambda value, client, target: (b"{}", ()))
    with pytest.raises(AssertionError):
        check("chat", "messages", request)


def test_the_law_notices_a_loss_of_a_mapped_field(monkeypatch):
    """A mutant: an encoder that drops what the table says is mapped."""

    def forgetful(value, client, target):
        assert msgspec.to_builtins(value.sampling)["top_p"] is not None
        return b"{}", (Loss("top_p", "dropped", "a mutant"),)

    monkeypatch.setattr(parameters, "encode_for", forgetful)
    with pytest.raises(AssertionError):
        check("chat", "messages", alone("chat", "top_p"))


def test_a_refused_request_names_the_field_in_the_client_s_words():
    with pytest.raises(RequestError) as caught:
        told("chat", "messages", alone("chat", "n"))
    assert caught.value.path == "n"
