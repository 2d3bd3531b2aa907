"""What a file carries beside its graph for those who have only an ONNX runtime: titles, ids of users, golden vectors.

In: options, the graph, and the tables in the artifacts folder. Out: entries of the file's metadata.

    python -m export hybrid --titles --golden=made
"""

import hashlib
import hmac
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import polars as pl

from export.cases import REAL, cases, drawn, of_users
from export.sessions import session_of
from infer.cli import option
from infer.errors import InputError
from infer.formats.reading import reading
from infer.model.golden import golden
from infer.model.metadata import HASHED, LEFT_OUT, Metadata, id_type
from infer.model.session import open_model
from infer.model.signature import ITEMS_OUTPUT, K_INPUT, SCORES_OUTPUT
from infer.system.fingerprints import sha256
from infer.tables.columns import ITEM, ITEMS_FILE, TITLE

SHORTEST_KEY = 16  # bytes


@dataclass(frozen=True, kw_only=True)
class Carried:
    """Options of what a file carries beside its graph."""

    titles: bool = option(False, "put the items' titles into the file")
    users: Literal["keep", "hash", "drop"] = option("keep", "what becomes of the ids of users, which only mf holds")
    users_key: Path | None = option(None, "file with the secret that --users=hash hashes with, at least 16 bytes")
    golden: Literal["real", "made"] = option("real", "windows of the golden vectors: of three users, or drawn items")
    chunk_items: int | None = option(
        None, "score so many items at once, for memory; 0: all (default: as the catalogue's size asks for)", minimum=0
    )
    probes: int = option(
        0, "score the items of so many nearest cells only, as NAME.ivf.onnx (docs/model-file.md); 0: all", minimum=0
    )
    fixed_k: int | None = option(None, "list so many items always and take no rules, as NAME.kN.onnx", minimum=1)


def with_users(metadata: Metadata, carried: Carried) -> Metadata:
    """The metadata with the ids of users as the options want them; raises InputError if the key cannot be used."""
    if carried.users == "hash" and carried.users_key is None:
        raise InputError("--users=hash needs --users-key FILE, with a secret of at least 16 bytes")
    if not metadata.user_ids or carried.users == "keep":
        return metadata
    if carried.users == "drop":
        return replace(metadata, user_ids=[], user_ids_are=LEFT_OUT)
    assert carried.users_key is not None
    try:
        key = carried.users_key.read_bytes().strip()
    except OSError as error:
        raise InputError(f"cannot read --users-key {carried.users_key}: {error.strerror}") from None
    if len(key) < SHORTEST_KEY:
        raise InputError(f"--users-key {carried.users_key} has {len(key)} bytes; expected at least {SHORTEST_KEY}")
    ids = [hashed(user, key) for user in metadata.user_ids]
    return replace(metadata, user_ids=ids, user_ids_are=HASHED, user_type=id_type(ids))


def hashed(user: int | str, key: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of an id as text, in hexadecimal."""
    return hmac.new(key, str(user).encode(), hashlib.sha256).hexdigest()


def titles(metadata: Metadata, folder: Path) -> list[str]:
    """The title of each item, in the order of `item_ids`, empty where none is known; raises InputError without any."""
    table = folder / ITEMS_FILE
    if not table.is_file():
        raise InputError(f"--titles: {table} is not there; prepare the data with --items, or export without titles")
    with reading(table):
        rows = pl.read_parquet(table, columns=[ITEM, TITLE], glob=False).drop_nulls()
    known = dict(zip(rows[ITEM].cast(pl.String), rows[TITLE].cast(pl.String), strict=True))
    found = [known.get(str(item), "") for item in metadata.item_ids]
    if not any(found):
        raise InputError(f"--titles: {table} has no title of an item of this model")
    return found


def windows_of(
    content: bytes, metadata: Metadata, table: Path | None, users: int, folder: Path | None = None
) -> tuple[dict[str, np.ndarray], str]:
    """Inputs of three users for golden vectors, and where they are from.

    content: a file with rules and the users' own ids, which the scorer opens.  table: that it was trained on; None, or
    where it is another by now: windows are drawn.  users: the largest user index.  folder: of the model's data file,
    if it has one.
    """
    if table is not None and table.is_file() and sha256(table) == metadata.dataset_checksum:
        with tempfile.TemporaryDirectory() as temporary:
            path = (folder or Path(temporary)) / f".{Path(temporary).name}.onnx"  # beside its data file
            try:
                path.write_bytes(content)
                model = open_model(path, threads=1)
            finally:
                path.unlink(missing_ok=True)
            found = of_users(model, table, Path(temporary))
        if found is not None:
            return found, REAL
    return drawn(metadata, users, len(metadata.rating_levels))


def golden_vectors(
    proto: onnx.ModelProto,
    metadata: Metadata,
    base: dict[str, np.ndarray],
    origin: str,
    users: int,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Golden vectors of a graph.  base, origin: of `windows_of`.  users, folder: as there."""
    session = session_of(proto, folder, threads=1)
    names = [value.name for value in session.get_inputs()]

    def ask(feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        items, scores = session.run([ITEMS_OUTPUT, SCORES_OUTPUT], feeds)
        return items, scores

    return golden(ask, cases(names, base, metadata, users), metadata.precision, origin, last=K_INPUT in names)
