"""Sessions of graphs that are being exported, and their check, wherever their large weights lie.

In: a graph, and the folder of its data file. Out: an open session on the CPU; or what ONNX' own checker raises.

    session_of(proto, Path("artifacts")).run(None, feeds)
"""

from pathlib import Path

import onnx
import onnxruntime as ort
from onnx import helper

from infer.model.beside import FOLDER_ENTRY, is_apart


def session_of(proto: onnx.ModelProto, folder: Path | None = None, threads: int = 0) -> ort.InferenceSession:
    """A session that says nothing.  folder: where the data file lies that the graph names; None: there is none."""
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, threads
    if folder is not None:
        options.add_session_config_entry(FOLDER_ENTRY, str(folder.resolve()))
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def check_model(proto: onnx.ModelProto) -> None:
    """ONNX' own check of a graph, to which weights of another file are inputs: it would look for them."""
    checked = onnx.ModelProto()
    checked.CopyFrom(proto)
    apart = [tensor for tensor in checked.graph.initializer if is_apart(tensor)]
    for tensor in apart:
        checked.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        checked.graph.initializer.remove(tensor)
    onnx.checker.check_model(checked, full_check=True)
