"""Which providers are on, where they are, and what a file changes of a shipped row."""

import pytest

from arno.dialects import DIALECTS
from tests.gateway.config.building import SHIPPED, UPSTREAM, configured, problems

DIALECT_NAMES = ", ".join(map(repr, DIALECTS))
LAB = '[provider.lab]\nbase_url = "http://127.0.0.1:9/v1"\n'


def on(config):
    return [upstream.endpoint.slug for upstream in config.live]


def test_nothing_said_and_nothing_set_is_recordings_alone(tmp_path):
    config = configured(tmp_path, "")
    assert on(config) == []
    assert list(config.catalogue.endpoints) == ["replay"]


def test_a_key_in_the_environment_switches_a_row_on(tmp_path):
    config = configured(tmp_path, "", {"GROQ_API_KEY": UPSTREAM, "OPENAI_API_KEY": ""})
    assert on(config) == ["groq", "groq-responses"]
    groq = config.upstreams["groq"]
    assert (groq.origin, groq.address) == ("environment GROQ_API_KEY", "shipped row")
    assert config.upstream_key("groq") == UPSTREAM
    assert config.upstreams["openai"].origin == "set OPENAI_API_KEY"
    assert list(config.catalogue.endpoints) == ["groq", "groq-responses", "replay"]
    assert config.upstream_key("groq-responses") == UPSTREAM


def test_an_address_in_the_environment_switches_a_local_row_on(tmp_path):
    config = configured(tmp_path, "", {"VLLM_BASE_URL": "http://127.0.0.1:8123/v1"})
    vllm = config.upstreams["vllm"]
    assert vllm.endpoint.base_url == "http://127.0.0.1:8123/v1"
    assert (vllm.address, vllm.key) == ("environment VLLM_BASE_URL", None)


def test_a_wrong_address_in_the_environment_is_told(tmp_path):
    [line] = problems(tmp_path, "", {"VLLM_BASE_URL": "127.0.0.1:8123"})
    assert line.startswith("environment VLLM_BASE_URL: ")


def test_the_first_variable_that_is_set_counts(tmp_path):
    config = configured(tmp_path, "", {"DEEPINFRA_TOKEN": UPSTREAM})
    assert config.upstreams["deepinfra"].origin == "environment DEEPINFRA_TOKEN"


def test_a_table_switches_off_what_the_environment_switches_on(tmp_path):
    config = configured(tmp_path, "[provider.groq]\nenabled = false", {"GROQ_API_KEY": "k"})
    assert on(config) == []
    assert config.upstreams["groq"].disabled


def test_a_table_changes_a_shipped_row_and_keeps_the_rest(tmp_path):
    text = """
    [provider.groq]
    key_env = "MY_KEY"
    base_url = "https://eu.example/v1"
    name = "Groq of mine"
    unlisted_models = false
    """
    config = configured(tmp_path, text, {"MY_KEY": UPSTREAM, "GROQ_API_KEY": "other"})
    groq, shipped = config.upstreams["groq"].endpoint, SHIPPED.endpoints["groq"]
    assert (groq.base_url, groq.name) == ("https://eu.example/v1", "Groq of mine")
    assert (shipped.unlisted_models, groq.unlisted_models) == (True, False)
    assert groq.supported_parameters == shipped.supported_parameters
    assert config.upstream_key("groq") == UPSTREAM
    assert config.catalogue.endpoints["groq"] == groq


def test_the_file_goes_before_an_address_of_the_environment(tmp_path):
    text = '[provider.vllm]\nbase_url = "http://127.0.0.1:1/v1"'
    environ = {"VLLM_BASE_URL": "http://127.0.0.1:2/v1"}
    said = configured(tmp_path, text, environ).upstreams["vllm"]
    assert said.endpoint.base_url.endswith(":1/v1")
    assert said.address.endswith("arno.toml:2")
    assert problems(tmp_path, text, {"VLLM_BASE_URL": "no address"}) == []
    kept = configured(tmp_path, "[provider.vllm]\nconnections = 2", environ).upstreams["vllm"]
    assert kept.endpoint.base_url.endswith(":2/v1")


def test_a_row_of_ones_own_needs_an_address_and_nothing_else(tmp_path):
    config = configured(tmp_path, LAB)
    lab = config.upstreams["lab"]
    assert (lab.own, lab.on, lab.key) == (True, True, None)
    row = lab.endpoint
    assert (row.name, row.dialect, row.unlisted_models, row.contract) == (
        "lab",
        "chat",
        True,
        False,
    )
    [candidate] = config.catalogue.candidates_for("lab/any/model")
    assert (candidate.endpoint.slug, candidate.upstream_model) == ("lab", "any/model")


def test_a_row_of_ones_own_can_say_all_of_it(tmp_path):
    text = LAB + (
        'name = "The lab"\ndialect = "chat"\ncontract = true\nunlisted_models = false\n'
        'finish_optional = true\nstream_usage = false\nprice_as = "openrouter"\n'
        'supported_parameters = ["seed", "tools"]\n'
    )
    row = configured(tmp_path, text).upstreams["lab"].endpoint
    assert (row.name, row.contract, row.unlisted_models) == ("The lab", True, False)
    assert (row.finish_optional, row.stream_usage, row.price_as) == (True, False, "openrouter")
    assert row.supported_parameters == ("seed", "tools")


def test_offline_no_provider_is_on(tmp_path):
    text = LAB + (
        '[provider.groq]\nkey_env = "UNSET"\n[model.m]\ncandidates = ["groq/x", "lab/y"]\n'
        '[alias]\nfast = "m"\n[[price]]\nprovider = "lab"\nmodel = "m"\ninput = "1"'
    )
    config = configured(tmp_path, text, {"OPENAI_API_KEY": "k"}, offline=True)
    assert on(config) == []
    assert list(config.catalogue.models) == ["arno/harbour-1"]


def test_connections_are_bounded_by_host(tmp_path):
    text = "[limits]\nconnections = 7\nwaiting = 3\n" + LAB + "connections = 2\n"
    config = configured(tmp_path, text)
    assert config.connections.max_connections_per_host == 7
    [(host, limits)] = config.per_host.items()
    assert (host, limits.max_connections_per_host, limits.max_waiting) == ("127.0.0.1:9", 2, 3)


WRONG = {
    "no address": (
        "[provider.grok]\nconnections = 1",
        "arno.toml:1: provider.grok: no shipped provider has this name, and one of your own needs "
        "base_url; did you mean 'groq'?",
    ),
    "a name that is no slug": (
        '[provider."My Lab"]\nbase_url = "http://h/v1"',
        'arno.toml:1: provider."My Lab": a provider\'s name has small letters and digits only',
    ),
    "the recordings' name": (
        '[provider.replay]\nbase_url = "http://h/v1"',
        "arno.toml:1: provider.replay: this name belongs to recordings, which [replay] is about",
    ),
    "prices of nobody": (
        LAB + 'price_as = "openruter"',
        "arno.toml:3: provider.lab.price_as: there is no provider 'openruter'; did you mean "
        "'openrouter'?",
    ),
    "a dialect that is none": (
        LAB + 'dialect = "chatt"',
        f"arno.toml:3: provider.lab.dialect: expected one of {DIALECT_NAMES}, got 'chatt'",
    ),
    "two bounds for one host": (
        LAB
        + 'connections = 1\n[provider.two]\nbase_url = "http://127.0.0.1:9/v2"\nconnections = 2',
        "arno.toml:6: provider.two.connections: another provider says something else for "
        "127.0.0.1:9",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_told(case, tmp_path):
    text, expected = WRONG[case]
    assert problems(tmp_path, text) == [expected]


AZURE = {"AZURE_API_KEY": UPSTREAM}
AWS = {"AWS_BEARER_TOKEN_BEDROCK": UPSTREAM}


def test_an_address_with_variables_is_filled_by_the_environment(tmp_path):
    config = configured(tmp_path, "", {**AZURE, "AZURE_RESOURCE_NAME": "mine"})
    assert on(config) == ["azure", "azure-responses"]
    for slug in on(config):
        base_url = config.upstreams[slug].endpoint.base_url
        assert base_url == "https://mine.openai.azure.com/openai/v1"
        assert config.catalogue.endpoints[slug].base_url == base_url


def test_or_by_the_file_which_goes_first(tmp_path):
    environ = {**AZURE, "AZURE_RESOURCE_NAME": "mine"}
    config = configured(tmp_path, '[provider.azure]\nresource = "theirs"', environ)
    found = [config.upstreams[slug].endpoint.base_url for slug in on(config)]
    assert found == ["https://theirs.openai.azure.com/openai/v1"] * 2


def test_what_is_missing_is_told_for_rows_that_are_off_and_rows_that_are_on(tmp_path):
    config = configured(tmp_path, "", AZURE)
    assert on(config) == []
    assert config.upstreams["azure"].origin == (
        "set AZURE_OPENAI_API_KEY or AZURE_API_KEY, and AZURE_RESOURCE_NAME"
    )
    assert problems(tmp_path, "[provider.azure]", AZURE) == [
        "arno.toml:1: provider.azure: no resource: set AZURE_RESOURCE_NAME or "
        "AZURE_OPENAI_RESOURCE, or say resource"
    ]
    text = '[provider.mine]\nbase_url = "https://{region}.example/v1"'
    assert problems(tmp_path, text) == ["arno.toml:1: provider.mine: no region: say region"]


@pytest.mark.parametrize("sign", "#@/?\\%")
def test_a_value_that_could_move_the_host_is_told_with_its_place(sign, tmp_path):
    value = f"evil.example{sign}"
    [line] = problems(tmp_path, "", {**AZURE, "AZURE_RESOURCE_NAME": value})
    assert line == (
        "environment AZURE_RESOURCE_NAME: must be a resource's name: letters, digits and hyphens"
    )
    text = f"[provider.azure]\nresource = '{value}'"
    [line] = problems(tmp_path, text, {**AZURE, "AZURE_RESOURCE_NAME": "mine"})
    assert line.startswith("arno.toml:2: provider.azure.resource: expected a resource's name")


def test_an_own_row_says_how_it_is_reached(tmp_path):
    text = """
    [provider.mine]
    base_url = "https://{resource}.cognitiveservices.azure.com"
    resource = "r1"
    road = "azure_deployments"
    query = "api-version=2024-10-21"
    auth = "api-key"
    key_env = "MINE"
    headers = { X-Team = "writers" }
    multiple_choices = true
    """
    row = configured(tmp_path, text, {"MINE": UPSTREAM}).upstreams["mine"].endpoint
    assert row.base_url == "https://r1.cognitiveservices.azure.com"
    assert (row.road, row.query, row.auth) == (
        "azure_deployments",
        "api-version=2024-10-21",
        "api-key",
    )
    assert (row.headers, row.multiple_choices) == ({"x-team": "writers"}, True)


def test_a_variant_follows_its_row(tmp_path):
    environ = {"OPENAI_API_KEY": "other", "MINE": UPSTREAM}
    config = configured(tmp_path, '[provider.openai]\nkey_env = "MINE"', environ)
    assert on(config) == ["openai", "openai-responses"]
    assert config.upstream_key("openai-responses") == UPSTREAM
    assert config.upstreams["openai-responses"].endpoint.dialect == "responses"
    off = configured(tmp_path, "[provider.openai]\nenabled = false", environ)
    assert on(off) == []
    assert off.upstreams["openai-responses"].disabled


@pytest.mark.parametrize("said", ['base_url = "https://other.example/v1"', 'dialect = "chat"'])
def test_a_variant_stays_away_where_its_row_is_another_service(said, tmp_path):
    """What goes to a proxy of one's own must not go round it in another dialect."""
    environ = {"OPENAI_API_KEY": UPSTREAM}
    config = configured(tmp_path, f"[provider.openai]\n{said}", environ)
    assert on(config) == ["openai"]
    own = f"[provider.openai]\n{said}\n[provider.openai-responses]\nconnections = 3"
    assert on(configured(tmp_path, own, environ)) == ["openai", "openai-responses"]


def test_a_bearer_key_of_a_cloud_needs_no_signature(tmp_path):
    config = configured(tmp_path, "", {**AWS, "AWS_REGION": "eu-west-1"})
    assert "amazon-bedrock" in on(config)
    assert config.upstream_key("amazon-bedrock") == UPSTREAM


CANNOT = {
    "a road that is none": ('road = "x"', "road: expected one of 'bedrock_invoke', "),
    "a road of another dialect": (
        'road = "vertex_gemini"',
        "road: 'vertex_gemini' is a way for the dialect 'gemini', not 'chat'",
    ),
    "a way of showing that is none": ('auth = "basic"', "auth: expected one of 'bearer', "),
    "a key in a header": (
        'headers = { Authorization = "Bearer hunter2" }',
        "headers.Authorization: this header is not for the file to set: a key goes by key_env or "
        "key_file",
    ),
    "a header that breaks lines": (
        'headers = { x-a = "hunter2\\r\\nx-b: c" }',
        "headers.x-a: expected printable ASCII without a blank at its ends",
    ),
    "a query with a fragment": ('query = "a=b#hunter2"', 'query: expected plain "name=value"'),
    "credentials where none are read": (
        'credentials_file = "x.json"',
        "credentials_file: this is for auth = 'google' alone",
    ),
    "a variant of nobody": (
        'variant_of = "nobody"',
        "variant_of: there is no provider 'nobody' that could have variants",
    ),
    "a variant of a variant": (
        'variant_of = "openai-responses"',
        "variant_of: there is no provider 'openai-responses' that could have variants",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_said_of_a_way_is_told_with_its_line(case, tmp_path):
    said, expected = CANNOT[case]
    [line, *_] = problems(tmp_path, LAB + said)
    assert line.startswith(f"arno.toml:3: provider.lab.{expected}")
    assert "hunter2" not in line


def test_an_address_with_a_variable_that_is_none_is_told(tmp_path):
    [line] = problems(tmp_path, '[provider.lab]\nbase_url = "https://{host}.example"')
    assert line.startswith("arno.toml:2: provider.lab.base_url: expected an http(s) URL")
