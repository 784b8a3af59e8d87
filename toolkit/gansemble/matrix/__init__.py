"""Combinations of parts: every one that fits is run, and all are compared."""
