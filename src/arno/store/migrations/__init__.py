"""Schema changes of the ledger, in order; run by `arno.store.migrate` through Alembic."""
