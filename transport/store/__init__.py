"""The store: rows, blobs and the one writer. What leaves it are frozen values (``values.py``), never rows."""
