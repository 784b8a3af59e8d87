"""Scores, their statistics and curves, as both training and evaluation use them."""
