"""R28, R30: whom a client's `provider` preferences and fallback `models` leave, in which order."""

import pytest

from arno.providers import Candidate
from arno.providers.rows import Endpoint
from arno.routing.candidates import choose, prefer


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
