"""Where requests go: given or from the environment, and a key goes only with its own URL."""

import pytest

from arno.agent.errors import SettingsError
from arno.agent.settings import Access, find_access

ARNO = {"ARNO_BASE_URL": "http://arno.test/v1", "ARNO_API_KEY": "arno-key"}
OPENAI = {"OPENAI_BASE_URL": "https://openai.test/v1", "OPENAI_API_KEY": "openai-key"}
GIVEN = "http://given.test/v1"

FOUND: list[tuple[str | None, str | None, dict[str, str], str, str | None]] = [
    (GIVEN, "k", {}, GIVEN, "k"),
    (GIVEN + "/", None, {}, GIVEN, None),
    (None, None, ARNO, "http://arno.test/v1", "arno-key"),
    (None, None, OPENAI, "https://openai.test/v1", "openai-key"),
    (None, None, {**ARNO, **OPENAI}, "http://arno.test/v1", "arno-key"),
    (None, "k", ARNO, "http://arno.test/v1", "k"),
    (GIVEN, None, {**ARNO, **OPENAI}, GIVEN, "arno-key"),
    (GIVEN, None, OPENAI, GIVEN, None),
    (None, None, {**OPENAI, "ARNO_BASE_URL": "http://arno.test/v1"}, "http://arno.test/v1", None),
    (None, None, {**OPENAI, "ARNO_BASE_URL": ""}, "https://openai.test/v1", "openai-key"),
    ("", "", ARNO, "http://arno.test/v1", "arno-key"),
    (GIVEN, " key-from-a-file\n", {}, GIVEN, "key-from-a-file"),
    (GIVEN, " \n", {}, GIVEN, None),
]


@pytest.mark.parametrize(("base_url", "api_key", "environment", "url", "key"), FOUND)
def test_access(
    base_url: str | None, api_key: str | None, environment: dict[str, str], url: str, key: str
) -> None:
    assert find_access(base_url, api_key, environment) == Access(url, key)


@pytest.mark.parametrize(
    ("base_url", "api_key", "message"),
    [
        (None, None, "no base_url: give one, or set ARNO_BASE_URL or OPENAI_BASE_URL"),
        ("given.test/v1", None, "base_url: URL scheme must be http or https"),
        ("http://user:secret@given.test", None, "must not carry user information"),
        (GIVEN, "a\nb", "the API key holds a character"),
        (GIVEN, "schlüssel", "the API key holds a character"),
    ],
)
def test_mistakes(base_url: str | None, api_key: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        find_access(base_url, api_key, {})
    assert "secret" not in str(caught.value)
    assert "schlüssel" not in str(caught.value)


def test_a_key_is_never_shown() -> None:
    access = Access(GIVEN, "very-secret")
    assert "very-secret" not in f"{access!r} {access}"
    assert repr(Access(GIVEN)) == f"Access('{GIVEN}', api_key=None)"
