"""Coverage-guided fuzzing of the table readers by atheris (not a dependency: pip install atheris).

    python -m tests.tools.atheris_tables csv -runs=20000

The first word is the format; the others are libFuzzer's. It stops with a trace at the first input that ends in
anything but rows or an InputError.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["infer"]):
    from tests.tools.fuzz_tables import answer, seeds

ENDING = sys.argv.pop(1)
FOLDER = tempfile.TemporaryDirectory()


def read(content: bytes) -> None:
    """Read one table."""
    path = Path(FOLDER.name) / f"t.{ENDING}"
    path.write_bytes(content)
    answer(path, Path(FOLDER.name))


if __name__ == "__main__":
    corpus = Path(FOLDER.name) / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(ENDING)):
        (corpus / str(number)).write_bytes(content)
    atheris.Setup([*sys.argv, str(corpus)], read)
    atheris.Fuzz()
