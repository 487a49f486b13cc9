"""scripts/venv: what a newcomer reads when the machine's Python does not do."""

import os
import platform
import shutil
import subprocess
import sys

from tests.checks.trees import ROOT, plant

OLD = '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit\nexit 1\n'
BARE = '#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; *print*) echo 3.11;; esac\n'


def run(tmp_path, *arguments: str, **pythons: str) -> subprocess.CompletedProcess[str]:
    """Run the script where only these Pythons (name: script) can be found."""
    programs = plant(tmp_path / "bin", pythons)
    for path in programs.iterdir():
        path.chmod(0o755)
    for tool in ("cat", "chmod", "mkdir", "rm", "sh"):
        link = programs / tool
        if not link.exists():
            link.symlink_to(shutil.which(tool) or "")
    return subprocess.run(
        ["/bin/sh", str(ROOT / "scripts/venv"), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(programs), "PYTHON": "python3"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_old_python_is_named(tmp_path):
    done = run(tmp_path, "venv", "a.txt", python3=OLD)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Arno needs Python 3.11 or newer; 'python3' is Python 3.9.2.",
        "Install one, or name one: make PYTHON=/path/to/python3.11 ...",
    ]


def test_a_python_without_venv_says_what_to_install(tmp_path):
    done = run(tmp_path, "venv", "a.txt", python3=BARE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == ("On Debian and Ubuntu: apt-get install python3.11-venv")


# Makes an environment whose pip says yes to everything; otherwise a real Python.
NEW = f"""#!/bin/sh
if [ "$2" = venv ]; then
    mkdir -p "$3/bin"
    printf '#!/bin/sh\\n' >"$3/bin/python"
    chmod +x "$3/bin/python"
else
    exec {sys.executable} "$@"
fi
"""


def test_an_environment_is_made_once_and_anew_when_a_lock_changes(tmp_path):
    plant(tmp_path, {"pyproject.toml": "", "a.txt": "one", "b.txt": ""})
    pythons = {"python3": OLD, "python3.12": NEW}
    made = f"Setting up venv with Python {platform.python_version()} ..."
    said = []
    for lock in ("one", "one", "two"):
        plant(tmp_path, {"a.txt": lock})
        done = run(tmp_path, "venv", "a.txt", "b.txt", **pythons)
        assert done.returncode == 0, done.stderr
        said.append(done.stderr.strip())
    assert said == [made, "", made]


def test_a_failed_installation_is_not_taken_for_a_finished_one(tmp_path):
    plant(tmp_path, {"pyproject.toml": "", "a.txt": ""})
    failing = NEW.replace("#!/bin/sh\\n", "#!/bin/sh\\nexit 9")
    for _ in range(2):
        done = run(tmp_path, "venv", "a.txt", python3=failing)
        assert done.returncode == 9
        assert done.stderr.startswith("Setting up venv")


def test_a_python_that_was_named_is_not_replaced(tmp_path):
    new = "#!/bin/sh\nexit 0\n"
    programs = plant(tmp_path / "bin", {"python3.12": new})
    (programs / "python3.12").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "scripts/venv"), "venv", "a.txt"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHON": "/no/python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "'/no/python'" in done.stderr
