"""Secrets in bodies: by the name of their field, in every way that JSON, forms and parts have."""

import pytest

from arno.cassette.redact import redact_body, redact_url
from arno.cassette.rules import DEFAULT, is_one_of
from arno.cassette.secret_fields import find_edits

SECRET = "CANARYvalue1234567"


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apiKey", "API_KEY", "Api-Key", "x-api-key", "X-API-Key", "apikey"),
        *("OPENAI_API_KEY", "openaiApiKey", "x-goog-api-key", "passwd", "db_password"),
        *("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "session_token", "accessToken"),
        *("token", "hf_token", "secret", "SECRET", "auth", "bearer", "credential"),
    ],
)
def test_a_made_value_under_a_secrets_name_is_replaced(name):
    body = b'{"%b": "%b", "n": 1}' % (name.encode(), SECRET.encode())
    assert redact_body(body) == b'{"%b": "[redacted]", "n": 1}' % name.encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"token":" Hello","logprob":-0.1,"bytes":[32]}', id="log probability"),
        pytest.param(b'{"max_tokens":4096,"total_tokens":12345678901234567}', id="counts"),
        pytest.param(b'{"secret":"a word of prose with 1 digit"}', id="prose"),
        pytest.param(b'{"auth":{"type":"oauth2","scopes":["a"]}}', id="doubtful object"),
        pytest.param(
            b'{"properties":{"api_key":{"type":"string","description":"Key of the 2nd service"}}}',
            id="a tool's schema",
        ),
        pytest.param(b'say "password": and go on', id="no value"),
        pytest.param(rb'{"text":"api_key\":\"word\" is how it is written"}', id="no name"),
        pytest.param(b'{"key":"reports-2024-0000001"}', id="key alone says nothing"),
    ],
)
def test_what_is_no_secret_stays(body):
    assert redact_body(body) == body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            r'{"api\u005fkey": "S"}', r'{"api\u005fkey": "[redacted]"}', id="escaped name"
        ),
        pytest.param(
            r'{"arguments": "{\"api_key\": \"S\", \"n\":1}"}',
            r'{"arguments": "{\"api_key\": \"[redacted]\", \"n\":1}"}',
            id="JSON in a string",
        ),
        pytest.param(
            r'{"arguments":"{\n\t\"api_key\":\n\"S\"}"}',
            r'{"arguments":"{\n\t\"api_key\":\n\"[redacted]\"}"}',
            id="JSON with escaped white space in a string",
        ),
        pytest.param(
            r'{"a":"{\"b\":\"{\\\"api_key\\\":\\\"S\\\"}\"}"}',
            r'{"a":"{\"b\":\"{\\\"api_key\\\":\\\"[redacted]\\\"}\"}"}',
            id="JSON in a string in a string",
        ),
        pytest.param(
            r'{"a":"{\"api_key\":\"S\\\" S \\\\\",\"n\":1}"}',
            r'{"a":"{\"api_key\":\"[redacted]\",\"n\":1}"}',
            id="quotes and backslashes in the value",
        ),
        pytest.param(r'{"a":"{\"api_key\":\"S"}', r'{"a":"{\"api_key\":\"[redacted]\""}', id="cut"),
        pytest.param('{"api_key": ["S", "S"]}', '{"api_key": ["[redacted]", "[redacted]"]}'),
        pytest.param('{"api_key": {"v":{"w":"S"}}}', '{"api_key": {"v":{"w":"[redacted]"}}}'),
        pytest.param(
            '{"api_key":{"password":"short"}}', '{"api_key":{"password":"[redacted]"}}', id="both"
        ),
    ],
)
def test_wherever_json_stands(body, expected):
    redacted = redact_body(body.replace("S", SECRET).encode())
    assert redacted.decode() == expected
    assert redact_body(redacted) == redacted


def test_a_part_of_a_form_with_files():
    part = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    body = part % (b"api_key", SECRET.encode()) + part % (b"model", b"a/b") + b"--b--\r\n"
    expected = part % (b"api_key", b"[redacted]") + part % (b"model", b"a/b") + b"--b--\r\n"
    assert redact_body(body, "multipart/form-data; boundary=b") == expected
    assert redact_body(body) == expected  # a match knows no content type


def test_a_form_with_other_separators():
    form = "application/x-www-form-urlencoded"
    assert redact_body(b"a=1;api_key=S;b=2", form) == b"a=1;api_key=[redacted];b=2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/x?a=1;key=S", "https://h/x?a=1"),
        ("https://h/x?key=S;a=1", "https://h/x?a=1"),
        ("https://h/x?a=1;key=S&b=2", "https://h/x?a=1&b=2"),
        ("https://h/x?OPENAI_API_KEY=S", "https://h/x"),
        ("https://h/x#key=S", "https://h/x"),
        ("https://h/x?a=1#b=2&access_token=S", "https://h/x?a=1#b=2"),
        ("https://u:pw?@h/x", "https://h/x"),
        ("https://u:p#w@h/x", "https://h/x"),
        ("https://h:8080?mail=a@b", "https://h:8080?mail=a@b"),
        ("https://h?mail=a@b", "https://h?mail=a@b"),
        ("https://[::1]:80?mail=a@b", "https://[::1]:80?mail=a@b"),
    ],
)
def test_urls(url, expected):
    assert redact_url(url) == expected


def test_names_are_compared_as_words():
    assert is_one_of("My-Pin", frozenset({"pin"}))
    assert not is_one_of("spin", frozenset({"pin"}))


@pytest.mark.parametrize(
    "piece",
    [
        *(b'{"api_key":[', b'"api_key":"', rb"\"api_key\":\"", rb"\"api_key\":[\\\""),
        *(b"\\", b'"', b'form-data; name="a"\r\n\r\n', b'form-data; name="a"\r\n', b"api_key"),
    ],
)
def test_the_search_is_linear(piece):
    # A search that went on from every start to the end would need hours for this much text.
    assert find_edits(piece * 100_000, "", DEFAULT) is not None
