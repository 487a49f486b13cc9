"""The route table and the table of who may call: each is checked by the other."""

import pytest

from arno.gateway.app import GatewayApp
from arno.gateway.keys import KeyRing
from arno.gateway.routes import POLICY, ROUTES, Access, Route, Table
from tests.gateway.harness import gateway_app, get, request, running_gateway

KEY = "sk-test-0123456789abcdef"


def test_every_route_has_a_policy_and_every_policy_a_route():
    assert {route.name for route in ROUTES} == set(POLICY)


def test_what_is_open_to_everybody_is_a_short_list():
    open_names = {name for name, access in POLICY.items() if access is Access.OPEN}
    lists = {"gemini.models", "model", "models", "models.endpoints"}
    assert open_names == {"health.live", "health.ready", *lists}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_answers_strangers_as_its_policy_says(route):
    path = route.path.replace("{author}", "arno").replace("{slug}", "harbour-1")
    path = path.replace("{model*}", "arno/harbour-1").replace("{id}", "gen-1")
    with running_gateway(gateway_app(keys=KeyRing([("a", KEY)]))) as url:
        status = request(url, route.method, path).status
    assert status == (401 if POLICY[route.name] is Access.KEY else 200)


def test_a_route_without_a_policy_is_closed_even_with_a_key():
    plain = gateway_app(keys=KeyRing([("a", KEY)]))
    new = Route("new", "GET", "/new", ROUTES[0].handler)
    app = GatewayApp(plain.gateway, routes=(*ROUTES, new))
    with running_gateway(app) as url:
        reply = get(url, "/new", {"Authorization": f"Bearer {KEY}"})
    assert (reply.status, reply.reason) == (403, "no_policy")


def test_a_bug_in_a_handler_is_masked():
    async def broken(_gateway, _request):
        raise RuntimeError("secret")

    app = GatewayApp(
        gateway_app().gateway,
        routes=(Route("new", "GET", "/new", broken),),
        policy={"new": Access.OPEN},
    )
    with running_gateway(app) as url:
        reply = get(url, "/new")
    assert (reply.status, reply.reason) == (500, "bug")
    assert b"secret" not in reply.body


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/a", ()),
        ("/m/x/y/e", ("x", "y")),
        ("/m/x/y:free/e", ("x", "y:free")),
        ("/m/x//e", None),
        ("/m/x/y/e/", None),
        ("/m/x/e", None),
        ("/A", None),
        ("", None),
    ],
)
def test_paths_are_matched_segment_by_segment(path, params):
    handler = ROUTES[0].handler
    table = Table((Route("a", "GET", "/a", handler), Route("m", "GET", "/m/{o}/{p}/e", handler)))
    found = table.find(path)
    assert (found if found is None else found[1]) == params


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        ("/m/x", "one", "x"),
        ("/m/x/y:free", "one", "x/y:free"),
        ("/m/x/y:free:run", "run", "x/y:free"),
        ("/m/:run", "one", ":run"),
        ("/m/:run:run", "run", ":run"),
        ("/m/", None, None),
        ("/n/x:run", None, None),
    ],
)
def test_a_rest_of_any_length_stands_between_start_and_end(path, name, rest):
    handler = ROUTES[0].handler
    table = Table(
        (Route("one", "GET", "/m/{x*}", handler), Route("run", "GET", "/m/{x*}:run", handler))
    )
    found = table.find(path)
    if name is None:
        assert found is None
    else:
        assert (found[0]["GET"].name, found[1]) == (name, (rest,))
