"""R28, R30: whom a client's `provider` preferences and fallback `models` leave, in which order."""

import random
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.providers import Candidate
from arno.providers.rows import Endpoint
from arno.routing.candidates import by_weight, choose, prefer


def endpoint(slug, name=None, *, contract=False):
    return Endpoint(
        slug=slug,
        name=name or slug.title(),
        dialect="chat",
        base_url="http://up",
        contract=contract,
    )


MOON = endpoint("moonshotai", "Moonshot AI")
DEEP = endpoint("deepinfra", "DeepInfra")
FAST = endpoint("fast")
GATE = endpoint("openrouter", "OpenRouter", contract=True)

SERVED = {
    "m/one": (MOON, DEEP, FAST),
    "m/gated": (MOON, DEEP, GATE),
    "m/two": (DEEP, FAST),
}


def lookup(model):
    return tuple(Candidate(row, f"{model}@{row.slug}", model) for row in SERVED.get(model, ()))


def slugs(preferences, model="m/one"):
    return [candidate.endpoint.slug for candidate in choose([model], lookup, preferences)]


PREFERENCES = [
    (None, ["moonshotai", "deepinfra", "fast"]),
    ({}, ["moonshotai", "deepinfra", "fast"]),
    ({"order": ["fast"]}, ["fast", "moonshotai", "deepinfra"]),
    ({"order": ["fast", "deepinfra"]}, ["fast", "deepinfra", "moonshotai"]),
    ({"order": ["nobody", "deepinfra"]}, ["deepinfra", "moonshotai", "fast"]),
    ({"only": ["deepinfra"]}, ["deepinfra"]),
    ({"only": ["fast", "moonshotai"]}, ["moonshotai", "fast"]),
    ({"only": ["nobody"]}, []),
    ({"ignore": ["moonshotai"]}, ["deepinfra", "fast"]),
    ({"ignore": ["nobody"]}, ["moonshotai", "deepinfra", "fast"]),
    ({"only": ["fast", "deepinfra"], "ignore": ["fast"]}, ["deepinfra"]),
    ({"only": ["fast", "deepinfra"], "order": ["fast"]}, ["fast", "deepinfra"]),
    ({"allow_fallbacks": False}, ["moonshotai"]),
    ({"allow_fallbacks": True}, ["moonshotai", "deepinfra", "fast"]),
    ({"allow_fallbacks": False, "ignore": ["moonshotai"]}, ["deepinfra"]),
    ({"allow_fallbacks": False, "order": ["fast", "deepinfra"]}, ["fast", "deepinfra"]),
    ({"allow_fallbacks": False, "order": ["nobody"]}, []),
    ({"allow_fallbacks": False, "order": []}, ["moonshotai"]),
]


@pytest.mark.parametrize(
    ("preferences", "expected"), PREFERENCES, ids=[str(p) for p, _ in PREFERENCES]
)
def test_preferences_choose_among_our_endpoints(preferences, expected):
    """The table of openrouter-api 5.1."""
    assert slugs(preferences) == expected


GATED = [
    ({"only": ["deepinfra"]}, ["deepinfra", "openrouter"]),
    ({"only": ["nobody"]}, ["openrouter"]),
    ({"ignore": ["moonshotai"]}, ["deepinfra", "openrouter"]),
    ({"ignore": ["openrouter", "moonshotai"]}, ["deepinfra"]),
    ({"data_collection": "deny"}, ["openrouter"]),
    ({"zdr": True}, ["openrouter"]),
    ({"data_collection": "allow", "zdr": False}, ["moonshotai", "deepinfra", "openrouter"]),
    ({"order": ["openrouter"]}, ["openrouter", "moonshotai", "deepinfra"]),
    ({"order": ["deepinfra"], "allow_fallbacks": False}, ["deepinfra", "openrouter"]),
    ({"allow_fallbacks": False}, ["moonshotai"]),
]


@pytest.mark.parametrize(("preferences", "expected"), GATED, ids=[str(p) for p, _ in GATED])
def test_a_gateway_of_the_contract_is_kept_and_applies_them_itself(preferences, expected):
    assert slugs(preferences, "m/gated") == expected


NAMES = [
    ("moonshotai", True),
    ("MoonshotAI", True),
    ("Moonshot AI", True),
    ("moonshot ai", True),
    ("moonshotai/turbo", True),
    ("MOONSHOTAI/Turbo", True),
    ("Moonshot AI/turbo", True),
    ("moonshot", False),
    ("turbo/moonshotai", False),
    ("", False),
    ("/moonshotai", False),
]


@pytest.mark.parametrize(("name", "known"), NAMES)
def test_slugs_variants_and_display_names_in_any_case(name, known):
    """openrouter-api 5.1: base slug, `slug/variant`, display name."""
    assert (slugs({"only": [name]}) == ["moonshotai"]) is known
    assert ("moonshotai" not in slugs({"ignore": [name]})) is known
    assert (slugs({"order": [name, "deepinfra"]})[0] == "moonshotai") is known


ODD = [
    "fast",
    ["fast"],
    7,
    True,
    {"order": "fast"},
    {"only": "fast"},
    {"ignore": {"fast": 1}},
    {"order": [None, 7, ["fast"]]},
    {"only": None, "ignore": None, "order": None},
    {"allow_fallbacks": None},
    {"allow_fallbacks": "false"},
    {"allow_fallbacks": 0},
]


@pytest.mark.parametrize("preferences", ODD, ids=str)
def test_preferences_of_another_shape_change_nothing(preferences):
    assert slugs(preferences) == ["moonshotai", "deepinfra", "fast"]


def chosen(models, preferences=None):
    return [candidate.upstream_model for candidate in choose(models, lookup, preferences)]


def test_fallback_models_come_after_all_endpoints_of_the_model():
    assert chosen(["m/one", "m/two"]) == [
        "m/one@moonshotai",
        "m/one@deepinfra",
        "m/one@fast",
        "m/two@deepinfra",
        "m/two@fast",
    ]


def test_a_model_that_nobody_may_serve_leaves_the_next_one():
    """The first model's endpoints fail the `only` filter: the fallback model answers."""
    assert chosen(["m/none", "m/two"]) == ["m/two@deepinfra", "m/two@fast"]
    SERVED["m/moon"] = (MOON,)
    try:
        assert chosen(["m/moon", "m/two"], {"only": ["fast"]}) == ["m/two@fast"]
    finally:
        del SERVED["m/moon"]


def test_preferences_hold_within_each_model():
    assert chosen(["m/one", "m/two"], {"order": ["fast"], "ignore": ["moonshotai"]}) == [
        "m/one@fast",
        "m/one@deepinfra",
        "m/two@fast",
        "m/two@deepinfra",
    ]


def test_a_candidate_is_tried_once():
    assert chosen(["m/two", "m/two", "m/one"])[:2] == ["m/two@deepinfra", "m/two@fast"]
    assert len(chosen(["m/two", "m/two"])) == 2


def test_one_upstream_model_under_two_ids_is_one_candidate():
    def same(model):
        return (Candidate(FAST, "the-same", model),)

    (candidate,) = choose(["a", "b"], same, None)
    assert candidate.model == "a"


def test_no_candidates_are_no_candidates():
    assert choose(["m/none"], lookup, {"order": ["fast"], "allow_fallbacks": False}) == ()
    assert prefer((), {"only": ["fast"]}) == ()


WEIGHTS = {MOON: 6.0, DEEP: 3.0, FAST: 1.0}
WEIGHTED = tuple(Candidate(row, "up", "m", weight) for row, weight in WEIGHTS.items())
DRAWS = 20_000


def chance(order, weights):
    """How likely an order is: each place in proportion to the weights that are left."""
    likely, left = 1.0, sum(weights[row] for row in order)
    for row in order:
        likely *= weights[row] / left
        left -= weights[row]
    return likely


def counted(candidates, preferences=None):
    """How often each order came, over many draws of a fixed seed."""
    draw = random.Random(20260312).random
    return Counter(
        tuple(c.endpoint for c in choose(["m"], lambda _: candidates, preferences, draw))
        for _ in range(DRAWS)
    )


def assert_proportions(counts, expected):
    """Within five standard deviations of what is expected, each of them and nothing else."""
    assert counts.keys() <= expected.keys()
    for order, likely in expected.items():
        spread = (DRAWS * likely * (1 - likely)) ** 0.5
        assert abs(counts[order] - DRAWS * likely) <= 5 * spread, order


def test_every_order_is_as_likely_as_the_weights_say():
    """The first in proportion to the weights, and each later place among those that are left."""
    expected = {order: chance(order, WEIGHTS) for order in permutations(WEIGHTS)}
    assert sum(expected.values()) == pytest.approx(1)
    assert_proportions(counted(WEIGHTED), expected)


def test_the_proportions_of_those_that_a_preference_leaves_stay():
    rest = {row: weight for row, weight in WEIGHTS.items() if row != MOON}
    expected = {order: chance(order, rest) for order in permutations(rest)}
    assert_proportions(counted(WEIGHTED, {"ignore": ["moonshotai"]}), expected)


def test_without_fallbacks_the_one_that_is_drawn_is_left():
    expected = {(row,): weight / sum(WEIGHTS.values()) for row, weight in WEIGHTS.items()}
    assert_proportions(counted(WEIGHTED, {"allow_fallbacks": False}), expected)


def test_a_clients_order_goes_before_chance():
    orders = counted(WEIGHTED, {"order": ["fast"]})
    assert {order[0] for order in orders} == {FAST}
    assert len(orders) == 2


def test_candidates_without_weights_keep_their_order_and_cost_no_draw():
    def draw():
        raise AssertionError("nothing is left to chance here")

    assert choose(["m/one"], lookup, None, draw) == lookup("m/one")
    mixed = (*lookup("m/one")[:1], *WEIGHTED[1:])
    assert by_weight(mixed, lambda: 0.0)[-1] is mixed[0]


@given(
    weights=st.lists(st.floats(1e-6, 1e6), max_size=6),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=6, max_size=6),
)
def test_every_draw_gives_each_candidate_once(weights, draws):
    candidates = tuple(Candidate(MOON, str(n), "m", weight) for n, weight in enumerate(weights))
    found = by_weight(candidates, iter(draws).__next__)
    assert sorted(found, key=candidates.index) == list(candidates)


@pytest.mark.parametrize(
    ("point", "first"), [(0.0, MOON), (0.59, MOON), (0.6, DEEP), (0.89, DEEP), (0.9, FAST)]
)
def test_where_a_draw_falls(point, first):
    assert by_weight(WEIGHTED, lambda: point)[0].endpoint is first
