"""Credentials by their value: prefixes of vendors, and what a request itself carries."""

import pytest

from arno.cassette.secrets import carried, find_secret

TAIL = "CANARYvalue1234567aaaa"


@pytest.mark.parametrize(
    "prefix",
    [
        *("sk-", "sk-ant-api03-", "gsk_", "csk-", "xai-", "hf_", "r8_", "fw_", "pplx-", "nvapi-"),
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "npm_", "tgp_v1_"),
        *("xoxb-", "xoxp-", "sk_live_", "rk_test_", "jina_", "AIza"),
    ],
)
def test_keys_of_vendors_are_known(prefix):
    kind = find_secret(f'{{"x":"{prefix}{TAIL}"}}'.encode())
    assert kind is not None
    assert TAIL not in kind


@pytest.mark.parametrize(
    "text",
    ["hf_hub_download_file_again", "fw_update", "xai-based", "shelf_CANARYvalue1234567aaaa", "r8_"],
)
def test_prose_and_names_are_not(text):
    assert find_secret(text.encode()) is None


def test_each_kind_is_named_once():
    assert find_secret(b"AIzaSyA0123456789abcdef") == "an API key (AIza)"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ((("authorization", "Bearer 12345678"),), {"12345678", "Bearer 12345678"}),
        ((("authorization", "12345678"),), {"12345678"}),
        ((("proxy-authorization", "Basic 12345678"),), {"12345678", "Basic 12345678"}),
        ((("x-api-key", "a-key-of-mine"),), {"a-key-of-mine"}),
        ((("api-key", "a-key-of-mine"), ("x-goog-api-key", "another")), {"a-key-of-mine"}),
        ((("cookie", "a=1; session=12345678"),), {"12345678", "a=1; session=12345678"}),
        ((("user-agent", "something/1.0"), ("x-api-key", "1234567")), set()),
    ],
)
def test_what_a_request_carries(headers, found):
    assert set(carried("https://h/p?a=123456789", headers)) == found


def test_what_a_query_carries():
    assert carried("https://h/p?key=12345678&a=b&OPENAI_API_KEY=%31abcdefg", ()) == (
        "12345678",
        "1abcdefg",
    )
