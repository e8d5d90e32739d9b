"""Benchmarks of speed."""

import smallvit  # it sets the environment before anything imports Keras
