"""The signer that a row asks for."""

import asyncio
import json

import pytest

from arno.providers import Endpoint
from arno.providers.rows import Auth
from arno.transport.base import HttpRequest
from arno.transport.signing import CredentialsError, HeaderSigner
from arno.transport.signing_aws import AwsSigner
from arno.transport.signing_google import GoogleSigner
from arno.transport.signing_rows import check_signer, secret_texts, signer_for

LOGIN = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
AWS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}


def row(auth, **more):
    return Endpoint(
        slug="a", name="a", dialect="chat", base_url="https://h.example", auth=auth, **more
    )


def made(endpoint, key=None, environ=None, credentials=None):
    return signer_for(
        endpoint,
        key,
        transport=None,
        environ=environ or {},
        now=lambda: 0.0,
        credentials=credentials,
    )


@pytest.mark.parametrize(
    ("auth", "key", "kind"),
    [
        (Auth.BEARER, "k", HeaderSigner),
        (Auth.X_API_KEY, "k", HeaderSigner),
        (Auth.API_KEY, "k", HeaderSigner),
        (Auth.X_GOOG_API_KEY, "k", HeaderSigner),
        (Auth.NONE, None, HeaderSigner),
        (Auth.AWS, "k", HeaderSigner),
        (Auth.AWS, None, AwsSigner),
        (Auth.GOOGLE, None, GoogleSigner),
    ],
)
def test_which_signer(auth, key, kind):
    endpoint = row(auth, region="us-east-1")
    assert type(made(endpoint, key)) is kind
    check_signer(endpoint, key, environ={})


def test_a_key_where_a_signature_could_be_is_a_bearer_key():
    signed = asyncio.run(made(row(Auth.AWS), "k").sign(HttpRequest("GET", "https://h/")))
    assert signed.headers == (("authorization", "Bearer k"),)


def test_a_signature_is_made_for_a_region():
    for make in (made, lambda endpoint: check_signer(endpoint, None, environ={})):
        with pytest.raises(CredentialsError, match="no region"):
            make(row(Auth.AWS))


def test_what_must_not_be_read_anywhere(tmp_path):
    place = tmp_path / "login.json"
    place.write_text(json.dumps(LOGIN))
    assert secret_texts(row(Auth.GOOGLE), {}, place) == {"s", "r"}
    assert secret_texts(row(Auth.GOOGLE), {}) == frozenset()
    assert secret_texts(row(Auth.AWS), AWS) == {"s", "t"}
    assert secret_texts(row(Auth.AWS), {}) == frozenset()
    assert secret_texts(row(Auth.BEARER), AWS) == frozenset()
