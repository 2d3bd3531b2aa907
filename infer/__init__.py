"""Score every user with one ONNX file: NumPy, Polars and ONNX Runtime, no PyTorch.

This package owns what training and serving share: column names, padding, windows,
metrics and the metadata inside a model file. It imports no sibling package.
"""
