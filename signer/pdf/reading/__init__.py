"""Own lazy reader of PDF files: tokens, cross-references, object streams, filters, recovery (signing.md 4.1, D1, D2).

It loads only what is asked for, keeps every offset, mends nothing in silence and knows nothing of signatures. Faults of
a foreign file are ``InputRefused``, budgets ``LimitExceeded``; nothing else leaves it.
"""

from signer.pdf.reading.file import PdfFile
from signer.pdf.reading.state import State

__all__ = ["PdfFile", "State"]
