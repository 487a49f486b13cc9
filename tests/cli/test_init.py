"""`arno init`: a commented file that is accepted as it is, and whose every example is."""

import re
import stat

import pytest

from arno.cassette.recordings import BUILT_IN, built_in_cassette
from arno.cli.init import starter
from arno.gateway.config.schema import Document
from tests.cli.commands import arno
from tests.gateway.config.building import CLIENT, configured
from tests.gateway.config.test_read import rules

ENVIRON = {
    "MY_ARNO_KEY": CLIENT,
    "MY_GROQ_KEY": "k",
    "GROQ_API_KEY": "k",
    "LAB_KEY": "k",
}
EXAMPLE = re.compile(r"^#(?=\S)", re.MULTILINE)
"""What makes an example of a line; text has a blank behind the sign."""


def examples(text):
    """The file with every example in force."""
    return EXAMPLE.sub("", text)


@pytest.fixture
def complete(tmp_path):
    """The examples' files."""
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / BUILT_IN).write_bytes(built_in_cassette())
    return tmp_path


def without_authorities(text):
    """A certificate is not made here; `tls` has tests of its own."""
    return text.replace('#ca_file = "ca.pem"', "# no file")


def test_it_writes_a_file_that_check_accepts(tmp_path):
    done = arno("init", cwd=tmp_path)
    assert done.returncode == 0
    path = tmp_path / "arno.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == starter()
    checked = arno("check", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith("configuration: arno.toml\n")


def test_it_never_overwrites(tmp_path):
    path = tmp_path / "arno.toml"
    path.write_text("# mine\n")
    done = arno("init", cwd=tmp_path)
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert path.read_text() == "# mine\n"


def test_it_does_not_write_through_a_link(tmp_path):
    (tmp_path / "arno.toml").symlink_to(tmp_path / "elsewhere")
    assert arno("init", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_path_may_be_named(tmp_path):
    (tmp_path / "etc").mkdir()
    assert arno("init", "etc", cwd=tmp_path).returncode == 0
    assert arno("init", "mine.toml", cwd=tmp_path).returncode == 0
    assert (tmp_path / "etc/arno.toml").read_text() == (tmp_path / "mine.toml").read_text()


def test_a_folder_that_is_not_there_is_told(tmp_path):
    done = arno("init", "none/arno.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be written: No such file" in done.stderr


def test_the_file_says_nothing_as_it_is(tmp_path):
    assert configured(tmp_path, starter()).document == Document()


def test_all_examples_together_are_a_configuration(complete):
    text = examples(without_authorities(starter()))
    config = configured(complete, text, ENVIRON)
    assert {u.endpoint.slug for u in config.live} == {"groq", "groq-responses", "lab"}
    assert list(config.catalogue.models)[-2:] == ["team/writer", "team/reader"]


def lines():
    return [n for n, line in enumerate(starter().splitlines()) if EXAMPLE.match(line)]


def tables(text):
    """The numbers of each table's example lines, its header first."""
    found = []
    for number in lines():
        if text.splitlines()[number].startswith("#["):
            found.append([])
        found[-1].append(number)
    return found


RARE = {
    "provider.dialect",
    "provider.contract",
    "provider.price_as",
    "provider.supported_parameters",
    "provider.key_file",
    "provider.auth",
    "provider.credentials_file",
    "provider.headers",
    "provider.multiple_choices",
    "provider.project",
    "provider.query",
    "provider.region",
    "provider.resource",
    "provider.road",
    "provider.variant_of",
    "key.key_file",
    "model.name",
    "model.description",
    "model.max_completion_tokens",
    "price.served_by",
    "price.source",
    "price.cache_write_5m",
    "price.cache_write_1h",
    "price.reasoning",
    "price.request",
    "price.over_input",
    "price.estimate",
}
"""Keys that stand in the documentation alone."""


def test_the_starter_shows_every_key_but_the_rare_ones():
    known = {".".join(path) for path, _ in rules(Document)}
    shown = set()
    for table in tables(starter()):
        written = [starter().splitlines()[n].removeprefix("#") for n in table]
        name = re.match(r"\[+([a-z]+)", written[0])[1]
        shown |= {f"{name}.{line.partition(' = ')[0]}" for line in written[1:]}
    deadlines = {key for key in known if ".deadlines." in key}
    assert known - shown - deadlines - {"alias"} == RARE
