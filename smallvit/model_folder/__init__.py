"""A trained model as a folder: its record, its weights, its history, its card."""
