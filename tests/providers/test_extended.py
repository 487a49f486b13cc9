"""A catalogue with rows of one's own: what replaces what, and what dangles."""

import msgspec
import pytest

from arno.providers import CatalogueError, Endpoint, Model, Price, Tables, load_catalogue

ONE = Endpoint(
    slug="one", name="One", dialect="chat", base_url="https://one/v1", unlisted_models=True
)
TWO = Endpoint(slug="two", name="Two", dialect="chat", base_url="https://two/v1")
HUB = Endpoint(
    slug="hub",
    name="Hub",
    dialect="chat",
    base_url="https://hub/v1",
    contract=True,
    unlisted_models=True,
)


def endpoint(slug, **members):
    return Endpoint(slug=slug, name=slug, dialect="chat", base_url=f"https://{slug}", **members)


def model(name, served, **members):
    return Model(id=name, canonical_slug=name, name=name, created=1, served=served, **members)


def price(endpoint, name, rate, **members):
    return Price(
        endpoint=endpoint,
        model=name,
        valid_from="2026-01-02",
        source="test",
        input=rate,
        **members,
    )


def empty():
    tables = Tables(endpoints="endpoint = []", models="model = []", prices="price = []", names="")
    return load_catalogue(tables)


@pytest.fixture
def base():
    return empty().extended(
        endpoints=[ONE, TWO, HUB],
        models=[
            model("a/b", {"one": "b-1", "two": "b-2"}),
            model("one/listed", {"two": "listed-2"}),
        ],
    )


def asked(catalogue, name):
    return [(c.endpoint.slug, c.upstream_model, c.model) for c in catalogue.candidates_for(name)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b", [("one", "b-1", "a/b"), ("two", "b-2", "a/b")]),
        # Listed, so it is nobody else's although its author is the slug of an endpoint.
        ("one/listed", [("two", "listed-2", "one/listed")]),
        ("one/new", [("one", "new", "one/new"), ("hub", "one/new", "one/new")]),
        ("one/x/y", [("one", "x/y", "one/x/y"), ("hub", "one/x/y", "one/x/y")]),
        # The id there of a listed model: prices are found under its id here.
        ("one/b-1", [("one", "b-1", "a/b"), ("hub", "one/b-1", "one/b-1")]),
        ("two/new", [("hub", "two/new", "two/new")]),
        ("x/y:free", [("hub", "x/y:free", "x/y:free")]),
        ("hub/x/y", [("hub", "x/y", "x/y")]),
        ("hub/auto", [("hub", "hub/auto", "hub/auto")]),
        ("one/", [("hub", "one/", "one/")]),
        ("one", [("hub", "one", "one")]),
        ("", []),
    ],
)
def test_what_a_model_means(base, name, expected):
    assert asked(base, name) == expected


def test_without_a_contract_endpoint_only_its_own_slug_reaches_an_endpoint(base):
    plain = base.only(["one", "two"])
    assert asked(plain, "one/new") == [("one", "new", "one/new")]
    assert asked(plain, "two/new") == asked(plain, "x/y") == asked(plain, "new") == []


def test_weights_stand_on_the_candidates(base):
    row = model("w", {"one": "w-1", "two": "w-2"}, weights={"one": 3, "two": 1.5})
    found = base.extended(models=[row]).candidates_for("w")
    assert [c.weight for c in found] == [3, 1.5]
    assert [c.weight for c in base.candidates_for("a/b")] == [None, None]


@pytest.mark.parametrize("weights", [{"one": 1}, {"one": 1, "two": 0}, {"one": 1, "two": -1}])
def test_weights_are_positive_and_for_all(weights):
    with pytest.raises(ValueError, match="weight"):
        model("w", {"one": "w-1", "two": "w-2"}, weights=weights)


def test_a_row_replaces_the_one_of_its_name(base):
    moved = msgspec.structs.replace(TWO, base_url="https://elsewhere/v1")
    found = base.extended(endpoints=[moved], models=[model("a/b", {"two": "b-3"})])
    [candidate] = found.candidates_for("a/b")
    assert (candidate.endpoint.base_url, candidate.upstream_model) == (moved.base_url, "b-3")
    assert list(found.endpoints) == ["one", "two", "hub"]
    assert len(base.candidates_for("a/b")) == 2


def test_a_new_row_of_an_endpoint_out_of_use_is_in_use(base):
    assert list(base.only(["one"]).extended(endpoints=[TWO]).endpoints) == ["one", "two"]


def rates(catalogue, slug, name):
    return [(row.input, row.estimate) for row in catalogue.prices_for(slug, name)]


def test_a_price_names_a_model_by_its_id_here_or_there(base):
    found = base.extended(
        models=[model("short", {"one": "b-1"})],
        prices=[
            price("one", "b-1", "1"),
            price("one", "new", "2"),
            price("hub", "x/y", "3"),
            price("two", "a/b", "4"),
        ],
    )
    assert rates(found, "one", "a/b") == rates(found, "one", "short") == [("1", False)]
    assert rates(found, "one", "one/new") == [("2", False)]
    assert rates(found, "hub", "x/y") == [("3", False)]
    assert rates(found, "two", "a/b") == [("4", False)]
    assert {row.model for row in found.prices if row.endpoint == "one"} == {
        "a/b",
        "short",
        "one/new",
    }
    for asked_for, slug in (("one/new", "one"), ("one/b-1", "one"), ("hub/x/y", "hub")):
        candidate = found.candidates_for(asked_for)[0]
        assert rates(found, slug, candidate.model), asked_for


def test_of_two_names_the_id_here_counts_and_one_of_a_sibling_last(base):
    siblings = [model("short", {"one": "b-1"}), model("other", {"one": "b-1"})]
    found = base.extended(
        models=siblings, prices=[price("one", "a/b", "1"), price("one", "short", "2")]
    )
    assert rates(found, "one", "a/b") == [("1", False)]
    assert rates(found, "one", "short") == [("2", False)]
    assert rates(found, "one", "other") == [("1", False)]
    both = base.extended(
        models=siblings, prices=[price("one", "b-1", "3"), price("one", "short", "2")]
    )
    assert rates(both, "one", "other") == rates(both, "one", "a/b") == [("3", False)]


def test_new_prices_hide_older_ones_of_the_same_model_by_any_name(base):
    older = base.extended(
        prices=[
            price("one", "a/b", "1"),
            price("one", "a/b", "2", served_by="Host"),
            price("one", "new", "3"),
            price("two", "a/b", "4"),
        ]
    )
    newer = older.extended(prices=[price("one", "b-1", "9")])
    assert rates(newer, "one", "a/b") == [("9", False)]
    assert rates(newer, "one", "one/new") == [("3", False)]
    assert rates(newer, "two", "a/b") == [("4", False)]
    assert rates(older, "one", "a/b") == [("1", False), ("2", False)]


def test_borrowed_prices_are_found_under_the_ids_of_the_borrower(base):
    copy = msgspec.structs.replace(ONE, slug="copy", price_as="one")
    row = model("a/b", {"one": "b-1", "copy": "b-9"})
    mine = [price("one", "new", "1"), price("one", "b-1", "2"), price("copy", "b-9", "7")]
    found = base.extended(endpoints=[copy], models=[row], prices=mine[:2])
    assert rates(found, "copy", "copy/new") == [("1", False)]
    assert rates(found, "copy", "a/b") == [("2", False)]
    assert rates(found.only(["copy"]), "copy", "copy/new") == [("1", False)]
    own = base.extended(endpoints=[copy], models=[row], prices=mine)
    assert rates(own, "copy", "a/b") == [("7", False)]


def test_guesses_are_not_lent(base):
    copy = msgspec.structs.replace(ONE, slug="copy", price_as="one")
    guesses = [price("one", "new", "1", estimate=True), price("one", "other", "2", estimate=True)]
    found = base.extended(endpoints=[copy], prices=[price("one", "new", "3")])
    found = found.with_estimates([], guesses)
    assert rates(found, "copy", "copy/new") == [("3", False)]
    assert rates(found, "copy", "copy/other") == []


def test_an_alias_stands_for_a_listed_model_or_one_at_an_endpoint(base):
    names = {"best": "a/b", "raw": "one/new", "one/listed": "a/b"}
    found = base.extended(aliases=names)
    for alias, name in names.items():
        assert asked(found, alias) == asked(base, name)
    assert found.aliases == names
    assert found.extended(aliases={"raw": "a/b"}).aliases == {**names, "raw": "a/b"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"models": [model("m", {"three": "m"})]}, ["models", "m", "served", "three"]),
        ({"prices": [price("three", "m", "1")]}, ["prices", "endpoint", "three"]),
        ({"prices": [price("two", "m", "1")]}, ["prices", "model", "'m'"]),
        ({"prices": [price("one", "m", "1")] * 2}, ["prices", "two rows"]),
        ({"endpoints": [endpoint("x", price_as="y")]}, ["endpoints", "x", "price_as", "y"]),
        ({"endpoints": [endpoint("x", quirks=("odd",))]}, ["endpoints", "x", "quirks", "odd"]),
        ({"aliases": {"n": "two/m"}}, ["alias", "'n'", "two/m", "nobody serves"]),
        ({"aliases": {"n": "a/b", "m": "n"}}, ["alias", "'m'", "'n'", "alias itself"]),
        ({"aliases": {"n": "n"}}, ["alias", "'n'", "alias itself"]),
    ],
)
def test_what_dangles_is_named(base, rows, words):
    with pytest.raises(CatalogueError) as refused:
        base.only(["one", "two"]).extended(**rows)
    assert [word for word in words if word not in str(refused.value)] == []


def test_estimates_fill_gaps_and_replace_nothing(base):
    firm = base.extended(prices=[price("one", "b-1", "1")])
    guesses = [
        price("one", "b-1", "8", estimate=True),
        price("one", "new", "9", estimate=True),
        price("hub", "x/y", "9", estimate=True),
        price("gone", "x", "9", estimate=True),
    ]
    listed = [
        model("one/b-1", {"one": "b-1"}),
        model("a/b", {"hub": "a/b"}),
        model("one/new", {"one": "new", "gone": "new"}),
        model("gone/x", {"gone": "x"}),
    ]
    found = firm.with_estimates(listed, guesses)
    assert list(found.models) == ["a/b", "one/listed", "one/new"]
    assert asked(found, "a/b") == asked(firm, "a/b")
    assert asked(found, "one/new") == [("one", "new", "one/new")]
    assert rates(found, "one", "a/b") == [("1", False), ("8", True)]
    assert rates(found, "one", "one/new") == [("9", True)]
    assert rates(found, "hub", "x/y") == [("9", True)]
    # A second set takes the place of the first.
    again = found.with_estimates([], guesses[1:])
    assert rates(again, "one", "a/b") == [("1", False)]
    assert rates(again.extended(prices=[price("one", "new", "2")]), "one", "one/new") == [
        ("2", False)
    ]
