"""Predictions on a split, and what they say about a model. Only `predict` needs Keras."""
