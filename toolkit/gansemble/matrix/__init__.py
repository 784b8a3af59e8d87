"""Experiments over all combinations of parts (``gansemble matrix``): those that fit are run and compared."""
