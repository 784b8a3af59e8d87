"""Builds the parts that a recipe names (networks, losses, monitors and others) as Python objects."""
