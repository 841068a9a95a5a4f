"""CMS and CAdES: reading every form in which they travel, judging, and writing (signing.md 6, S1, S2)."""
