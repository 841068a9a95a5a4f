"""The ledger's mathematics and formats: integers, bytes and text only (ledger.md 2 to 4). Storage is ``store.log``."""
