"""Tokens: asked for over real sockets from a server that checks who asks."""

import asyncio
import base64
import json
import logging
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from arno.transport.base import ErrorKind, HttpRequest
from arno.transport.signing import CredentialsError
from arno.transport.signing_google import (
    PAUSE,
    RENEW_BEFORE,
    SCOPE,
    AuthorizedUser,
    GoogleSigner,
    Machine,
    ServiceAccount,
    find_credentials,
    read_credentials,
)
from tests.transport.running import fault_of, pool, within
from tests.transport.signing_keys import private_key, public_key
from tests.transport.upstream import End, Script, ScriptedUpstream

NOW = 1_800_000_000.0
ASKED = HttpRequest("POST", "https://h.example/", (("content-type", "application/json"),), b"{}")


class Time:
    """Unix seconds that move when a test says so."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def robot(url):
    return ServiceAccount(
        client_email="robot@example.com",
        private_key=private_key(),
        private_key_id="key-1",
        token_uri=url + "/token",
    )


def login(url, **more):
    return AuthorizedUser(
        client_id="the-client",
        client_secret="hunter2-client",
        refresh_token="hunter2-refresh",
        token_uri=url + "/token",
        **more,
    )


def machine(url):
    return Machine(host=urlsplit(url).netloc)


def token(number, seconds=3600):
    document = {"access_token": f"token-{number}", "expires_in": seconds, "token_type": "Bearer"}
    return Script.json(json.dumps(document).encode())


def shown(request):
    return dict(request.headers)["authorization"].removeprefix("Bearer ")


def claims_of(assertion):
    """What a signed statement says, if its signature holds. Raises InvalidSignature."""
    head, body, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in assertion.split(".")
    )
    signed = assertion.rpartition(".")[0].encode()
    public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    return json.loads(head), json.loads(body)


def run(scenario):
    return asyncio.run(within(20, scenario))


def signing(make, answers, steps):
    """Run `steps(signer, time, upstream)` against a server of tokens with these answers."""

    async def scenario():
        async with ScriptedUpstream(answers) as upstream, pool() as live:
            time = Time()
            await steps(GoogleSigner(make(upstream.url), live, time), time, upstream)

    run(scenario())


def test_a_service_account_shows_a_signed_statement():
    async def steps(signer, time, upstream):
        signed = await signer.sign(ASKED)
        assert signed.headers == (*ASKED.headers, ("authorization", "Bearer token-1"))
        assert (signed.url, signed.body) == (ASKED.url, ASKED.body)
        [seen] = upstream.requests
        assert (seen.method, seen.path) == ("POST", "/token")
        assert seen.header("content-type") == "application/x-www-form-urlencoded"
        form = dict(parse_qsl(seen.body.decode()))
        assert form.keys() == {"grant_type", "assertion"}
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        head, claims = claims_of(form["assertion"])
        assert head == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
        assert claims == {
            "iss": "robot@example.com",
            "sub": "robot@example.com",
            "aud": upstream.url + "/token",
            "scope": SCOPE,
            "iat": int(NOW),
            "exp": int(NOW) + 3600,
        }
        spoiled = form["assertion"][:-8] + "AAAAAAAA"
        with pytest.raises(InvalidSignature):
            claims_of(spoiled)

    signing(robot, [token(1)], steps)


def test_a_login_shows_its_refresh_token():
    async def steps(signer, time, upstream):
        signed = await signer.sign(ASKED)
        assert ("x-goog-user-project", "payer") in signed.headers
        form = dict(parse_qsl(upstream.requests[0].body.decode()))
        assert form == {
            "grant_type": "refresh_token",
            "client_id": "the-client",
            "client_secret": "hunter2-client",
            "refresh_token": "hunter2-refresh",
        }

    signing(lambda url: login(url, quota_project_id="payer"), [token(1)], steps)


def test_a_machine_asks_its_metadata_server():
    async def steps(signer, time, upstream):
        assert shown(await signer.sign(ASKED)) == "token-1"
        [seen] = upstream.requests
        assert seen.method == "GET"
        path, _, query = seen.path.partition("?")
        assert path == "/computeMetadata/v1/instance/service-accounts/default/token"
        assert parse_qs(query) == {"scopes": [SCOPE]}
        assert seen.header("metadata-flavor") == "Google"

    signing(machine, [token(1)], steps)


def test_a_token_is_kept_until_shortly_before_its_end():
    async def steps(signer, time, upstream):
        for later, number in [(0, 1), (3600 - RENEW_BEFORE - 1, 1), (3600 - RENEW_BEFORE, 2)]:
            time.now = NOW + later
            assert shown(await signer.sign(ASKED)) == f"token-{number}"
            assert signer.secret == f"token-{number}"
        assert len(upstream.requests) == 2

    signing(login, [token(1), token(2)], steps)


def test_one_asks_while_the_others_wait():
    gate = asyncio.Event()

    async def steps(signer, time, upstream):
        waiting = [asyncio.ensure_future(signer.sign(ASKED)) for _ in range(20)]
        await upstream.seen(1)
        gate.set()
        assert {shown(signed) for signed in await asyncio.gather(*waiting)} == {"token-1"}
        assert len(upstream.requests) == 1

    slow = Script(token(1).body, headers=token(1).headers, before=[gate])
    signing(login, [slow, token(2)], steps)


def test_one_that_gives_up_does_not_take_the_others_with_it():
    gate = asyncio.Event()

    async def steps(signer, time, upstream):
        first, second = (asyncio.ensure_future(signer.sign(ASKED)) for _ in range(2))
        await upstream.seen(1)
        first.cancel()
        assert shown(await second) == "token-2"
        assert first.cancelled()
        gate.set()

    slow = Script(token(1).body, headers=token(1).headers, before=[gate])
    signing(login, [slow, token(2)], steps)


def test_a_token_that_an_upstream_refuses_is_not_shown_again():
    async def steps(signer, time, upstream):
        first = await signer.sign(ASKED)
        signer.refused(first)
        assert shown(await signer.sign(ASKED)) == "token-2"
        signer.refused(first)  # a late answer to the old one
        assert shown(await signer.sign(ASKED)) == "token-2"

    signing(login, [token(1), token(2), token(3)], steps)


def test_an_old_token_serves_while_no_new_one_can_be_had():
    async def steps(signer, time, upstream):
        await signer.sign(ASKED)
        time.now = NOW + 3600 - RENEW_BEFORE
        assert shown(await signer.sign(ASKED)) == "token-1"
        time.now = NOW + 3599
        error = await fault_of(signer.sign(ASKED))
        assert error.kind is ErrorKind.SIGN
        time.now += PAUSE
        assert shown(await signer.sign(ASKED)) == "token-2"

    broken = Script.json(b"{}", 503)
    signing(login, [token(1), broken, broken, token(2)], steps)


def test_a_failure_answers_those_who_wait_with_the_one_who_asked():
    async def steps(signer, time, upstream):
        waiting = [fault_of(signer.sign(ASKED)) for _ in range(10)]
        errors = await asyncio.gather(*waiting)
        assert {error.kind for error in errors} == {ErrorKind.SIGN}
        assert len(upstream.requests) == 1
        time.now += PAUSE
        assert shown(await signer.sign(ASKED)) == "token-1"

    signing(login, [Script.json(b"{}", 500), token(1)], steps)


REFUSED = {
    "refused, with a word": (
        Script.json(b'{"error": "invalid_grant", "error_description": "hunter2"}', 400),
        "no token was given: status 400 (invalid_grant)",
    ),
    "refused, with no word": (
        Script.json(b'{"error": "hunter2 leaks here"}', 401),
        "no token was given: status 401",
    ),
    "a page": (Script([b"<html>hunter2"], 502), "no token was given: status 502"),
    "no JSON": (Script.json(b"hunter2"), "no token was given: the answer holds none"),
    "no token": (Script.json(b'{"expires_in": 1}'), "no token was given: the answer holds none"),
    "a token that breaks lines": (
        Script.json(b'{"access_token": "hunter2\\r\\nx: y", "expires_in": 60}'),
        "no token was given: the answer holds none that can be used",
    ),
    "a token without end": (
        Script.json(b'{"access_token": "hunter2", "expires_in": 1e99}'),
        "no token was given: the answer holds none that can be used",
    ),
    "a redirect, which is not followed": (
        Script([], 302, [("location", "http://127.0.0.1:9/")]),
        "no token was given: status 302",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_token_is_told_without_its_words(case):
    answer, expected = REFUSED[case]

    async def steps(signer, time, upstream):
        error = await fault_of(signer.sign(ASKED))
        assert (error.kind, error.sent, error.message) == (ErrorKind.SIGN, False, expected)

    signing(login, [answer], steps)


def test_faults_on_the_way_to_a_token_say_that_nothing_was_sent():
    async def steps(signer, time, upstream):
        error = await fault_of(signer.sign(ASKED))
        assert (error.kind, error.sent) == (ErrorKind.CLOSED, False)
        assert error.message.startswith("on the way to a token: ")

    signing(login, [Script.raw(end=End.CLOSE)], steps)


@pytest.mark.parametrize("make", [robot, login])
def test_no_secret_is_told_anywhere(make, caplog):
    """R34: reprs, errors and debug lines of every library."""
    caplog.set_level(logging.DEBUG)
    told = []

    async def steps(signer, time, upstream):
        told.append(repr(signer))
        told.append(str(await fault_of(signer.sign(ASKED))))
        time.now += PAUSE
        await signer.sign(ASKED)
        told.append(repr(signer))

    signing(make, [Script.json(b"{}", 400), token(1)], steps)
    told += [repr(make("http://h")), caplog.text]
    text = "".join(told)
    secrets = [*make("http://h").secrets, "token-1", private_key().splitlines()[1]]
    assert not [secret for secret in secrets if secret in text]


def file(folder, document):
    place = folder / "credentials.json"
    place.write_text(document if isinstance(document, str) else json.dumps(document))
    return place


ROBOT = {"type": "service_account", "client_email": "a@b", "private_key": "x", "other": 1}
LOGIN = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}


def test_where_credentials_are_looked_for(tmp_path):
    named, variable = tmp_path / "named.json", tmp_path / "variable.json"
    named.write_text(json.dumps(ROBOT))
    variable.write_text(json.dumps(LOGIN))
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(variable), "HOME": str(tmp_path)}
    assert isinstance(find_credentials(environ, named), ServiceAccount)
    assert isinstance(find_credentials(environ), AuthorizedUser)
    folder = tmp_path / ".config" / "gcloud"
    assert find_credentials({"HOME": str(tmp_path)}) == Machine()
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text(json.dumps(LOGIN))
    for place in ({"HOME": str(tmp_path)}, {"CLOUDSDK_CONFIG": str(folder)}):
        assert isinstance(find_credentials(place), AuthorizedUser)
    assert find_credentials({}) == Machine()
    assert find_credentials({"GCE_METADATA_HOST": "127.0.0.1:9"}) == Machine(host="127.0.0.1:9")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "hunter2",
        "[]",
        {"type": "external_account", "x": "hunter2"},
        {**ROBOT, "private_key": 1},
        {**LOGIN, "token_uri": "http://evil.example/"},
        {**LOGIN, "token_uri": "file:///hunter2"},
    ],
)
def test_a_file_that_cannot_be_used(document, tmp_path):
    place = file(tmp_path, document)
    with pytest.raises(CredentialsError) as error:
        read_credentials(place)
    assert str(place) in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_pipe_and_a_folder_are_no_files(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(CredentialsError):
            read_credentials(place)


def test_a_key_that_cannot_sign_is_told_at_once():
    bad = ServiceAccount(client_email="a", private_key="hunter2")
    with pytest.raises(CredentialsError, match="private key") as error:
        GoogleSigner(bad, None, Time())
    assert "hunter2" not in str(error.value)
