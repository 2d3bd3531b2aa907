"""Model files as an enemy would write them, and what the scorer makes of them in a process of its own.

    python tests/helpers/hostile.py artifacts/hybrid.onnx 500 0 [sealed]

changes random bytes of the file 500 times (seed 0), with `sealed` under a checksum that fits, and prints a line for
each class of answer. The process ends with status 0 unless one of them is neither a refusal nor lists.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from infer.errors import InputError
from infer.model.choice import Choice
from infer.model.modelfile import with_checksum
from infer.model.session import Model, open_model
from infer.model.signature import K_INPUT, LEVELS_INPUT, USER_INPUT, WINDOW_INPUT

K = 5
BYTES = 3  # changed at once, at most


def body(content: bytes) -> bytes:
    """A sealed file without its seal."""
    return content[: -len(with_checksum(b""))]


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    """The same bytes but for a few."""
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), rng.integers(1, BYTES + 1)):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


def lists(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """What a model lists for three users: items and scores, (3, K)."""
    width = min(max(model.metadata.window, 1), 16)
    window = np.tile(np.array([0] * (width - 1) + [1]), (3, 1)) if model.any_length else None
    if window is None:
        window = np.pad(np.ones((3, 1), dtype=np.int64), ((0, 0), (max(model.metadata.window, 1) - 1, 0)))
    given = {
        USER_INPUT: np.array([1, 1, 1]),
        WINDOW_INPUT: window,
        LEVELS_INPUT: window,
        **Choice(np.array([[1, 0], [1, 2], [1, 3]])).inputs,
        K_INPUT: np.array([K]),
    }
    return model.run({name: given[name] for name in model.inputs})


def answers(path: Path, times: int, seed: int, seal: bool) -> Counter:
    """How often changed files were refused, gave the same lists as the intact one, or others."""
    content, rng, found = path.read_bytes(), np.random.default_rng(seed), Counter()
    expected = lists(open_model(path))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "changed.onnx"
        for _ in range(times):
            target.write_bytes(with_checksum(flipped(body(content), rng)) if seal else flipped(content, rng))
            try:
                items, scores = lists(open_model(target))
            except InputError as error:
                assert "\n" not in str(error)
                found["refused"] += 1
                continue
            same = np.array_equal(items, expected[0]) and np.array_equal(scores, expected[1])
            found["identical" if same else "other lists"] += 1
    return found


if __name__ == "__main__":
    print(dict(answers(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["sealed"])))
