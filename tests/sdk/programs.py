"""The programs in `node/` and `go/`, installed and built once for a whole test run.

Several workers of pytest-xdist may ask at the same time: the first one builds under a file lock,
the others wait for it. Everything happens in a folder outside the repository.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.externals import find

SOURCES = Path(__file__).parent
BUILD_S = 500
"""How long an installation may take on a machine that has nothing in its caches."""


def run(place, *command, **environ):
    """Run one command in `place`; its output is the message if it fails."""
    done = subprocess.run(
        command,
        cwd=place,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def once(folder, name, build):
    """A copy of the sources `name` in `folder` that `build(place)` has made ready, by one process.

    A build that failed or was broken off is begun anew by the next one to ask.
    """
    place, finished = folder / name, folder / f"{name}.finished"
    with (folder / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(SOURCES / name, place)
            build(place)
            finished.touch()
    return place


def node_command(folder, program="client.mjs"):
    """The command of one of the npm clients' programs."""
    node = find("node").program
    path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])
    npm = shutil.which("npm", path=path)

    def install(place):
        options = ("--ignore-scripts", "--no-audit", "--no-fund")
        run(place, npm, "ci", *options, PATH=path)

    return [node, str(once(folder, "node", install) / program)]


def go_command(folder, name="go"):
    """The command of a Go program: the SDK's client, or another folder of sources here."""

    def build(place):
        arguments = ("build", "-mod=readonly", "-buildvcs=false", "-o", "client", ".")
        run(place, find("go").program, *arguments, GOTOOLCHAIN="local")

    return [str(once(folder, name, build) / "client")]
