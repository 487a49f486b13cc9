"""Models, aliases and prices: every reference finds what it names, or is told."""

import pytest

from arno.cassette.recordings import built_in_cassette
from tests.gateway.config.building import CREATED, candidates, configured, problems

LABS = """\
[provider.lab]
base_url = "http://127.0.0.1:9/v1"
[provider.annex]
base_url = "http://127.0.0.1:8/v1"
unlisted_models = false
"""
AFTER = len(LABS.splitlines())
KIMI = "moonshotai/kimi-k2-0905"


def test_candidates_come_in_the_order_of_the_file(tmp_path):
    text = LABS + '[model."a/b"]\ncandidates = ["annex/x", "lab/y/z"]'
    config = configured(tmp_path, text)
    assert candidates(config, "a/b") == ["annex/x", "lab/y/z"]
    assert [c.weight for c in config.catalogue.candidates_for("a/b")] == [None, None]
    model = config.catalogue.models["a/b"]
    assert (model.name, model.created, model.canonical_slug) == ("a/b", CREATED, "a/b")


def test_candidates_by_weight(tmp_path):
    text = LABS + '[model.m]\nweights = { "annex/x" = 3, "lab/y" = 0.5 }'
    found = configured(tmp_path, text).catalogue.candidates_for("m")
    assert [(c.endpoint.slug, c.weight) for c in found] == [("annex", 3), ("lab", 0.5)]


def test_what_is_known_of_a_model(tmp_path):
    text = LABS + (
        '[model.m]\ncandidates = ["lab/y"]\nname = "M"\ndescription = "Ours"\n'
        "context_length = 1000\nmax_completion_tokens = 100"
    )
    model = configured(tmp_path, text).catalogue.models["m"]
    assert (model.name, model.description) == ("M", "Ours")
    assert (model.context_length, model.max_completion_tokens) == (1000, 100)


def test_a_shipped_model_gets_other_candidates_and_keeps_the_rest(tmp_path):
    text = LABS + f'[model."{KIMI}"]\ncandidates = ["lab/kimi"]'
    config = configured(tmp_path, text, {"OPENROUTER_API_KEY": "k"})
    assert candidates(config, KIMI) == ["lab/kimi"]
    assert config.catalogue.models[KIMI].context_length == 262144


def test_a_shipped_model_may_be_mentioned_without_candidates(tmp_path):
    text = f'[model."{KIMI}"]\ndeadlines.first = 5'
    config = configured(tmp_path, text, {"OPENROUTER_API_KEY": "k"})
    assert candidates(config, KIMI) == [f"openrouter/{KIMI}"]
    assert config.deadlines_for(config.catalogue.candidates_for(KIMI)[0]).first == 5


def test_a_provider_that_the_file_switches_off_is_left_out(tmp_path):
    off = LABS.replace("unlisted_models = false", "enabled = false")
    text = '[model.m]\ncandidates = ["annex/x", "lab/y"]\n' + off
    assert candidates(configured(tmp_path, text), "m") == ["lab/y"]


def test_a_recorded_model_is_served_by_its_recording_alone(tmp_path):
    """Whatever is on: a request that was not recorded fails, and costs nothing elsewhere."""
    data = built_in_cassette().replace(b"arno/harbour-1", KIMI.encode())
    (tmp_path / "kimi.yaml").write_bytes(data)
    environ = {"OPENROUTER_API_KEY": "k"}
    recorded = configured(tmp_path, '[replay]\ncassettes = ["kimi.yaml"]', environ)
    assert candidates(recorded, KIMI) == [f"replay/{KIMI}"]
    assert candidates(configured(tmp_path, "", environ), KIMI) == [f"openrouter/{KIMI}"]


def test_a_recorded_model_has_other_candidates_if_the_file_says_so(tmp_path):
    text = LABS + '[model."arno/harbour-1"]\ncandidates = ["replay/arno/harbour-1", "lab/h"]'
    found = candidates(configured(tmp_path, text), "arno/harbour-1")
    assert found == ["replay/arno/harbour-1", "lab/h"]


def test_a_recorded_model_may_be_mentioned_without_candidates(tmp_path):
    config = configured(tmp_path, LABS + '[model."arno/harbour-1"]\nname = "Harbour"')
    assert candidates(config, "arno/harbour-1") == ["replay/arno/harbour-1"]
    assert config.catalogue.models["arno/harbour-1"].name == "Harbour"


def test_no_recording_no_recorded_model(tmp_path):
    config = configured(tmp_path, LABS + "[replay]\ncassettes = []")
    assert config.recordings == ()
    assert dict(config.catalogue.models) == {}


def test_aliases_stand_for_models_and_for_unlisted_ones(tmp_path):
    text = LABS + '[model.m]\ncandidates = ["annex/x"]\n[alias]\nfast = "m"\n"a b" = "lab/some/id"'
    config = configured(tmp_path, text)
    assert candidates(config, "fast") == ["annex/x"]
    assert candidates(config, "a b") == ["lab/some/id"]


PRICE = '[[price]]\nprovider = "lab"\nmodel = "m"\n'
MODEL = '[model.m]\ncandidates = ["annex/x", "lab/y"]\n'


def test_a_price_holds_from_ever_and_names_its_line(tmp_path):
    config = configured(tmp_path, LABS + MODEL + PRICE + 'input = "1.5"\nrequest = "0.01"')
    [row] = config.catalogue.prices_for("lab", "m")
    assert (row.input, row.output, row.request) == ("1.5", None, "0.01")
    assert (row.valid_from, row.over_input, row.estimate) == ("1970-01-01", 0, False)
    assert row.source == f"{tmp_path}/arno.toml:{AFTER + 3}"
    assert config.catalogue.prices_for("annex", "m") == ()


def test_a_price_can_say_all_of_it(tmp_path):
    text = PRICE + (
        'served_by = "Host"\nvalid_from = "2026-01-01"\nsource = "list"\noutput = "2"\n'
        'cache_read = "0.1"\ncache_write_5m = "0.2"\ncache_write_1h = "0.3"\nreasoning = "4"\n'
        "over_input = 1000\nestimate = true"
    )
    [row] = configured(tmp_path, LABS + MODEL + text).catalogue.prices_for("lab", "m")
    assert (row.served_by, row.valid_from, row.source) == ("Host", "2026-01-01", "list")
    assert (row.over_input, row.estimate, row.reasoning) == (1000, True, "4")


def test_a_price_of_a_model_that_no_row_lists(tmp_path):
    text = LABS + '[[price]]\nprovider = "lab"\nmodel = "some/id"\ninput = "1"'
    catalogue = configured(tmp_path, text).catalogue
    [candidate] = catalogue.candidates_for("lab/some/id")
    assert [row.input for row in catalogue.prices_for("lab", candidate.model)] == ["1"]


def test_own_prices_take_the_place_of_shipped_ones(tmp_path):
    text = f'[[price]]\nprovider = "openrouter"\nmodel = "{KIMI}"\ninput = "1"'
    catalogue = configured(tmp_path, text, {"OPENROUTER_API_KEY": "k"}).catalogue
    assert [row.input for row in catalogue.prices_for("openrouter", KIMI)] == ["1"]


WRONG = {
    "a candidate's provider": (
        '[model.m]\ncandidates = [\n  "lab/x",\n  "lbb/x",\n]',
        [(4, "model.m.candidates: there is no provider 'lbb'; did you mean 'lab'?")],
    ),
    "a weight's provider": (
        '[model.m]\nweights."lbb/x" = 1',
        [(2, "model.m.weights.\"lbb/x\": there is no provider 'lbb'; did you mean 'lab'?")],
    ),
    "a weight without an id": (
        '[model.m]\nweights."lab" = 1',
        [(2, 'model.m.weights.lab: expected "provider/id of the model there"')],
    ),
    "a candidate without a key": (
        '[model.m]\ncandidates = ["groq/x"]',
        [(2, "model.m.candidates: the provider 'groq' is off: set GROQ_API_KEY")],
    ),
    "a provider twice": (
        '[model.m]\ncandidates = ["lab/x", "lab/y"]',
        [(2, "model.m.candidates: the provider 'lab' stands here twice")],
    ),
    "candidates and weights": (
        '[model.m]\ncandidates = ["lab/x"]\nweights = { "lab/x" = 1 }',
        [(3, "model.m.weights: expected one of candidates and weights, not both")],
    ),
    "neither": (
        '[model.m]\nname = "M"',
        [(1, "model.m: expected candidates or weights: no shipped model has this name")],
    ),
    "an empty list": (
        "[model.m]\ncandidates = []",
        [(2, "model.m.candidates: expected one candidate or more")],
    ),
    "nobody left": (
        '[provider.c]\nbase_url = "http://h/v1"\nenabled = false\n[model.m]\ncandidates = ["c/x"]',
        [(5, "model.m.candidates: none of its providers is on")],
    ),
    "no such recording": (
        '[model.m]\ncandidates = ["replay/arno/harbor-1"]',
        [
            (
                2,
                "model.m.candidates: no cassette holds 'arno/harbor-1'; did you mean "
                "'arno/harbour-1'?",
            )
        ],
    ),
    "a model's name": (
        '[model.""]\ncandidates = ["lab/x"]',
        [(1, 'model."": a name has 1 to 256 characters, all of them printable')],
    ),
    "an alias of nothing": (
        '[alias]\nfast = "annex/x"',
        [(2, "alias.fast: nobody serves 'annex/x'; known: arno/harbour-1")],
    ),
    "an alias of an alias": (
        '[alias]\na = "lab/x"\nb = "a"',
        [(3, "alias.b: 'a' is an alias itself")],
    ),
    "an alias that is a model": (
        '[alias]\nm = "lab/x"\n[model.m]\ncandidates = ["lab/y"]',
        [(2, "alias.m: a model of this file has the same name")],
    ),
    "a price's provider": (
        '[[price]]\nprovider = "lbb"\nmodel = "m"\ninput = "1"',
        [(2, "price.provider: there is no provider 'lbb'; did you mean 'lab'?")],
    ),
    "a price's model": (
        '[[price]]\nprovider = "annex"\nmodel = "n"\ninput = "1"\n' + MODEL,
        [(3, "price.model: 'annex' serves no model 'n'; known: m, x")],
    ),
    "a price without a rate": (
        PRICE,
        [
            (
                1,
                "price: expected at least one of input, output, cache_read, cache_write_5m, "
                "cache_write_1h, reasoning, request",
            )
        ],
    ),
    "a price twice": (
        PRICE + 'input = "1"\n' + PRICE + 'input = "2"',
        [(5, f"price: arno.toml:{AFTER + 1} holds for the same")],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_refers_to_nothing_is_told(case, tmp_path):
    text, expected = WRONG[case]
    told = [f"arno.toml:{AFTER + line}: {words}" for line, words in expected]
    assert problems(tmp_path, LABS + text) == told


def test_what_follows_from_a_problem_is_not_told_as_another(tmp_path):
    text = (
        '[provider.lab]\nbase_url = "no"\n[model.m]\ncandidates = ["lab/x"]\n'
        '[alias]\nfast = "m"\nslow = "lab/y"\n[[price]]\nprovider = "lab"\nmodel = "m"\ninput = "1"'
    )
    [line] = problems(tmp_path, text)
    assert line.startswith("arno.toml:2: provider.lab.base_url")
