"""Recipes: YAML files that are read, composed, checked against the parts' constructors, and against their contracts.

Imports no torch.
"""
