"""Addresses with variables."""

import pytest

from arno.providers import CatalogueError, Endpoint, load_catalogue
from arno.providers.environment import VariableError, filled, placed, switched_on
from arno.providers.templates import FIELDS, fill, sample, variables
from arno.transport.url import parse_url

FILLED = [
    ("https://h.example/v1", {}, "https://h.example/v1"),
    (
        "https://{resource}.openai.azure.com/openai/v1",
        {"resource": "My-Resource1"},
        "https://My-Resource1.openai.azure.com/openai/v1",
    ),
    (
        "https://bedrock-runtime.{region}.amazonaws.com",
        {"region": "us-gov-west-1"},
        "https://bedrock-runtime.us-gov-west-1.amazonaws.com",
    ),
    (
        "https://{aiplatform_host}/v1/projects/{project}/locations/{region}",
        {"region": "us-east5", "project": "example.com:my-project"},
        "https://us-east5-aiplatform.googleapis.com/v1/projects/example.com:my-project/locations/us-east5",
    ),
    (
        "https://{aiplatform_host}/v1",
        {"region": "global"},
        "https://aiplatform.googleapis.com/v1",
    ),
    (
        "https://{aiplatform_host}/v1",
        {"region": "eu"},
        "https://aiplatform.eu.rep.googleapis.com/v1",
    ),
]
MOVES_THE_HOST = "#@/?\\%"
"""Signs that end a host's name, or hide one that does."""


@pytest.mark.parametrize(("template", "values", "address"), FILLED)
def test_what_an_address_becomes(template, values, address):
    assert fill(template, values) == address
    parse_url(address)


def test_which_fields_an_address_needs():
    assert variables("https://h") == ()
    assert variables("https://{aiplatform_host}/{project}/{region}") == ("region", "project")
    for template in ("https://{host}", "https://{}", "https://{region.x}", "https://{ region}"):
        with pytest.raises(ValueError, match="a variable that is none of"):
            variables(template)
    assert sample("https://{resource}.h/{project}") == "https://aa.h/aa"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("sign", MOVES_THE_HOST)
@pytest.mark.parametrize("value", ["a{}b", "{}a", "a{}", "evil.example{}"])
def test_a_value_that_could_move_the_host_is_refused(field, sign, value):
    """Threat model, template URLs: the key would go to whom the value names."""
    value = value.format(sign)
    template = f"https://{{{field}}}.openai.azure.com"
    with pytest.raises(ValueError, match=f"^{field}: expected ") as error:
        fill(template, {field: value})
    assert value not in str(error.value)
    row = {"slug": "a", "name": "a", "dialect": "chat", "base_url": template}
    with pytest.raises(ValueError, match=f"^{field}: expected "):
        Endpoint(**row, **{field: value})
    endpoint = Endpoint(**row, field_env={field: ("THE_FIELD",)})
    with pytest.raises(VariableError) as refused:
        filled(endpoint, {"THE_FIELD": value})
    assert refused.value.variable == "THE_FIELD"
    assert value not in str(refused.value)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value", ["", ".", "..", "a.b", "a b", "a\n", "a\0", "ä", "-a", "a" * 200, "a:b@c", "{region}"]
)
def test_other_values_that_are_no_names(field, value):
    assert not FIELDS[field].holds(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region", "us-east-1"),
        ("region", "ap-southeast-2"),
        ("region", "europe-west4"),
        ("region", "global"),
        ("region", "us"),
        ("project", "my-project-123456"),
        ("project", "123456789012"),
        ("project", "example.com:my-project"),
        ("resource", "fantasy-playground-resource"),
        ("resource", "R2"),
    ],
)
def test_real_names_are_taken(field, value):
    assert FIELDS[field].holds(value)


def test_no_template_gives_an_address_that_is_none():
    """Whatever the patterns let through, the host is the one of the row."""
    values = {
        "region": ["us-east-1", "global", "eu", "a" * 16],
        "project": ["p1", "a.b:cc", "9" * 12],
        "resource": ["A", "a-b", "z" * 63],
    }
    for row in load_catalogue().known.values():
        needed = variables(row.base_url)
        for n in range(4):
            chosen = {name: values[name][n % len(values[name])] for name in needed}
            host = parse_url(fill(row.base_url, chosen)).origin.host
            if needed:
                assert host.endswith((".amazonaws.com", ".api.aws", ".azure.com", "googleapis.com"))


ROW = Endpoint(
    slug="cloud",
    name="Cloud",
    dialect="chat",
    base_url="https://{region}.example/v1",
    key_env="CLOUD_KEY",
    switch_env=("CLOUD_LOGIN",),
    field_env={"region": ("CLOUD_REGION", "CLOUD_PLACE")},
)


@pytest.mark.parametrize(
    ("environ", "on", "address"),
    [
        ({}, False, "https://{region}.example/v1"),
        ({"CLOUD_KEY": "k"}, False, "https://{region}.example/v1"),
        ({"CLOUD_REGION": "eu"}, False, "https://eu.example/v1"),
        ({"CLOUD_KEY": "k", "CLOUD_REGION": "eu"}, True, "https://eu.example/v1"),
        ({"CLOUD_LOGIN": "x", "CLOUD_PLACE": "us"}, True, "https://us.example/v1"),
        (
            {"CLOUD_KEY": "k", "CLOUD_REGION": "", "CLOUD_PLACE": "us"},
            True,
            "https://us.example/v1",
        ),
        (
            {"CLOUD_KEY": "k", "CLOUD_REGION": "eu", "CLOUD_PLACE": "us"},
            True,
            "https://eu.example/v1",
        ),
    ],
)
def test_the_environment_fills_an_address(environ, on, address):
    assert switched_on(ROW, environ) is on
    assert placed(ROW, environ).base_url == address
    assert bool(placed(ROW, environ).missing) is ("{" in address)


def test_what_the_row_says_goes_before_the_environment():
    row = Endpoint(slug="a", name="a", dialect="chat", base_url=ROW.base_url, region="here")
    assert filled(row, {"CLOUD_REGION": "eu"}).base_url == "https://here.example/v1"


BAD_ROWS = [
    ({"base_url": "https://{host}.example"}, "variable"),
    ({"headers": {"authorization": "Bearer x"}}, "authorization"),
    ({"headers": {"Cookie": "x"}}, "Cookie"),
    ({"headers": {"x-a": "b\r\nx-b: c"}}, "x-a"),
    ({"headers": {"x a": "b"}}, "x a"),
    ({"query": "a"}, "query"),
    ({"query": "a=b#c"}, "query"),
    ({"query": "a=%20"}, "query"),
    ({"field_env": {"host": ("A",)}}, "host"),
]


@pytest.mark.parametrize(("members", "said"), BAD_ROWS)
def test_what_a_row_must_not_say(members, said):
    good = {"slug": "a", "name": "a", "dialect": "chat", "base_url": "https://h.example"}
    Endpoint(**good)
    with pytest.raises(ValueError, match=said):
        Endpoint(**{**good, **members})


UNKNOWN = [
    ({"road": "nowhere"}, "road names 'nowhere'"),
    ({"road": "vertex_gemini"}, "dialect names 'chat'"),
    ({"variant_of": "nobody"}, "variant_of names 'nobody'"),
    ({"variant_of": "openai-responses"}, "variant_of names 'openai-responses'"),
]


@pytest.mark.parametrize(("members", "said"), UNKNOWN)
def test_what_a_row_must_not_name(members, said):
    row = Endpoint(slug="a", name="a", dialect="chat", base_url="https://h.example", **members)
    with pytest.raises(CatalogueError, match=said):
        load_catalogue().extended(endpoints=[row])
