"""The layers of the Vision Transformer, with Shifted Patch Tokenization and Locality Self-Attention.

They use `keras.ops` alone, and `keras.random` for dropout, so they compute the same numbers on every backend.
"""
