"""`arno translate` as a process: the document on stdout, what was lost on stderr, exit codes."""

import json
import subprocess
import sys

import pytest

from arno.cli.translate import notes
from arno.dialects import DIALECTS
from arno.dialects.translate import translate
from tests.cli.commands import PATIENCE_SECONDS, environment
from tests.shared import ROOT

pytestmark = pytest.mark.slow

GOLDEN = ROOT / "tests" / "golden"
REQUEST = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":7,"foo_bar":1}'
ANSWER = GOLDEN / "chat" / "answer_calls.chat.json"


def run(*arguments, given=b""):
    done = subprocess.run(
        [sys.executable, "-m", "arno", "translate", *map(str, arguments)],
        input=given,
        capture_output=True,
        env=environment(),
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_a_request_from_stdin():
    code, out, err = run("--from", "chat", "--to", "chat", given=REQUEST)
    assert (code, json.loads(out)) == (0, json.loads(REQUEST))
    assert err == "path: /chat/completions\n"


def test_a_file_a_model_and_a_stream(tmp_path):
    file = tmp_path / "request.json"
    file.write_bytes(REQUEST)
    code, out, _ = run("--from", "chat", "--to", "chat", "--model", "x/y", "--stream", file)
    assert (code, json.loads(out)) == (
        0,
        json.loads(REQUEST) | {"model": "x/y", "stream": True},
    )


def test_an_answer_as_a_stream():
    code, out, err = run("--from", "chat", "--to", "chat", "--stream", ANSWER)
    assert (code, err) == (0, "")
    assert out.startswith(b"data: {")
    assert out.endswith(b"data: [DONE]\n\n")


def test_a_cut_stream_is_told():
    cut = b'data: {"id":"a","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    code, out, err = run("--from", "chat", "--to", "chat", "-", given=cut)
    assert code == 0
    assert b'"error"' in out
    assert err.startswith("failure: upstream_truncated: ")


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (("--from", "chat", "--to", "chat"), b'{"model":', "arno: this is not JSON: "),
        (("--from", "chat", "--to", "chat"), b"hello", "arno: this is neither a JSON object nor "),
        (("--from", "chat", "--to", "chat"), b"", "arno: this is neither a JSON object nor "),
        (("--from", "chat", "--to", "chat"), b'{"model":"m"}', "arno: messages: "),
        (("--from", "chat", "--to", "klingon"), REQUEST, "arno: there is no dialect 'klingon'"),
        (("--from", "klingon", "--to", "chat"), REQUEST, "arno: there is no dialect 'klingon'"),
        (("--from", "chat", "--to", "chat", "no/such/file"), b"", "arno: [Errno 2] "),
        (
            ("--from", "chat", "--to", "chat", "--kind", "answer"),
            REQUEST,
            "arno: this is no chat answer: ",
        ),
    ],
)
def test_a_bad_document_ends_with_one_line_and_code_1(arguments, given, message):
    code, out, err = run(*arguments, given=given)
    assert (code, out) == (1, b"")
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [(), ("--from", "chat"), ("--from", "chat", "--to", "chat", "--kind", "letter")]
)
def test_wrong_usage(arguments):
    code, _, err = run(*arguments, given=REQUEST)
    assert code == 2
    assert "usage: arno translate" in err


@pytest.mark.parametrize("target", [name for name in DIALECTS if name != "chat"])
def test_what_is_lost_is_one_line_each(target):
    code, out, err = run("--from", "chat", "--to", target, given=REQUEST)
    assert code == 0
    assert b"foo_bar" not in out
    lines = err.splitlines()
    assert lines[0].startswith("path: /")
    assert f"dropped: foo_bar: a {target} request has no such member" in lines
    assert lines == notes(translate(REQUEST, source="chat", target=target))


@pytest.mark.parametrize("target", [name for name in DIALECTS if name not in ("chat", "gemini")])
def test_a_refused_request_names_the_field_in_the_client_s_words(target):
    given = REQUEST.replace(b'"seed":7', b'"n":3')
    code, out, err = run("--from", "chat", "--to", target, given=given)
    assert (code, out) == (1, b"")
    assert err.startswith("arno: n: ")
