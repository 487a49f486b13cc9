"""Credentials of clouds: found when a configuration is read, and told of where they are wrong."""

import asyncio
import json
import sys

import pytest

from arno.gateway.config.report import report
from arno.transport.base import HttpRequest
from arno.transport.signing_aws import AwsSigner
from arno.transport.signing_google import GoogleSigner
from tests.gateway.config.building import configured, problems
from tests.transport.signing_keys import private_key

VERTEX = {"GOOGLE_CLOUD_PROJECT": "my-project", "GOOGLE_CLOUD_LOCATION": "us-east5"}
AWS = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
    "AWS_SESSION_TOKEN": "hunter2-session",
}
LOGIN = {
    "type": "authorized_user",
    "client_id": "c",
    "client_secret": "hunter2-client",
    "refresh_token": "hunter2-refresh",
}
TABLE = '[provider.google-vertex]\ncredentials_file = "robot.json"\n'


def robot(folder, **more):
    """A service account's file."""
    document = {
        "type": "service_account",
        "client_email": "robot@example.com",
        "private_key": private_key(),
        **more,
    }
    place = folder / "robot.json"
    place.write_text(json.dumps(document))
    return place


def on(config):
    return [upstream.endpoint.slug for upstream in config.live]


def signers(config):
    return config.signers(None, lambda: 0.0)


def test_a_service_account_switches_vertex_on(tmp_path):
    environ = {**VERTEX, "GOOGLE_APPLICATION_CREDENTIALS": str(robot(tmp_path))}
    config = configured(tmp_path, "", environ)
    assert on(config) == ["google-vertex", "google-vertex-anthropic"]
    found = signers(config)
    assert list(found) == on(config)
    assert all(isinstance(signer, GoogleSigner) for signer in found.values())
    assert config.secrets == {private_key()}
    assert private_key() not in repr(config)


def test_the_file_may_name_the_credentials(tmp_path):
    (tmp_path / "robot.json").write_text(json.dumps(LOGIN))
    config = configured(tmp_path, TABLE, VERTEX)
    assert on(config) == ["google-vertex"]
    assert config.secrets == {"hunter2-client", "hunter2-refresh"}
    assert "hunter2" not in repr(config)


def test_without_any_file_it_is_the_machine(tmp_path):
    config = configured(tmp_path, "[provider.google-vertex]", {**VERTEX, "HOME": str(tmp_path)})
    assert list(signers(config)) == ["google-vertex"]
    assert config.secrets == frozenset()


WRONG = {
    "no file": (None, "cannot be read: No such file or directory"),
    "no JSON": ("hunter2", "expected a JSON file of credentials"),
    "another kind": ('{"type": "hunter2"}', "credentials of this type are not known, only"),
    "half of it": ('{"type": "service_account"}', "expected a JSON file of credentials"),
    "no key": (
        '{"type": "service_account", "client_email": "a", "private_key": "hunter2"}',
        "the private key of the service account cannot be read",
    ),
    "a token address that is not encrypted": (
        json.dumps({**LOGIN, "token_uri": "http://evil.example/hunter2"}),
        "token_uri must be an https address",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_credentials_are_told_with_their_line(case, tmp_path):
    text, expected = WRONG[case]
    if text is not None:
        (tmp_path / "robot.json").write_text(text)
    [line] = problems(tmp_path, TABLE, VERTEX)
    assert line.startswith("arno.toml:1: provider.google-vertex: ")
    assert expected in line
    assert "hunter2" not in line


@pytest.mark.parametrize("case", WRONG)
def test_wrong_credentials_of_the_environment_alone_leave_the_provider_off(case, tmp_path):
    """A variable that other programs use too must not keep the gateway from its other providers."""
    text, expected = WRONG[case]
    place = tmp_path / "robot.json"
    if text is not None:
        place.write_text(text)
    config = configured(tmp_path, "", {**VERTEX, "GOOGLE_APPLICATION_CREDENTIALS": str(place)})
    assert on(config) == []
    assert expected in config.upstreams["google-vertex"].origin


def test_a_signature_for_bedrock(tmp_path):
    config = configured(tmp_path, "", AWS)
    assert on(config) == ["amazon-bedrock", "amazon-bedrock-anthropic"]
    assert all(isinstance(signer, AwsSigner) for signer in signers(config).values())
    assert config.secrets == {"hunter2-secret", "hunter2-session"}
    rows = report(config, tmp_path, "default")["providers"]
    assert ("amazon-bedrock", "a signature on each request") in {(r.name, r.value) for r in rows}
    assert "hunter2" not in repr(config) + repr(rows)


def test_a_bearer_key_goes_before_a_signature(tmp_path):
    config = configured(tmp_path, "", {**AWS, "AWS_BEARER_TOKEN_BEDROCK": "the-key"})
    signer = signers(config)["amazon-bedrock"]
    signed = asyncio.run(signer.sign(HttpRequest("POST", "https://h.example/")))
    assert signed.headers == (("authorization", "Bearer the-key"),)


def test_a_signature_needs_a_region(tmp_path):
    text = '[provider.mine]\nbase_url = "https://h.example"\nauth = "aws"'
    assert problems(tmp_path, text) == [
        "arno.toml:1: provider.mine: no region: a signature is made for one"
    ]


@pytest.mark.parametrize(
    ("module", "text", "environ", "extra"),
    [
        ("google.auth.crypt", TABLE, VERTEX, "google"),
        ("botocore", "[provider.amazon-bedrock]", AWS, "aws"),
    ],
)
def test_a_missing_extra_is_named(module, text, environ, extra, tmp_path, monkeypatch):
    robot(tmp_path)
    assert problems(tmp_path, text, environ) == []
    monkeypatch.setitem(sys.modules, module, None)
    [line] = problems(tmp_path, text, environ)
    assert line.endswith(f"this needs a package more: pip install 'arno[{extra}]'")


def test_without_the_extra_the_environment_alone_switches_nothing_on(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    config = configured(tmp_path, "", {**AWS, "GROQ_API_KEY": "k"})
    assert on(config) == ["groq", "groq-responses"]
    assert "arno[aws]" in config.upstreams["amazon-bedrock"].origin


def test_credentials_in_the_folder_of_gcloud(tmp_path):
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    place = folder / "application_default_credentials.json"
    place.write_text(json.dumps(LOGIN))
    for environ in ({"HOME": str(tmp_path)}, {"CLOUDSDK_CONFIG": str(folder)}):
        config = configured(tmp_path, "[provider.google-vertex]", {**VERTEX, **environ})
        assert config.secrets == {"hunter2-client", "hunter2-refresh"}
