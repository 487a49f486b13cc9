"""Signature Version 4 as a server checks it: written from the AWS General Reference, without
botocore. What is signed is read off the bytes that came: the request line's path as it is.
"""

import hashlib
import hmac
import re
from urllib.parse import quote

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def refusal(request, secrets: dict[str, str], region: str, service: str = "bedrock") -> str | None:
    """Why a server would not accept a `SeenRequest`; None if it would.

    secrets: secret keys by access key.
    """
    found = _FORM.fullmatch(request.header("authorization") or "")
    if found is None:
        return "no signature"
    access, day, where, what, names, signature = found.groups()
    moment = request.header("x-amz-date") or ""
    if access not in secrets or (where, what) != (region, service) or not moment.startswith(day):
        return "credential scope"
    signed = names.split(";")
    if not {"host", "x-amz-date"} <= set(signed) or signed != sorted(signed):
        return "headers that must be signed"
    if request.header("x-amz-security-token") and "x-amz-security-token" not in signed:
        return "headers that must be signed"
    path, _, query = request.path.partition("?")
    if query:
        return "a query, which no request here has"
    canonical = "\n".join(
        [
            request.method,
            quote(path, safe="/-_.~"),  # escaped once more: the rule for all services but one
            "",
            *(f"{name}:{' '.join((request.header(name) or '').split())}" for name in signed),
            "",
            names,
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    scope = f"{day}/{where}/{what}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, digest])
    key = f"AWS4{secrets[access]}".encode()
    for part in (day, where, what, "aws4_request"):
        key = _hmac(key, part)
    ours = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(ours, signature) else "signature"
