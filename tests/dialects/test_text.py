"""Text of other parties in messages: bounded, one line, without secrets (R21, R34)."""

import pytest

from arno.dialects.text import MAX_MESSAGE, clean

SECRETS = (
    "sk-or-v1-0123456789abcdef",
    "sk-ant-api03-0123456789",
    "sk-proj-abc_DEF-0123456789",
    "gsk_0123456789abcdef",
    "xai-0123456789abcdef",
    "hf_0123456789abcdef",
    "AIzaSyA0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-ab1****wxyz",
    "sk-ab1...wxyz",
    "sk-…wxyz",
    "sk-proj-****************wxyz",
    "ab12****wxyz",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "Incorrect API key provided: {}.", '{{"key": "{}"}}'])
def test_keys_are_masked_wherever_they_stand(secret: str, around: str) -> None:
    said = clean(around.format(secret))
    assert secret not in said
    assert "[redacted]" in said
    assert around.split("{}")[0].replace("{{", "{").strip() in said


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("GET https://host/v1?key=0123456789&alt=sse failed", "0123456789"),
        ("GET https://host/v1?api_key=abc failed", "abc"),
        ("cannot reach https://user:hunter2@host/v1", "hunter2"),
    ],
)
def test_credentials_in_headers_and_urls_are_masked(text: str, hidden: str) -> None:
    said = clean(text)
    assert hidden not in said
    assert said.startswith(text[:10])


@pytest.mark.parametrize(
    "text", ["the key is missing", "model x/sk is not known", "ask-me", "https://host:8080/v1"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert clean(text) == text


def test_messages_are_one_bounded_line() -> None:
    assert clean("a\r\nb\x00\tc ") == "a b c"
    assert len(clean("x" * 1_000_000)) == MAX_MESSAGE
    assert clean("x" * MAX_MESSAGE) == "x" * MAX_MESSAGE
