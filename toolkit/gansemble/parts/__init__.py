"""A recipe as objects."""
