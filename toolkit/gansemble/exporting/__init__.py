"""Exports trained generators to files that run without the toolkit, and runs such files without torch."""
