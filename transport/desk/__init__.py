"""The desk: what stands between a command and the functions that do the work.

Reads and writes files, asks for pass phrases, loads keys and trust, calls one function of the rooms below and hands
back values for ``transport.present``. Imported by ``cli.py`` alone; heavy modules are imported inside its functions.
"""
