"""Results become what a person or a program reads: tables, JSON envelopes, messages in Vietnamese and English.

Pure (architecture.md, rule 1): no network, database, clock or terminal. Texts lie in ``catalogue/*.toml``, JSON Schemas
in ``schemas/*.json``; both are read through :mod:`importlib.resources` when first needed.
"""
