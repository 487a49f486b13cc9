"""Reading the catalogue: what is wrong is refused, with file and row in the text."""

import msgspec
import pytest

from arno.providers import CatalogueError, load_catalogue, shipped

ENDPOINT = """
[[endpoint]]
slug = "one"
name = "One"
dialect = "chat"
base_url = "https://one.example/v1"
"""
MODEL = """
[[model]]
id = "a/b"
canonical_slug = "a/b"
name = "B"
created = 1
served = { one = "b-1" }
"""
PRICE = """
[[price]]
endpoint = "one"
model = "a/b"
valid_from = "2026-01-02"
source = "test"
input = "1.25"
"""
GOOD = {"endpoints": ENDPOINT, "models": MODEL, "prices": PRICE, "names": '[slugs]\n"A B" = "ab"\n'}


def load(**changed):
    return load_catalogue(msgspec.structs.replace(shipped(), **{**GOOD, **changed}))


def test_the_plain_tables_of_these_tests_are_accepted():
    catalogue = load()
    assert catalogue.candidates_for("a/b")[0].upstream_model == "b-1"
    assert catalogue.prices[0].input == "1.25"
    assert catalogue.slug_of("A B") == "ab"


BAD_ROWS = [
    ("endpoints", ENDPOINT + "colour = 1\n", ["catalogue.toml", "endpoint 1", "one", "colour"]),
    ("endpoints", ENDPOINT + 'contract = "yes"\n', ["endpoint 1", "bool", "contract"]),
    ("endpoints", ENDPOINT + 'transport = "post"\n', ["endpoint 1", "post"]),
    ("endpoints", ENDPOINT.replace('name = "One"\n', ""), ["endpoint 1", "name"]),
    ("endpoints", ENDPOINT.replace('"one"', '"One Host"'), ["endpoint 1", "not a slug"]),
    ("endpoints", ENDPOINT.replace("https://", "ftp://"), ["endpoint 1", "base_url"]),
    ("endpoints", ENDPOINT.replace("/v1", "/v1/"), ["endpoint 1", "base_url"]),
    ("endpoints", ENDPOINT + 'price_as = "two"\n', ["catalogue.toml", "one", "price_as", "two"]),
    ("endpoints", ENDPOINT + ENDPOINT, ["catalogue.toml", "two rows", "one"]),
    ("endpoints", ENDPOINT + "[[model]]\n", ["catalogue.toml", "unknown table", "model"]),
    ("endpoints", "[endpoint]\nslug = 1\n", ["catalogue.toml", "[[endpoint]]"]),
    ("endpoints", "slug = ", ["catalogue.toml", "Invalid value"]),
    ("models", MODEL.replace("created = 1", 'created = "1"'), ["models.toml", "model 1", "a/b"]),
    ("models", MODEL.replace("one =", "two ="), ["models.toml", "a/b", "served", "two"]),
    ("models", MODEL + MODEL, ["models.toml", "two rows"]),
    ("models", MODEL + "[model.architecture]\nsmell = 1\n", ["models.toml", "smell"]),
    ("prices", PRICE.replace('"one"', '"two"'), ["prices.toml", "price 1", "endpoint", "two"]),
    ("prices", PRICE.replace("a/b", "a/c"), ["prices.toml", "price 1", "model", "a/c"]),
    ("prices", PRICE.replace('"1.25"', "1.25"), ["prices.toml", "price 1", "float", "input"]),
    ("prices", PRICE.replace("1.25", "1e3"), ["prices.toml", "price 1", "decimal"]),
    ("prices", PRICE.replace("1.25", "-1"), ["prices.toml", "price 1", "decimal"]),
    ("prices", PRICE.replace("1.25", "1.1234567891"), ["prices.toml", "price 1", "decimal"]),
    ("prices", PRICE.replace("2026-01-02", "2026-02-30"), ["prices.toml", "price 1"]),
    ("prices", PRICE.replace("2026-01-02", "20260102"), ["prices.toml", "price 1", "day"]),
    ("prices", PRICE.replace('input = "1.25"\n', ""), ["prices.toml", "price 1", "no rate"]),
    ("prices", PRICE + "over_input = -1\n", ["prices.toml", "price 1", "over_input"]),
    ("prices", PRICE + PRICE, ["prices.toml", "two rows", "2026-01-02"]),
    ("names", "[slugs]\nA = 1\n", ["names.toml", "slugs"]),
]


@pytest.mark.parametrize(("table", "text", "words"), BAD_ROWS)
def test_a_wrong_row_is_refused_and_named(table, text, words):
    with pytest.raises(CatalogueError) as refused:
        load(**{table: text})
    assert [word for word in words if word not in str(refused.value)] == []


def test_empty_tables_are_an_empty_catalogue():
    catalogue = load_catalogue(
        msgspec.structs.replace(
            shipped(), endpoints="endpoint = []", models="model = []", prices="price = []", names=""
        )
    )
    assert not catalogue.models
    assert catalogue.candidates_for("a/b") == ()
