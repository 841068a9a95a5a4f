"""Reports over judged files, for people and for other programs: one content, several forms (signing.md 8)."""
