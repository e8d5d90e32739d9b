"""Predictions on a split, and what they say about a model."""
