"""Secrets that must not be found anywhere, and the search for them (R34).

A canary has parts that hide in different ways: what looks like a known key in its middle, a slash
that JSON may escape, ends that are long enough to be recognised when only a piece of it is left.
"""

import base64

UPSTREAM = "q7EnvHeadWrT.sk-9d8c7b6a5f4e/3d2c1b0aZkVnMtailq7"
FILED = "q7-filed-Hx4LrPz0uWc8-e6Tg1YbKqNsDvm2"
CONTRACT = "sk-or-v1-Vj3MdRkXw5Ze+sQf8BtCnU/7hGpLaOyi"
CLIENT = "kJ5wEnvClientUo9RxTmBz2VhYq"
CLIENT_FILED = "Wd6gFiledCallerNs8LpXe3KfJt"
PROXY = "Pt4ProxyPassXm7ZqHc9RbVsLk"
PLANTED = "q7Planted-no-secret-word"
"""What must be found: wherever the canaries are searched for, this is."""

SECRETS = (UPSTREAM, FILED, CONTRACT, CLIENT, CLIENT_FILED, PROXY)

PIECE = 10
"""Characters of a canary that give it away."""


def hits(data, canaries=SECRETS):
    """The canaries of which a piece stands in some bytes, as it is or in base64."""
    text = data.decode("latin-1") if isinstance(data, bytes) else str(data)
    return {canary for canary in canaries if any(piece in text for piece in pieces(canary))}


def pieces(canary):
    """All pieces, and those of its base64 that do not depend on what surrounds it."""
    found = windows(canary)
    for lead in range(3):
        coded = base64.b64encode(b"-" * lead + canary.encode()).decode()
        found += windows(coded[4:-4])
    return found


def windows(text):
    """Each piece of a text."""
    return [text[start : start + PIECE] for start in range(len(text) - PIECE + 1)]
