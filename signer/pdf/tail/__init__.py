"""The fast path of signing a PDF: a writer that touches only the tail of ordinary files (signing.md 3.4)."""
