"""Training state on disk: weights, optimizer, history and where they came from.

In: a model between two epochs. Out: artifacts/NAME.partial.pt after every epoch, and after the last artifacts/NAME.pt
and artifacts/NAME.state.pt. Files hold tensors and plain values only and are read with `weights_only`, which
cannot run code; they end with a SHA-256 of all before it, for PyTorch itself does not notice changed weights.
"""

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from infer.errors import InputError, first_line
from infer.system.files import write_bytes
from infer.system.fingerprints import sha256
from infer.tables.columns import ITEMS_FILE
from train.config import TrainConfig
from train.data.dataset import Data

FORMAT = 5
DIGEST = 32  # bytes


def provenance(kind: str, config: TrainConfig, data: Data, parents: dict[str, str], **further: Any) -> dict[str, Any]:
    """What decides a run's result; two runs with equal provenances end with the same weights.

    parents: file name to checksum of the checkpoints that this run starts from.  further: of what else it does, plain
    values by name; None counts as absent.
    """
    values = json.loads(json.dumps(asdict(config), default=str))
    values.pop("artifacts")
    return {
        "format": FORMAT,
        "kind": kind,
        "config": values,
        "dataset": data.name,
        "dataset_checksum": data.checksum,
        **({"items": items} if config.reads_items and (items := _items_checksum(data)) else {}),
        "parents": parents,
        "torch": str(torch.__version__),
    } | {name: value for name, value in further.items() if value is not None}


def _items_checksum(data: Data) -> str | None:
    """The SHA-256 of the table of items, if there is one."""
    items = data.folder / ITEMS_FILE
    return sha256(items) if items.is_file() else None


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` with a checkpoint."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest(), owned=True)


def read(path: Path, advice: str) -> dict[str, Any]:
    """Load a checkpoint without running code; raises InputError with `advice` if it cannot be used."""
    return read_with_checksum(path, advice)[0]


def read_with_checksum(path: Path, advice: str) -> tuple[dict[str, Any], str]:
    """`read`, and the SHA-256 of the very file that was read: a training may replace it at any moment."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: {advice}")
    stored = path.read_bytes()
    stored, digest = stored[:-DIGEST], stored[-DIGEST:]
    checksum = hashlib.sha256(stored)
    if checksum.digest() != digest:
        raise InputError(f"{path} is damaged or not a checkpoint of this version: {advice}")
    try:
        content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises whatever its reader meets
        raise InputError(f"{path} is not a readable checkpoint ({first_line(error)[:80]}): {advice}") from None
    provenance = content.get("provenance") if isinstance(content, dict) else None
    if not isinstance(provenance, dict) or provenance.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this version: {advice}")
    checksum.update(digest)
    return content, checksum.hexdigest()


def read_same_table(path: Path, data: Data, advice: str) -> tuple[dict[str, Any], str]:
    """`read` what was trained on the tables of `data`, and its SHA-256; raises InputError with `advice` otherwise.

    The table of items counts where the checkpoint says which it read.
    """
    content, checksum = read_with_checksum(path, advice)
    provenance = content["provenance"]
    if provenance["dataset_checksum"] != data.checksum:
        raise InputError(f"{path} was trained on another table ({provenance['dataset']}): {advice}")
    if provenance.get("items") not in (None, _items_checksum(data)):
        raise InputError(f"{path} was trained with another table of items than {data.folder / ITEMS_FILE}: {advice}")
    if content["item_ids"] != data.item_ids:
        raise InputError(f"{path} numbers its items otherwise (--keep-items): {advice} with the same --keep-items")
    return content, checksum
