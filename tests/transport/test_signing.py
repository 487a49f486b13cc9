"""Signers: keys in headers, and the transport that signs."""

import asyncio

import pytest

from arno.providers.rows import Auth
from arno.transport.base import ErrorKind, HttpRequest
from arno.transport.signing import (
    CredentialsError,
    HeaderSigner,
    Signing,
    SigningError,
    borrowed,
    is_installed,
    is_token,
    with_headers,
)
from tests.transport.running import fault_of, pool, read_all, within
from tests.transport.upstream import Script, ScriptedUpstream

ASKED = HttpRequest("POST", "http://h/", (("content-type", "application/json"),), b"{}")


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        (Auth.BEARER, ("authorization", "Bearer k")),
        (Auth.X_API_KEY, ("x-api-key", "k")),
        (Auth.NONE, None),
    ],
)
def test_a_key_in_a_header(auth, field):
    signer = HeaderSigner(auth, "k")
    signed = asyncio.run(signer.sign(ASKED))
    assert signed.headers == (*ASKED.headers, *((field,) if field else ()))
    assert (signed.url, signed.body, signer.secret) == (ASKED.url, ASKED.body, "k")
    assert asyncio.run(HeaderSigner(auth, None).sign(ASKED)) == ASKED


def test_headers_take_the_place_of_ones_of_the_same_name():
    fields = (("a", "2"), ("b", "3"))
    request = HttpRequest("GET", "http://h/", (("a", "0"), ("c", "1"), ("a", "1")))
    assert with_headers(request, fields).headers == (("c", "1"), *fields)


class Numbered:
    """Puts a number into each request; forgets none."""

    secret = None

    def __init__(self):
        self.count, self.no = 0, []

    async def sign(self, request):
        self.count += 1
        return with_headers(request, (("x-number", str(self.count)),))

    def refused(self, request):
        self.no.append(dict(request.headers)["x-number"])


def test_what_is_sent_is_the_signed_request_and_a_refusal_is_told():
    async def scenario():
        signer = Numbered()
        answers = [Script.json(b"1"), Script.json(b"2", 401), Script.json(b"3", 403)]
        async with ScriptedUpstream(answers) as upstream, pool() as live:
            signing = Signing(live, signer)
            request = HttpRequest("POST", upstream.url + "/", (), b"{}")
            bodies = [await read_all(await signing.send(request)) for _ in answers]
            await signing.aclose()
            await live.send(HttpRequest("GET", upstream.url + "/"))  # it is still open
            assert bodies == [b"1", b"2", b"3"]
            assert [seen.header("x-number") for seen in upstream.requests[:3]] == ["1", "2", "3"]
        assert signer.no == ["2"]

    asyncio.run(within(10, scenario()))


def test_a_request_that_cannot_be_signed_is_not_sent():
    class Unable(Numbered):
        async def sign(self, request):
            raise SigningError("no credentials")

    async def scenario():
        async with ScriptedUpstream([]) as upstream, pool() as live:
            attempt = Signing(live, Unable()).send(HttpRequest("GET", upstream.url + "/"))
            error = await fault_of(attempt)
            assert (error.kind, error.sent) == (ErrorKind.SIGN, False)
            assert upstream.connections == 0

    asyncio.run(within(10, scenario()))


@pytest.mark.parametrize("text", ["a", "ya29.a0-_~+/=", "!" * 16_384])
def test_what_can_stand_in_a_header(text):
    assert is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "a\r\nx: y", "ä", "\x7f", "!" * 16_385])
def test_what_cannot(text):
    assert not is_token(text)


def test_an_extra_that_is_not_there_is_named():
    assert is_installed("msgspec")
    assert not is_installed("no_such_package")
    assert not is_installed("no_such_package.part")
    assert borrowed("msgspec", Auth.AWS).json
    with pytest.raises(CredentialsError, match=r"pip install 'arno\[google\]'"):
        borrowed("no_such_package.part", Auth.GOOGLE)
