"""Moving sealed envelopes between agencies and remembering that it happened.

The order of the modules is fixed by import contracts in ``pyproject.toml``; ``docs/architecture.md`` shows it.
"""
