"""Signatures: sent over real sockets to a server that checks them by its own means (`sigv4`)."""

import asyncio
import logging
import sys
from datetime import UTC

import msgspec
import pytest

from arno.providers.roads import ROADS, Ask
from arno.transport.base import ErrorKind, HttpRequest
from arno.transport.signing import CredentialsError, Signing
from arno.transport.signing_aws import AwsSigner
from tests.transport.running import fault_of, pool, read_all, within
from tests.transport.sigv4 import refusal
from tests.transport.upstream import Script, ScriptedUpstream

REGION = "us-east-1"
ACCESS, SECRET, SESSION = "AKIDEXAMPLE", "hunter2/secret+key", "hunter2//session=="
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
SECRETS = {ACCESS: SECRET}
FIELDS = (
    ("content-type", "application/json"),
    ("accept", "application/vnd.amazon.eventstream"),
    ("user-agent", "arno/1"),
)
PATHS = [
    "/model/us.amazon.nova-micro-v1%3A0/converse",
    "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fx/converse-stream",
    "/model/anthropic.claude-v2/invoke",
    "/model/claude@1~a_b-c.d/invoke-with-response-stream",
    "/model/a:b/invoke",
    "/",
]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No credentials of whoever runs the tests, and no question to a metadata server."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def run(scenario):
    return asyncio.run(within(20, scenario))


def sent(environ, requests, change=lambda request: request):
    """What a server saw of signed requests; each is `change`d after it was signed."""

    async def scenario():
        answers = [Script.json(b"{}") for _ in requests]
        async with ScriptedUpstream(answers) as upstream, pool() as live:
            signer = AwsSigner(REGION, environ)
            for path, body in requests:
                request = HttpRequest("POST", upstream.url + path, FIELDS, body)
                await read_all(await live.send(change(await signer.sign(request))))
            return upstream.requests

    return run(scenario())


def test_the_path_is_signed_as_it_is_sent():
    bodies = [b"{}", b"", b'{"a":"\xc3\xa9"}', b"x" * 5000]
    requests = [(path, body) for path in PATHS for body in bodies]
    seen = sent(KEYS, requests)
    assert [(one.path, one.body) for one in seen] == requests
    assert [refusal(one, SECRETS, REGION) for one in seen] == [None] * len(requests)


def test_the_paths_of_the_road_are_signed_as_they_are_sent():
    models = ["us.anthropic.claude-v1:0", "arn:aws:bedrock:eu-west-1:12:inference-profile/a.b:0"]
    road = ROADS["bedrock_invoke"]
    paths = [road.path(Ask(model, stream=s)) for model in models for s in (False, True)]
    seen = sent(KEYS, [(path, b"{}") for path in paths])
    assert [refusal(one, SECRETS, REGION) for one in seen] == [None] * 4


def test_a_session_token_is_sent_and_signed():
    [seen] = sent({**KEYS, "AWS_SESSION_TOKEN": SESSION}, [(PATHS[0], b"{}")])
    assert seen.header("x-amz-security-token") == SESSION
    assert refusal(seen, SECRETS, REGION) is None
    assert "x-amz-security-token" in seen.header("authorization")


def test_other_headers_may_be_changed_on_the_way():
    def changed(request):
        kept = tuple(field for field in request.headers if field[0] != "accept")
        return msgspec.structs.replace(request, headers=(*kept, ("via", "1.1 proxy")))

    [seen] = sent(KEYS, [(PATHS[0], b"{}")], changed)
    assert refusal(seen, SECRETS, REGION) is None


SPOILED = {
    "the body": lambda r: msgspec.structs.replace(r, body=r.body + b" "),
    "the path": lambda r: msgspec.structs.replace(r, url=r.url + "x"),
    "an escape": lambda r: msgspec.structs.replace(r, url=r.url.replace("%3A", ":")),
    "the verb": lambda r: msgspec.structs.replace(r, method="PUT"),
    "the content type": lambda r: msgspec.structs.replace(
        r, headers=tuple((n, "text/plain" if n == "content-type" else v) for n, v in r.headers)
    ),
    "the date": lambda r: msgspec.structs.replace(
        r, headers=tuple((n, v[:-2] + "1Z" if n == "x-amz-date" else v) for n, v in r.headers)
    ),
    "the signature": lambda r: msgspec.structs.replace(
        r, headers=tuple((n, v[:-4] + "0000" if n == "authorization" else v) for n, v in r.headers)
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_the_server_notices_what_was_changed(what):
    """The control of all tests above."""
    [seen] = sent(KEYS, [(PATHS[0], b"{}")], SPOILED[what])
    assert refusal(seen, SECRETS, REGION) == "signature"


@pytest.mark.parametrize(
    ("secrets", "region"),
    [({ACCESS: "another"}, REGION), ({"OTHER": SECRET}, REGION), (SECRETS, "eu-west-1")],
)
def test_the_server_notices_other_keys_and_regions(secrets, region):
    [seen] = sent(KEYS, [(PATHS[0], b"{}")])
    assert refusal(seen, secrets, region) is not None


def test_credentials_of_a_profile(tmp_path):
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = D\naws_secret_access_key = d-secret\n"
        "[other]\naws_access_key_id = O\naws_secret_access_key = o-secret\n"
    )
    secrets = {"D": "d-secret", "O": "o-secret"}
    for environ, access in (({}, "D"), ({"AWS_PROFILE": "other"}, "O")):
        [seen] = sent(environ, [(PATHS[0], b"{}")])
        assert f"Credential={access}/" in seen.header("authorization")
        assert refusal(seen, secrets, REGION) is None


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({}, "no credentials of AWS were found"),
        ({"AWS_ACCESS_KEY_ID": ACCESS}, "no credentials of AWS were found"),
        ({"AWS_PROFILE": "none"}, "no credentials of AWS can be had: ProfileNotFound"),
    ],
)
def test_without_credentials_nothing_is_sent(environ, text):
    async def scenario():
        async with ScriptedUpstream([]) as upstream, pool() as live:
            signing = Signing(live, AwsSigner(REGION, environ))
            error = await fault_of(signing.send(HttpRequest("POST", upstream.url + "/", FIELDS)))
            assert (error.kind, error.sent, error.message) == (ErrorKind.SIGN, False, text)
            assert upstream.connections == 0

    run(scenario())


def test_credentials_are_looked_for_once_and_again_after_a_refusal(tmp_path):
    place = tmp_path / "credentials"

    def write(access):
        place.write_text(f"[default]\naws_access_key_id = {access}\naws_secret_access_key = s\n")

    async def scenario():
        signer = AwsSigner(REGION, {})
        request = HttpRequest("POST", "https://h.example/", FIELDS, b"{}")
        used = []
        for access, refused in (("A", False), ("B", False), ("C", True)):
            write(access)
            if refused:
                signer.refused(request)
            signed = dict((await signer.sign(request)).headers)
            used.append(signed["authorization"].partition("Credential=")[2][0])
        assert used == ["A", "A", "C"]

    run(scenario())


def test_credentials_that_end_are_renewed():
    from datetime import datetime, timedelta

    from botocore.credentials import RefreshableCredentials

    count = []

    def fresh():
        count.append(1)
        end = datetime.now(UTC) + timedelta(seconds=1)  # botocore's own clock
        number = len(count)
        return {
            "access_key": f"A{number}",
            "secret_key": "s",
            "token": f"t{number}",
            "expiry_time": end.isoformat(),
        }

    async def scenario():
        signer = AwsSigner(REGION, {})
        signer._found = RefreshableCredentials.create_from_metadata(fresh(), fresh, "test")
        request = HttpRequest("POST", "https://h.example/", FIELDS, b"{}")
        tokens = [dict((await signer.sign(request)).headers)["x-amz-security-token"] for _ in "ab"]
        assert tokens == ["t2", "t3"]
        assert signer.secret == "t3"

    run(scenario())


def test_no_secret_is_told_anywhere(caplog):
    """R34: botocore's debug lines would hold the canonical request with its token."""
    caplog.set_level(logging.DEBUG)
    environ = {**KEYS, "AWS_SESSION_TOKEN": SESSION}
    told = []

    async def scenario():
        signer = AwsSigner(REGION, environ)
        request = await signer.sign(HttpRequest("POST", "https://h.example/", FIELDS, b"{}"))
        assert dict(request.headers)["x-amz-security-token"] == SESSION
        told.append(repr(signer))

    run(scenario())
    assert SECRET not in "".join(told) + caplog.text
    assert SESSION not in "".join(told) + caplog.text


def test_a_missing_extra_is_told_when_the_signer_is_made(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(CredentialsError, match=r"pip install 'arno\[aws\]'"):
        AwsSigner(REGION, KEYS)
