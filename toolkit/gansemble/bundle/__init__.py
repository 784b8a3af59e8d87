"""Bundles: a trained experiment as one folder of JSON, safetensors, text and sound, in which every file is checked by its hash.

A bundle is laid out as an experiment, so that whatever reads an experiment reads a bundle: ``checkpoints/step-…/`` with one
checkpoint, ``scores/``, ``samples/``. What makes it a bundle is ``bundle.json``, which lists every file with its size and
SHA-256, and that nothing in it is a pickle.
"""
