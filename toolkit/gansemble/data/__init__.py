"""Everything between a corpus on disk and a batch of training crops.

``download`` fetches a corpus, ``doctor`` examines its files, ``prepare`` packs them with ``pack`` into one array and a
``manifest``, and ``packed`` and ``segments`` read crops from it. ``mini`` makes small corpora without a network.
"""
