"""`arno run`: the agent from the command line, against a served recording."""

import sys

import pytest

from arno.cli.scenario import INSTRUCTIONS, MODEL, PROMPT
from arno.cli.terminal import inert
from tests.cli.commands import arno, environment, server


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with server("serve", "--scale", "0", "--data", tmp_path_factory.mktemp("data")) as (_, url):
        yield f"{url}/api/v1"


ASK = ("run", PROMPT, "--model", MODEL, "--instructions", INSTRUCTIONS, "--max-tokens", "1000")
TOOL = ("--tool", "arno.cli.scenario:departures", "--tool-choice", "auto")
USAGE = ("--extra", '{"usage": {"include": true}}')


def test_a_run_with_a_tool_prints_the_answer_and_what_it_cost(url):
    done = arno(*ASK, *TOOL, *USAGE, "--base-url", url)
    assert done.returncode == 0, done.stderr
    assert "Two boats leave Port Amber today:" in done.stdout
    assert 'departures {"harbour": "Port Amber"}' in done.stderr
    assert "2 steps, 254 in, 75 out, 0.0002187 USD" in done.stderr


def test_the_base_url_may_come_from_the_environment(url):
    done = arno(*ASK, *TOOL, *USAGE, ARNO_BASE_URL=url)
    assert done.returncode == 0, done.stderr


def test_a_request_that_fails_is_an_error_with_its_message(url):
    done = arno("run", "something else", "--model", MODEL, "--base-url", url)
    assert done.returncode == 1
    assert "no recorded request matches" in done.stderr
    assert "Traceback" not in done.stderr


WRONG = {
    "no colon": (("--tool", "arno"), "MODULE:FUNCTION"),
    "no module": (("--tool", "nowhere:f"), "nowhere"),
    "no function": (("--tool", "sys:nothing"), "nothing"),
    "not callable": (("--tool", "sys:path"), "no function"),
    "no annotation": (("--tool", "builtins:print"), "print"),
    "extra is no object": (("--extra", "[1]"), "--extra"),
    "extra is no JSON": (("--extra", "{"), "--extra"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_named(case, url):
    arguments, reason = WRONG[case]
    done = arno("run", "x", "--model", "m", "--base-url", url, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_no_base_url_is_named():
    done = arno("run", "x", "--model", "m")
    assert done.returncode == 2
    assert "ARNO_BASE_URL" in done.stderr


def test_a_tool_of_the_users_own_folder_is_found(url, tmp_path):
    (tmp_path / "mine.py").write_text("from arno.cli.scenario import departures\n")
    tool = ("--tool", "mine:departures", "--tool-choice", "auto")
    done = arno(*ASK, *tool, *USAGE, "--base-url", url, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_run_needs_no_server_and_no_database():
    """The base install is enough: neither is imported."""
    import subprocess

    code = (
        "import sys; from arno.cli import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'uvicorn', 'sqlalchemy', 'starlette', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment()
    )
    assert done.stdout.endswith("[]\n")


def test_what_a_model_says_cannot_steer_the_terminal():
    assert inert("a\x1b[2Jb\x07\tc\n") == "a\\x1b[2Jb\\x07\tc\n"


FAILING_MODULES = {
    "a syntax error": ("def f(:\n", "SyntaxError"),
    "an error of its own": ("1 / 0\n", "ZeroDivisionError"),
}


@pytest.mark.parametrize("case", FAILING_MODULES)
def test_a_tools_module_that_fails_is_named_without_a_traceback(case, url, tmp_path):
    text, reason = FAILING_MODULES[case]
    (tmp_path / "bad.py").write_text(text)
    done = arno("run", "x", "--model", "m", "--base-url", url, "--tool", "bad:f", cwd=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_instead_of_a_module_is_explained(url):
    done = arno("run", "x", "--model", "m", "--base-url", url, "--tool", "./my/tools.py:f")
    assert done.returncode == 2
    assert "my.tools:f" in done.stderr


def test_a_prompt_that_is_no_text_is_refused(url):
    done = arno("run", b"\xff", "--model", "m", "--base-url", url)
    assert done.returncode == 2
    assert "no valid text" in done.stderr


def test_a_run_that_fails_still_says_what_its_steps_cost(url):
    done = arno(*ASK, *TOOL, *USAGE, "--base-url", url, "--max-steps", "1")
    assert done.returncode == 1
    assert "1 steps, 96 in, 34 out, 0.0001136 USD" in done.stderr


def test_what_turns_the_direction_of_text_is_shown_too():
    assert inert("a\u202eb") == "a\\u202eb"
