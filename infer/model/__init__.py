"""The ONNX file: what it says of itself, whether it may be opened, how it is run."""
