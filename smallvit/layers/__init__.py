"""The layers of the Vision Transformer and of the two ideas."""
