"""What stands in for Triton's ONNX Runtime backend, which no package registry has: the same runtime, from Python.

In: a folder of a model repository. Out: the lists of its model.onnx. Like the backend it refuses a configuration whose
inputs and outputs are not those of the graph. Batches, shapes and warm-up are Triton's own.
"""

import json
import os
import sys
from pathlib import Path

# The NumPy that the server was built for, which reads the memory of arrays by itself.
sys.path.insert(0, os.environ["TRITON_PACKAGES"])
import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb

OUTPUTS = ["items", "scores"]
TYPES = {"TYPE_INT64": "tensor(int64)", "TYPE_FP32": "tensor(float)"}


class TritonPythonModel:
    def initialize(self, args):
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
        self.config = json.loads(args["model_config"])
        for side, values in (("input", self.session.get_inputs()), ("output", self.session.get_outputs())):
            self.check(self.config[side], values)

    def check(self, stated, values):
        found = {one["name"]: one for one in stated}
        if set(found) != {value.name for value in values}:
            raise pb.TritonModelException(f"configured are {sorted(found)}")
        batch = [-1] if self.config["max_batch_size"] else []
        for value in values:
            one = found[value.name]
            dims = one["reshape"]["shape"] if "reshape" in one else one["dims"]
            shape = [size if isinstance(size, int) else -1 for size in value.shape]
            if TYPES[one["data_type"]] != value.type or [*batch, *map(int, dims)] != shape:
                raise pb.TritonModelException(f"{value.name} is {value.type} {shape}, configured {one}")

    def execute(self, requests):
        names = [one["name"] for one in self.config["input"]]
        feeds = [{name: pb.get_input_tensor_by_name(r, name).as_numpy() for name in names} for r in requests]
        batched = self.config["max_batch_size"] > 0
        if batched:
            rows = [len(one[names[-1]]) for one in feeds]
            feeds = [{name: np.concatenate([one[name] for one in feeds]) for name in names}]
        found = [self.session.run(OUTPUTS, one) for one in feeds]
        if batched:
            ends = np.cumsum(rows)[:-1]
            found = list(zip(*(np.split(whole, ends) for whole in found[0]), strict=True))
        return [pb.InferenceResponse([pb.Tensor(*pair) for pair in zip(OUTPUTS, one, strict=True)]) for one in found]
