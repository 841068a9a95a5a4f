"""Bytes, keys and certificates: signing, inspecting and verifying PDF and XML.

The package knows no agency, no envelope, no network and no clock: trust, time and policy are arguments of every
judgement (signing.md 1.1, G1). Import the module you need; this file loads nothing, so that start-up stays fast.
"""
