"""Vectors as files that other programs read: Parquet, NumPy, or an index of nearest neighbours.

In: tables of ids and arrays of vectors, a part at a time. Out, by the ending of the file:

    .parquet   (item or user, vector), a fixed number of 32-bit floats
    .npy       (rows, dim) float32; beside it NAME.npy.ids.parquet (item or user), whose row n names row n
    .faiss     an index by inner product (HNSW, Malkov & Yashunin 2018) of the library faiss, which the extra `vectors`
               installs; its label n is row n of NAME.faiss.ids.parquet

    python -m infer.vectors --model hybrid.onnx --output vectors.npy

The file of ids carries the mark of this project and the SHA-256 of the vectors that it belongs to. Memory holds a
part, except for an index, which is in memory as a whole.
"""

import tempfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.system.files import replacing
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK, claim, claim_table, refuse_foreign
from infer.system.scratch import scratch

VECTOR, OF, CHECKSUM = "vector", "vectors", "vectors_sha256"
PARQUET, NUMPY, INDEX = ".parquet", ".npy", ".faiss"
ENDINGS = (PARQUET, NUMPY, INDEX)
# Of the graph of neighbours: links of an item, and how wide it is searched while it is built and when it is asked. Of
# the ten best items of each user of MovieLens latest-small this finds 97 in a hundred; asked with a width of 64, 95.
LINKS, WIDTH, SEARCH = 32, 400, 200

Parts = Iterable[tuple[pl.Series, np.ndarray]]  # ids (rows,) and their vectors (rows, dim) float32


def check_output(path: Path, inputs: Iterable[Path | None]) -> None:
    """Raises InputError if the ending is none of `ENDINGS`, its library is absent, or a file there is not ours."""
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: expected a file that ends in {', '.join(ENDINGS)}")
    if path.suffix == INDEX:
        faiss()
    if path.suffix == PARQUET:
        claim_table(path, [{VECTOR}], "vectors", inputs)
    else:
        claim([ids_beside(path)], inputs)
        _refuse_foreign(path)


def write_vectors(path: Path, dim: int, parts: Parts) -> int:
    """Write vectors of `dim` numbers; returns how many. An earlier file that this project wrote is replaced.

    Raises InputError if it cannot be written, or if there are no parts; earlier files then stay.
    """
    given = iter(parts)
    first = next(given, None)
    if first is None:
        raise InputError(f"there is nobody and nothing whose vectors {path} could hold")
    parts = chain([first], given)
    if path.suffix == PARQUET:
        return _parquet(path, dim, parts)
    return _with_ids(path, parts, lambda file, given: WRITERS[path.suffix](file, dim, given))


def ids_beside(path: Path) -> Path:
    """Where the ids of an .npy or .faiss file stand."""
    return path.with_name(f"{path.name}.ids.parquet")


def faiss() -> Any:
    """The library; raises InputError if it is not installed."""
    try:
        import faiss as library
    except ImportError:
        raise InputError(f"a {INDEX} file needs the library faiss: pip install '.[vectors]'") from None
    return library


def _parquet(path: Path, dim: int, parts: Parts) -> int:
    with replacing(path, owned=True) as temporary, tempfile.TemporaryDirectory(dir=scratch()) as folder:
        files, rows = list[Path](), 0
        for ids, vectors in parts:
            files.append(Path(folder) / f"{len(files):06}.parquet")
            column = pl.Series(VECTOR, vectors, dtype=pl.Array(pl.Float32, dim))
            pl.DataFrame([ids, column]).write_parquet(files[-1])
            rows += len(ids)
        pl.scan_parquet(files, glob=False).sink_parquet(temporary, metadata=MARK)
    return rows


def _with_ids(path: Path, parts: Parts, write: Callable[[Path, Parts], None]) -> int:
    """Vectors and the ids beside them, which are renamed first: they say that the vectors are ours."""
    _refuse_foreign(path)
    names: list[pl.Series] = []

    def noted() -> Parts:
        for ids, vectors in parts:
            names.append(ids)
            yield ids, vectors

    with replacing(path) as temporary:
        write(temporary, noted())
        ids = pl.concat(names).to_frame()
        about = MARK | {OF: path.name, CHECKSUM: sha256(temporary)}
        with replacing(ids_beside(path), owned=True) as beside:
            ids.write_parquet(beside, metadata=about)
    return ids.height


def _refuse_foreign(path: Path) -> None:
    """Raises InputError if `path` exists without ids of this project that belong to it."""
    beside = ids_beside(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder")
    if not path.exists():
        return
    if beside.is_file():
        refuse_foreign(beside)
        if pl.read_parquet_metadata(beside).get(OF) == path.name:
            return
    raise InputError(f"{path} exists and was not written by this project: move it away or choose another place")


def _numpy(file: Path, dim: int, parts: Parts) -> None:
    with file.open("wb") as out:
        _header(out, 0, dim)
        rows = 0
        for _, vectors in parts:
            out.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
            rows += len(vectors)
        out.seek(0)
        _header(out, rows, dim)  # as long as the first: NumPy leaves room for the number of rows to grow


def _header(out: BinaryIO, rows: int, dim: int) -> None:
    about = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
    np.lib.format.write_array_header_1_0(out, about)


def _index(file: Path, dim: int, parts: Parts) -> None:
    library = faiss()
    index = library.IndexHNSWFlat(dim, LINKS, library.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = WIDTH, SEARCH
    threads = library.omp_get_max_threads()
    library.omp_set_num_threads(1)  # with several the links, and so the bytes, differ from run to run
    try:
        for _, vectors in parts:
            index.add(np.ascontiguousarray(vectors))
    finally:
        library.omp_set_num_threads(threads)
    library.write_index(index, str(file))


WRITERS: dict[str, Callable[[Path, int, Parts], None]] = {NUMPY: _numpy, INDEX: _index}
