"""Keys of remote signing services: ``csc:NAME`` (console.md 4.1, signing.md 2)."""
