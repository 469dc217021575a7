"""How the pocket pair was made: one command for each part, run as `python -m archive.training`.

Nothing of the product imports this package, and no wheel carries it. Its teachers and photographs lie beside the
checkout (`$ARCHIVE_SHARED`, else `../shared`); what it writes, beside nothing but the folder it is given.
"""
