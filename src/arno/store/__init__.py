"""The store: where ledger records are kept; the only folder that imports a database client.

`framing` and `journal` (records written down before they are acknowledged), `private` (file modes,
links), `schema`, `database`, `rows` and `migrate` (SQL), `writer` (journal to database, in its own
thread), `sink` (the two as one), `memory` (a sink without files, for the base install).
"""
