"""Encoder-decoder models from scratch: every forward and every backward pass by hand, on NumPy or CuPy."""

__version__ = "0.1.0"
