"""Open a model file safely: check the file, its metadata and the device that really runs it.

In: a path and a device. Out: a `Model` that scores one batch, fed by the inputs the file declares.

    python -c "from infer.session import open_model; print(open_model('hybrid.onnx').metadata.kind)"
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from infer.errors import InputError, first_line
from infer.schema import Metadata
from infer.sequences import Histories, level_windows, seen, windows

ARTIFACTS = Path("artifacts")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

# Every input that a graph may declare; the scorer feeds those that this one does.
USER_INPUT, WINDOW_INPUT, LEVELS_INPUT, SEEN_INPUT, K_INPUT = "user", "window", "levels", "seen", "k"
ITEMS_OUTPUT, SCORES_OUTPUT = "items", "scores"

# Windows of users with short histories are cut to multiples of this: padding costs time, and every
# further length costs ONNX Runtime another plan of its memory.
STEP = 8


@dataclass(frozen=True)
class Model:
    """An open ONNX Runtime session and what its file says of itself."""

    path: Path
    metadata: Metadata
    session: ort.InferenceSession
    inputs: tuple[str, ...]
    device: str

    @property
    def any_length(self) -> bool:
        """Whether the file takes windows that are shorter than `metadata.window`."""
        return any(i.name == WINDOW_INPUT and not isinstance(i.shape[1], int) for i in self.session.get_inputs())

    def window_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """(users,) how long a window each user needs: a whole step of `STEP`, at most the model's.

        lengths: (users,) of the histories. It follows from the user's own history alone, so that
        scores do not depend on who else is scored.
        """
        longest = self.metadata.window
        if not self.any_length:
            return np.full(len(lengths), longest)
        return np.minimum(longest, np.maximum(1, -(-lengths // STEP)) * STEP)

    def covers(self, histories: Histories, user_index: np.ndarray) -> np.ndarray:
        """(users,) bool: whom the model can personalise. Not users without a known item, if it
        reads windows, and not users it was not trained on (index PAD), if it reads those."""
        covered = np.ones(len(histories), dtype=bool)
        if WINDOW_INPUT in self.inputs:
            covered &= histories.lengths > 0
        if USER_INPUT in self.inputs:
            covered &= user_index > 0
        return covered

    def top(self, histories: Histories, user_index: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best k unseen items of each user: (users, k) item indexes and (users, k) scores.

        Best first, equal scores in ascending item index. Fewer than k columns if the catalogue is
        smaller; entries with a score of at most `schema.DROPPED` are no recommendation.
        """
        return self.run(self.feeds(histories, user_index, k))

    def feeds(self, histories: Histories, user_index: np.ndarray, k: int) -> dict[str, np.ndarray]:
        """What the file's inputs take for these users, by name."""
        length = int(self.window_lengths(histories.lengths).max(initial=1))
        available = {
            USER_INPUT: lambda: user_index.astype(np.int64),
            WINDOW_INPUT: lambda: windows(histories, length),
            LEVELS_INPUT: lambda: level_windows(histories, length),
            SEEN_INPUT: lambda: seen(histories),
            K_INPUT: lambda: np.array([k], dtype=np.int64),
        }
        return {name: available[name]() for name in self.inputs}

    def run(self, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Items and scores as `top` gives them; on a GPU nothing but the top k leaves it."""
        binding = self.session.io_binding()
        for name, values in feeds.items():
            binding.bind_cpu_input(name, values)
        for name in (ITEMS_OUTPUT, SCORES_OUTPUT):
            binding.bind_output(name, self.device)
        self.session.run_with_iobinding(binding)
        items, scores = binding.copy_outputs_to_cpu()
        # TopK leaves equal scores in an order of the device's choosing.
        order = np.lexsort((items, -scores), axis=-1)
        return np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)


def find_model(path: Path) -> Path:
    """The path as given, else the same path below `artifacts/`; raises InputError if neither exists."""
    for candidate in (path, ARTIFACTS / path):
        if candidate.is_file():
            return candidate
    problem = "is a folder" if path.is_dir() else "does not exist"
    raise InputError(
        f"{path} {problem} (nor is there {ARTIFACTS / path}): "
        "give a file written by `python -m export`, or run `just train-all` first"
    )


def open_model(path: str | Path, device: str = "cpu", threads: int = 0) -> Model:
    """Open an exported model on `device` ("cpu" or "cuda") with `threads` threads (0: every core).

    Raises InputError if the file is absent, not ONNX, not exported by this project or damaged, and
    if the device is not the one asked for: ONNX Runtime alone would only warn and use the CPU.
    """
    path = find_model(Path(path))
    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise InputError(
            f"--device {device}: onnxruntime {ort.__version__} here offers "
            f"{', '.join(ort.get_available_providers())}; install onnxruntime-gpu on a machine with "
            "a CUDA device, or use --device cpu"
        )
    ort.set_default_logger_severity(4)  # the exception says it; the log would repeat it on stderr
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        session = ort.InferenceSession(path, options, providers=[provider])
        properties = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # ONNX Runtime raises one class per status, all derived from Exception
        raise InputError(f"{path} is not a readable ONNX model: {first_line(error)}") from None
    used = session.get_providers()[0]
    if used != provider:
        raise InputError(f"--device {device}: {provider} could not start, {used} would run instead")
    model = Model(
        path,
        Metadata.from_properties(properties, str(path)),
        session,
        tuple(i.name for i in session.get_inputs()),
        device,
    )
    _check_signature(model)
    return model


def _check_signature(model: Model) -> None:
    known = {USER_INPUT, WINDOW_INPUT, LEVELS_INPUT, SEEN_INPUT, K_INPUT}
    outputs = {o.name for o in model.session.get_outputs()}
    strange = sorted(set(model.inputs) - known)
    if strange or not {SEEN_INPUT, K_INPUT} <= set(model.inputs) or outputs != {ITEMS_OUTPUT, SCORES_OUTPUT}:
        raise InputError(
            f"{model.path} takes {', '.join(model.inputs)} and gives {', '.join(sorted(outputs))}; "
            f"expected inputs among {', '.join(sorted(known))} and outputs items, scores"
        )
    if WINDOW_INPUT in model.inputs and model.metadata.window < 1:
        raise InputError(f"{model.path} takes a window but states no length: export it again")
    if LEVELS_INPUT in model.inputs and not model.metadata.rating_levels:
        raise InputError(f"{model.path} takes rating levels but states none: export it again")
    if USER_INPUT in model.inputs and not model.metadata.user_ids:
        raise InputError(f"{model.path} takes users but lists none: export it again")
