"""From bytes of any kind to one report: messages with their files, receipts, proofs, and what the directory knows.

Nothing is imported here, so that judging a receipt loads nothing of PDF.
"""
