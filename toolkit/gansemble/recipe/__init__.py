"""Recipes: YAML read with marks, composed, type-checked and held against the parts' contracts. Imports no torch."""
