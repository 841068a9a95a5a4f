"""Canonical form, XML-DSig and XAdES: sign, inspect, verify (signing.md 5)."""
