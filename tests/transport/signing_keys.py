"""A key pair for signatures in tests, made once."""

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def _key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key() -> str:
    """In PEM form, as a service account's file has it."""
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return _key().private_bytes(serialization.Encoding.PEM, form, plain).decode()


def public_key():
    """What its signatures are verified with."""
    return _key().public_key()
