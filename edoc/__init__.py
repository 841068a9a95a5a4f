"""What offices exchange: agencies, documents, envelopes and the rules of clerical work.

The package knows no network, disk, clock or database. It imports ``signer`` in one module only (``edoc.seal``).
"""

__version__ = "0.1.0"
