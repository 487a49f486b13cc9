"""The TLS context for upstreams: it verifies, trusts one's own CA as well, and names a bad file."""

import ssl

import pytest

from arno.canon.failure import LocalError
from arno.transport.tls import client_context, verifies
from tests.transport.certificates import needs_openssl


def subjects(context: ssl.SSLContext) -> list[object]:
    return [certificate["subject"] for certificate in context.get_ca_certs()]


def test_the_default_verifies():
    context = client_context()
    assert verifies(context)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@needs_openssl
def test_an_own_authority_is_added_to_the_systems(authority):
    context = client_context(authority.ca_file)
    assert verifies(context)
    own = ((("commonName", "test authority"),),)
    assert own in subjects(context)
    assert own not in subjects(client_context())
    assert {*map(str, subjects(client_context()))} < {*map(str, subjects(context))}


def test_a_context_that_does_not_verify_is_told():
    careless = ssl.create_default_context()
    careless.check_hostname = False
    assert not verifies(careless)
    careless.verify_mode = ssl.CERT_NONE
    assert not verifies(careless)


BAD_FILES = {
    "empty": b"",
    "text": b"hello\n",
    "not quite": b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    "a key": b"-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n",
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_without_a_certificate_is_named(name, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(BAD_FILES[name])
    with pytest.raises(LocalError) as caught:
        client_context(path)
    assert str(caught.value) == f"CA file {path}: holds no valid PEM certificate"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path, why in ((tmp_path / "no.pem", "No such file"), (tmp_path / "x" / "y", "No such")):
        with pytest.raises(LocalError, match=why) as caught:
            client_context(str(path))
        assert str(caught.value).startswith(f"CA file {path}: ")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(LocalError, match="CA file "):
        client_context(tmp_path)
