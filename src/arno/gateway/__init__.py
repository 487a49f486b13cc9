"""The gateway: client endpoints over ASGI, their keys, and the server that runs them.

`app` (put together), `routes` (paths and who may call them), `guard` and `keys` (who is let in),
`chat` (the hot path), `body`, `catalogue_api`, `account_api`, `health`, `inflight` (cancellation
and drain), `errors`, `log`, `server`.
"""
