"""Checkpoints to ONNX files that are complete in themselves and proven equal to PyTorch.

In: artifacts/KIND.pt. Out: artifacts/KIND.onnx, and folders of it for other runtimes. Imports `train` and `infer`.
"""
