"""The official npm and Go SDKs pointed at the gateway (case 0, item 2).

Their programs are in `sdk/`; the versions are locked there. `openai-go` is the client that made the
shared recording.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from arno.wire import json
from tests.externals import find, needs
from tests.gateway.answers import recorded
from tests.gateway.replaying import CONVERSATIONS, replaying

PROGRAMS = Path(__file__).parent / "sdk"
PATIENCE_S = 300

pytestmark = pytest.mark.timeout(2 * PATIENCE_S)


def prepare(folder, name, *command):
    """A copy of a program's folder in which a command has installed or built it."""
    place = folder / name
    shutil.copytree(PROGRAMS / name, place)
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    npm = shutil.which("npm")
    options = ("--ignore-scripts", "--no-audit", "--no-fund")
    place = prepare(tmp_path_factory.mktemp("sdk"), "node", npm, "ci", *options)
    return [find("node").program, str(place / "talk.mjs")]


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    build = (find("go").program, "build", "-buildvcs=false", "-o", "talk", ".")
    return [str(prepare(tmp_path_factory.mktemp("sdk"), "go", *build) / "talk")]


def check_talk(program, folder, named):
    """What the program reads of every step is what was recorded."""
    steps = named.cassette.interactions
    asked = b"[" + b",".join(step.request.body for step in steps) + b"]"
    with replaying(folder, [named]) as url:
        command = [*program, f"{url}/api/v1"]
        done = subprocess.run(command, input=asked, capture_output=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(steps)
    for answer, step in zip(answers, steps, strict=True):
        assert json.equal(answer, recorded(step))


@needs("node")
@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_npm(node, tmp_path, recording):
    check_talk(node, tmp_path, recording())


@needs("go")
@pytest.mark.slow
@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_go(go, tmp_path, recording):
    check_talk(go, tmp_path, recording())
