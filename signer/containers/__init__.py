"""Reading and judging ASiC containers: XAdES, CAdES, time stamps, evidence records (signing.md 6, Z1 to R2)."""
