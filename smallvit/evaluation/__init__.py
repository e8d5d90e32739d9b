"""Predictions on a split, and what they say about a model. Only `split_predictions` needs Keras."""
