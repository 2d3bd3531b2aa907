"""Open a model file safely: check the file, its metadata and the device that really runs it.

In: a path and a device. Out: a `Model` that scores one batch, fed by the inputs the file declares.

    python -c "from infer.model.session import open_model; print(open_model('hybrid.onnx').metadata.kind)"
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from infer.errors import InputError, first_line
from infer.histories.histories import Histories
from infer.histories.windows import level_windows, windows
from infer.model import modelfile, ties
from infer.model.beside import FOLDER_ENTRY, check_unchanged, stated_in
from infer.model.choice import Choice, unseen
from infer.model.metadata import Metadata
from infer.model.signature import (
    FOR_ALL,
    ITEMS_OUTPUT,
    K_INPUT,
    LEVELS_INPUT,
    SCORES_OUTPUT,
    SEEN_INPUT,
    USER_INPUT,
    WINDOW_INPUT,
    check_lists,
    check_signature,
)
from infer.system.addresses import Address, place
from infer.system.objects import fetch_beside, fetched
from infer.system.scratch import scratch
from infer.system.stores import check_address

ARTIFACTS = Path("artifacts")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# Float32 is float32 there too, as in PyTorch: TF32, which ONNX Runtime would use, keeps 10 of the 23 bits of a factor.
PROVIDER_OPTIONS: dict[str, dict[str, str]] = {"cpu": {}, "cuda": {"use_tf32": "0"}}

# Windows of users with short histories are cut to multiples of this: padding costs time, and every
# further length costs ONNX Runtime another plan of its memory.
STEP = 8

# Working memory of ONNX Runtime on the CPU, in bytes: several times what the largest batch needs
# (`infer.scoring.lists`). A graph that asks for more ends in an error, not with the machine's memory.
LARGEST_MEMORY = 4 * 2**30

# Threads; each is started, and more than a machine has cores only wait for each other.
MOST_THREADS = 4096


@dataclass(frozen=True)
class Model:
    """An open ONNX Runtime session and what its file says of itself.

    checksum: SHA-256 of the bytes that are run, whatever has become of the file since.
    """

    path: Path
    checksum: str
    metadata: Metadata
    session: ort.InferenceSession
    inputs: tuple[str, ...]
    device: str

    @cached_property
    def any_length(self) -> bool:
        """Whether the file takes windows that are shorter than `metadata.window`."""
        return any(i.name == WINDOW_INPUT and not isinstance(i.shape[1], int) for i in self.session.get_inputs())

    @cached_property
    def everybody(self) -> "Model":
        """The same model, which also scores who has no known item: a session of its own, opened when it is needed."""
        return replace(self, session=self.opened(modelfile.with_everybody(self.proto())))

    def proto(self) -> onnx.ModelProto:
        """The graph of the file; raises InputError unless it is the one that was opened."""
        try:
            content, _ = modelfile.load(self.path)
        except OSError as error:
            raise InputError(f"{self.path}, which is open, can be read no more: {error.strerror or error}") from None
        if hashlib.sha256(content).hexdigest() != self.checksum:
            raise InputError(f"{self.path} was replaced after it was opened: run again")
        return onnx.load_model_from_string(content)

    def opened(self, proto: onnx.ModelProto) -> ort.InferenceSession:
        """A session of another graph on the same device, with the same options; raises InputError if there is none."""
        try:
            return ort.InferenceSession(
                proto.SerializeToString(),
                self.session.get_session_options(),
                providers=[(PROVIDERS[self.device], PROVIDER_OPTIONS[self.device])],
                enable_fallback=0,
            )
        except Exception as error:  # ONNX Runtime raises one class per status, all derived from Exception
            raise InputError(f"{self.path} has a graph that cannot be cut or changed: {first_line(error)}") from None

    def scored_at_once(self, k: int) -> int:
        """How many scores of one user the graph holds at once, for lists of k."""
        items, chunk = len(self.metadata.item_ids) + 1, self.metadata.chunk
        return min(items, max(chunk, k) + 1) if chunk else items

    def window_lengths(self, lengths: np.ndarray) -> np.ndarray:
        """(users,) how long a window each user needs: a whole step of `STEP`, at most the model's.

        lengths: (users,) of the histories. It follows from the user's own history alone, so that
        scores do not depend on who else is scored.
        """
        longest = self.metadata.window
        if not self.any_length:
            return np.full(len(lengths), longest)
        steps: np.ndarray = np.minimum(longest, np.maximum(1, -(-lengths // STEP)) * STEP)
        return steps

    def personalisable(self, histories: Histories, user_index: np.ndarray) -> np.ndarray:
        """(users,) bool: whom the model can personalise. Not users without a known item, if it
        reads windows, and not users it was not trained on (index PAD), if it reads those."""
        personalisable = np.ones(len(histories), dtype=bool)
        if WINDOW_INPUT in self.inputs:
            personalisable &= histories.lengths > 0
        if USER_INPUT in self.inputs:
            personalisable &= user_index > 0
        return personalisable

    def top(
        self, histories: Histories, user_index: np.ndarray, k: int, choice: Choice | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best k items of each user: (users, k) item indexes and (users, k) scores.

        choice: which items may be recommended; None: all but those of the history.
        Best first, equal scores in ascending item index. Fewer than k columns if the catalogue is
        smaller; entries with a score of at most `signature.DROPPED` are no recommendation.
        """
        return self.run(self.feeds(histories, user_index, k, choice))

    def feeds(
        self, histories: Histories, user_index: np.ndarray, k: int, choice: Choice | None = None
    ) -> dict[str, np.ndarray]:
        """What the file's inputs take for these users, by name; arguments as of `top`."""
        length = int(self.window_lengths(histories.lengths).max(initial=1))
        chosen = unseen(histories) if choice is None else choice
        available: dict[str, Callable[[], np.ndarray]] = {
            USER_INPUT: lambda: user_index.astype(np.int64),
            WINDOW_INPUT: lambda: windows(histories, length),
            LEVELS_INPUT: lambda: level_windows(histories, length),
            K_INPUT: lambda: np.array([k], dtype=np.int64),
        }
        rules = chosen.inputs
        return {name: rules[name] if name in rules else available[name]() for name in self.inputs}

    def run(self, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Items and scores as `top` gives them, from the inputs of `feeds`.

        Raises InputError if the graph fails on them or gives what is no list.
        """
        if self.device == "cpu" or self.metadata.probes:  # in longer lists are items of more cells
            return ties.in_order(*self._ask(feeds))

        def ask(number: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            own = {name: given if name in FOR_ALL else given[rows] for name, given in feeds.items()}
            return self._ask(own | {K_INPUT: np.array([number], dtype=np.int64)})

        return ties.best(ask, len(feeds[SEEN_INPUT]), int(feeds[K_INPUT][0]), len(self.metadata.item_ids))

    def _ask(self, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """One run of the graph; on a GPU nothing but the top k leaves it."""
        outputs = [ITEMS_OUTPUT, SCORES_OUTPUT]
        try:
            if self.device == "cpu":  # which takes less time than binding what lies there anyway
                items, scores = self.session.run(outputs, feeds)
            else:
                items, scores = run_bound(self.session, outputs, feeds, self.device)
        except Exception as error:  # ONNX Runtime raises one class per status, all derived from Exception
            raise InputError(f"{self.path} fails on these users: {first_line(error)}") from None
        check_lists(
            self.path, items, scores, len(feeds[SEEN_INPUT]), int(feeds[K_INPUT][0]), len(self.metadata.item_ids)
        )
        return items, scores


def run_bound(
    session: ort.InferenceSession, outputs: Sequence[str], feeds: dict[str, np.ndarray], device: str
) -> list[np.ndarray]:
    """One run, whose outputs are made on the device and then copied."""
    binding = session.io_binding()
    for name, values in feeds.items():
        binding.bind_cpu_input(name, values)
    for name in outputs:
        binding.bind_output(name, device)
    session.run_with_iobinding(binding)
    copied: list[np.ndarray] = binding.copy_outputs_to_cpu()
    return copied


def find_model(path: Path) -> Path:
    """The path as given, else the same path below `artifacts/`; an address with a copy, which lasts as long as what is
    returned.

    Raises InputError if it does not exist.
    """
    if isinstance(path, Address):
        return _fetched(path)
    for candidate in (path, ARTIFACTS / path):
        if candidate.is_file():
            return candidate
    other = "is a pipe or device" if path.exists() else "does not exist"
    problem = "is a folder" if path.is_dir() else other
    below = "" if path.is_absolute() else f" (nor is there {ARTIFACTS / path})"
    raise InputError(
        f"{path} {problem}{below}: give a file written by `python -m export`, or run `just train-all` first"
    )


def _fetched(address: Address) -> Address:
    if address.copy is not None:
        return address
    check_address("--model", address)
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    try:
        found = fetched(address, folder)
        beside = stated_in(found)
        if beside is not None:
            fetch_beside(found, str(beside["file"]))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def open_model(path: str | Path, device: str = "cpu", threads: int = 0) -> Model:
    """Open an exported model on `device` ("cpu" or "cuda") with `threads` threads (0: every core).

    Raises InputError as `open_session` does, and if the scorer cannot feed the file.
    """
    path = find_model(place(path) if isinstance(path, str) else path)
    content, metadata, session = open_session(path, device, threads)
    try:
        check_signature(path, session, metadata)
        names = tuple(i.name for i in session.get_inputs())
    except UnicodeDecodeError:  # of a name of an input or of one of its axes
        raise InputError(f"{path} is not a readable ONNX model: a name in it is no text") from None
    return Model(path, hashlib.sha256(content).hexdigest(), metadata, session, names, device)


def open_session(path: Path, device: str = "cpu", threads: int = 0) -> tuple[bytes, Metadata, ort.InferenceSession]:
    """The bytes of a file, what they say of themselves, and a session that runs them.

    Raises InputError for more than `MOST_THREADS`, if the file is absent, not ONNX, not exported by this project,
    damaged or hostile (`infer.model.modelfile`), and if the device is not the one asked for: ONNX Runtime alone would
    only warn and use the CPU.
    """
    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise InputError(
            f"--device {device}: onnxruntime {ort.__version__} here offers "
            f"{', '.join(ort.get_available_providers())}; install onnxruntime-gpu on a machine with "
            "a CUDA device, or use --device cpu"
        )
    check_threads(threads)
    content, metadata, data = modelfile.load_with_data(path)
    options = _options(device, threads)
    if data is not None:
        options.add_session_config_entry(FOLDER_ENTRY, str(data.path.parent))
    try:
        session = ort.InferenceSession(
            content, options, providers=[(provider, PROVIDER_OPTIONS[device])], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises one class per status, all derived from Exception
        raise InputError(f"{path} is not a readable ONNX model: {first_line(error)}") from None
    used = session.get_providers()[0]
    if used != provider:
        raise InputError(f"--device {device}: {provider} could not start, {used} would run instead")
    if data is not None:
        check_unchanged(path, data)
    return content, metadata, session


def check_threads(threads: int) -> None:
    """Raises InputError for more than `MOST_THREADS`."""
    if threads > MOST_THREADS:
        raise InputError(f"--threads is at most {MOST_THREADS}; found {threads}")


def _options(device: str, threads: int) -> ort.SessionOptions:
    """How sessions run: silently, for the exception says it all, and within a bounded memory."""
    ort.set_default_logger_severity(4)
    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if device == "cpu":
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    return options


@cache
def _bound_memory() -> None:
    """Give all CPU sessions of this process one arena of at most LARGEST_MEMORY."""
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": LARGEST_MEMORY}))
