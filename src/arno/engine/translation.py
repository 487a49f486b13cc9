"""A client's request in the dialect of an upstream that speaks another one.

The body is decoded once, whatever number of candidates is tried, and encoded once for each
endpoint and model. What gets lost is told in the client's own words; a request that asks for
strictness, or for something that must not be lost, is refused at that candidate instead (R13).
"""

from __future__ import annotations

import hashlib

import msgspec

from arno.canon.ext import Loss
from arno.canon.request import Request
from arno.dialects import CLIENTS
from arno.dialects.dispositions import client_field
from arno.dialects.translate import encode_for
from arno.engine.call import Call
from arno.engine.origins import Origins, artefacts_of, without_foreign
from arno.providers import Candidate

TABLES = {"completions": "chat"}
"""Operations that are wrapped as another dialect's."""


WRAPPED = "a request that is wrapped as another has no such member"


def private_id(user: str) -> str:
    """What an upstream is told of an end user's id."""
    return hashlib.sha256(user.encode()).hexdigest()[:32]


class Translation:
    """One call's request for other dialects, and for another deployment of its own."""

    def __init__(self, call: Call, origins: Origins) -> None:
        self._call = call
        self._origins = origins
        self._request: Request | None = None
        marks, body = CLIENTS[call.dialect].artefact_marks, call.body
        self._may_hold_artefacts = bool(origins) and any(body.find(mark) >= 0 for mark in marks)

    async def recall(self) -> None:
        """Find out where the artefacts of the request come from, if it holds any."""
        if self._may_hold_artefacts:
            parts = (part for message in self._decoded().messages for part in message.parts)
            await self._origins.recall([text for part in parts for text in artefacts_of(part)])

    def has_foreign_artefacts(self, candidate: Candidate) -> bool:
        """True if the request sends back what another endpoint is known to have made."""
        return self._may_hold_artefacts and bool(self.request_for(candidate)[1])

    def request_for(self, candidate: Candidate) -> tuple[Request, tuple[Loss, ...]]:
        """The request with the model's id there, without what must not go there."""
        endpoint, request = candidate.endpoint, self._decoded()
        request = msgspec.structs.replace(
            request,
            model=candidate.upstream_model,
            include_usage=True if request.stream and endpoint.stream_usage else None,
        )
        if not endpoint.contract:
            # The end user's id is the same each time for an upstream, and not readable.
            user = None if request.user is None else private_id(request.user)
            # To keep nothing goes without saying, and plain hosts may not know the word.
            store = None if request.store is False else request.store
            request = msgspec.structs.replace(request, routing=None, user=user, store=store)
        return without_foreign(request, self._origins, endpoint.family)

    def body_for(self, candidate: Candidate) -> tuple[bytes, tuple[Loss, ...]]:
        """The request as this candidate reads it, and what it does not say of the client's.

        Raises RequestError, its path in the client's words.
        """
        client, target = self._call.dialect, candidate.endpoint.dialect
        request, losses = self.request_for(candidate)
        table, residue = TABLES.get(client), request.ext.get(client, {})
        if table is not None:
            ext = {name: kept for name, kept in request.ext.items() if name != client}
            request = msgspec.structs.replace(request, ext=ext)
            losses += tuple(Loss(name, "dropped", WRAPPED) for name in residue)
        client = table or client
        members = self._call.envelope.members or ()
        body, more = encode_for(request, client, target, members)
        told = (
            msgspec.structs.replace(loss, path=client_field(client, loss.path)) for loss in losses
        )
        return body, (*told, *more)

    def _decoded(self) -> Request:
        if self._request is None:
            call = self._call
            self._request = CLIENTS[call.dialect].decode_request(call.body, call.line)
        return self._request
