"""Words: providers are named in the catalogue only; the tree speaks of no machine."""

import pytest

from checks.words import check_words, provider_names
from tests.checks.trees import plant

CATALOGUE = """
[[endpoint]]
name = "Acme AI"
slug = "acme"
base_url = "https://api.acme.example/v1"

[[endpoint]]
name = "Recorded"
slug = "recorded"
transport = "replay"
"""
PRICES = """
[[price]]
endpoint = "acme"
served_by = "Other Works"

[[price]]
endpoint = "acme"
"""
ROWS = {
    "src/arno/providers/catalogue.toml": CATALOGUE,
    "src/arno/providers/prices.toml": PRICES,
    "src/arno/providers/names.toml": '[slugs]\n"Third.Party" = "third"\n',
}
NAMES = {"Acme AI", "acme", "Other Works", "Third.Party", "third"}


def test_the_names_come_from_the_catalogue_and_recordings_are_no_provider(tmp_path):
    assert provider_names(plant(tmp_path, ROWS)) == NAMES


def test_a_catalogue_in_which_no_name_is_found_is_a_problem(tmp_path):
    problems = check_words(plant(tmp_path, {"src/arno/providers/load.py": ""})).problems
    assert problems == ("src/arno/providers: no provider's name found, see checks/words.py",)


@pytest.mark.parametrize(
    "code",
    [
        "if row.name == 'acme': ...",
        "x = b'acme'",
        "x = f'https://api.acme.example/{path}'",
        "TABLE = {'Acme AI': 1}",
        "def f(name='Other Works'): ...",
        "case = x == 'third'",
    ],
)
def test_a_provider_named_in_code_fails_outside_the_catalogue(tmp_path, code):
    files = {"src/arno/engine/a.py": code, "src/arno/providers/quirks.py": code, **ROWS}
    problems = check_words(plant(tmp_path, files)).problems
    assert len(problems) == 1
    assert problems[0].startswith("src/arno/engine/a.py:1: the provider's name")


@pytest.mark.parametrize(
    "code",
    [
        "'''What acme does.'''",
        "def f():\n    '''As Acme AI has it.'''",
        "acme = 1",
        "x = 'acmeology'",
        "x = 'recorded'",
    ],
)
def test_docstrings_other_words_and_names_of_variables_pass(tmp_path, code):
    assert check_words(plant(tmp_path, {"src/arno/engine/a.py": code, **ROWS})).passed


# Put together here, so that this file itself names no such place.
PLACES = [
    "/" + "root/project/x",
    "/" + "home/ann/x",
    "cd /" + "work/x",
    "/" + "opt/wheels",
    "https://" + "pypi" + ".org/simple",
    "https://" + "registry." + "npmjs.org/x",
    "https://" + "proxy." + "golang.org",
]


@pytest.mark.parametrize("text", PLACES)
@pytest.mark.parametrize("name", ["README.md", "tests/sdk/package-lock.json", "requirements/a.txt"])
def test_places_of_one_machine_fail(tmp_path, name, text):
    problems = check_words(plant(tmp_path, {name: f"first line\nsee {text} there\n"})).problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{name}:2: ")


def test_ordinary_text_passes(tmp_path):
    text = "See https://example.org/work/x, ./work/home and src/root/x.\n"
    assert check_words(plant(tmp_path, {"README.md": text})).passed
