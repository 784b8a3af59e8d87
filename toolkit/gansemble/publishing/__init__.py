"""Trained experiments made into bundles, put on a hub, and fetched from it."""
