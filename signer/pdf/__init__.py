"""PDF: signing by incremental update, visible forms, and judging (signing.md 3 and 4). The only user of pyHanko."""
