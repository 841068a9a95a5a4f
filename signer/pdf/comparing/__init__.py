"""What was changed after a signature, and was it allowed? (signing.md 4.3)

Neighbouring revisions are compared once, by what catalog and trailer lead to and by meaning, never by object number;
every signature made before a step shares its result. The entry is ``signer.pdf.comparing.compare.compare``::

    compare(revisions, signatures, limits=limits) -> tuple[Later, ...]      # one per signature, in their order

``revisions`` are the states of the file in order, each a ``signer.pdf.values.Document``, the latest last.
``signatures`` are ``Signed(field, revision, integrity, timestamp)``: the full field name, the number of the state that
is signed (``Document.revision``), integrity by mathematics and coverage alone, and whether the CMS holds a time stamp.
``Later`` says what that means for one signature: ``integrity`` as far as later changes decide it (intact, broken, or
unknown when a budget is used up), ``later_changes``, ``changes``, and ``reasons`` and ``warnings`` to be added.
It never raises for what a file holds.
"""
