"""The exchange over HTTP (exchange.md 3): ``wire`` is shared by both ends and pure; ``client``, ``server``, ``pki``."""
