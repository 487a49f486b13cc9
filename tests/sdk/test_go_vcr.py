"""The real go-vcr over our cassettes (R39): it replays what we record, and writes what we write."""

import base64
import random
import subprocess

import msgspec
import pytest

from arno.cassette.govcr import dump, load
from arno.cassette.model import (
    Cassette,
    Interaction,
    Profile,
    RecordedRequest,
    RecordedResponse,
    Style,
)
from arno.cassette.recordings import built_in_cassette
from arno.cassette.yaml_scalar import Scalar, choose, write_scalar
from arno.wire import json
from tests.cassette.files import go_vcr_files, recording
from tests.cli.commands import arno
from tests.externals import needs
from tests.sdk.clients import RUN_S
from tests.sdk.programs import BUILD_S, go_command
from tests.shared import needs_shared
from tests.transport.upstream import Script, ThreadedUpstream

pytestmark = [needs("go"), pytest.mark.timeout(BUILD_S + RUN_S)]


@pytest.fixture
def go_vcr(programs_folder, tmp_path):
    """A function from a cassette's bytes to what go-vcr makes of them: answers, and the file."""

    def run(data):
        (tmp_path / "tape.yaml").write_bytes(data)
        command = [*go_command(programs_folder, "govcr"), str(tmp_path / "tape")]
        done = subprocess.run(command, capture_output=True, timeout=RUN_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        found = json.loads(done.stdout)
        return found["answers"], base64.b64decode(found["saved"])

    return run


def assert_replayed(answers, cassette):
    """Each interaction came back from go-vcr as it stands in the cassette."""
    for answer, item in zip(answers, cassette.interactions, strict=True):
        response = item.response
        assert (answer["status"], answer["code"]) == (response.status, response.code)
        assert answer["headers"] == response.headers
        assert base64.b64decode(answer["body"]) == response.body


def plain(cassette):
    """A cassette without the keys that go-vcr does not know."""
    items = tuple(msgspec.structs.replace(item, wire=None) for item in cassette.interactions)
    return dump(msgspec.structs.replace(cassette, interactions=items, extra={}))


def test_it_replays_the_shipped_cassette_and_writes_the_same_file(go_vcr):
    """With our own keys in it, which it does not know and drops."""
    data = built_in_cassette()
    answers, saved = go_vcr(data)
    assert_replayed(answers, load(data))
    assert saved == plain(load(data))


@pytest.mark.parametrize("options", [(), ("--no-timing",)])
def test_it_replays_what_arno_record_writes(go_vcr, tmp_path, options):
    """Control: in a cassette with one body changed, that answer alone is another one."""
    program = (
        "import os, urllib.request\n"
        "for n in range(3):\n"
        "    url = os.environ['OPENAI_BASE_URL'] + '/chat/completions?n=%d' % n\n"
        "    urllib.request.urlopen(urllib.request.Request(url, b'{\"n\": %d}' % n)).read()\n"
    )
    scripts = [
        Script.sse(b"data: 1\n\n", b"data: \xf0\x9f\x98\x80\n\n", b"data: [DONE]\n\n"),
        Script.json(b'{"text":"it\'s: #1\\r\\n"}'),
        Script([bytes(range(256))], headers=[("content-type", "application/octet-stream")]),
    ]
    path = tmp_path / "new.yaml"
    with ThreadedUpstream(scripts) as upstream:
        arguments = ("record", "-o", path, "--upstream", f"{upstream.url}/v1", *options)
        done = arno(*arguments, "--", "python3", "-c", program)
    assert done.returncode == 0, done.stderr
    data = path.read_bytes()
    answers, saved = go_vcr(data)
    assert_replayed(answers, load(data))
    assert saved == plain(load(data))
    assert (saved == data) is bool(options)
    changed, _ = go_vcr(data.replace(b"data: [DONE]", b"data: [done]").replace(b"DONE", b"done"))
    assert [one == two for one, two in zip(answers, changed, strict=True)] == [False, True, True]


WORDS = (
    *("a", " ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", ":", "# ", "- ", "'", '"', "\\", "{", "}"),
    *("😀", "é", "\u00a0", "\u2028", "\u0085", "\ufeff", "\x00", "\x7f", "\x1b", "0", "12:30:45"),
    *("true", "no", "~", "null", "data: ", "[DONE]", "|", ">", "%", "@", "`", "?", "!", "&", "*"),
    *("---", "...", "=", "<<", ",", "[", "]", "x" * 90),
)


def texts(count):
    """Texts that are hard to write, less those that our safety rule writes in its own way."""
    chance, style = random.Random(39), Style()
    while count:
        text = "".join(chance.choice(WORDS) for _ in range(chance.randrange(9)))
        risky = choose(text, Profile.V4RC2) is Scalar.LITERAL and (
            write_scalar(text, style, 6, 4).startswith('"')
        )
        if not risky and text != "=":
            count -= 1
            yield text


def test_go_writes_hard_texts_as_we_do(go_vcr):
    """Byte for byte, in bodies, headers and status lines."""
    made = texts(1200)
    items = tuple(
        Interaction(
            number,
            RecordedRequest("POST", f"http://a.example/{number}", {}, next(made).encode()),
            RecordedResponse(
                "200 OK",
                200,
                {"X": [next(made), next(made)]},
                next(made).encode(),
                duration_ns=number**3 * 1001,
            ),
        )
        for number in range(300)
    )
    data = dump(Cassette(items))
    answers, saved = go_vcr(data)
    assert saved == data
    assert_replayed(answers, load(data))


@needs_shared
@pytest.mark.parametrize("name", [name for name in go_vcr_files() if "seed" in name])
def test_go_writes_the_seed_as_it_is(go_vcr, name):
    answers, saved = go_vcr(recording(name))
    assert saved == recording(name)
    assert_replayed(answers, load(recording(name)))
