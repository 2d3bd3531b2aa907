"""Whether this project delivered a file that cannot say so itself: a receipt beside it, with the file's checksum.

In: a file of text. Out: `NAME.json` beside it, as `lists.csv.json`; or InputError for a file of somebody else.

    claim_text(Path("lists.csv"))

A receiver may compare its `sha256` and `bytes` with the file, to see that a copy is whole. A file that was changed
after its delivery is somebody else's. While a file is being replaced, its receipt knows both, so that one that was
killed then can be replaced again.
"""

import json
from pathlib import Path
from typing import Any

from infer.errors import InputError
from infer.publishing.publication import read_json
from infer.system.files import write_text
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK, refuse_foreign

REPLACES = "replaces"


def receipt_of(path: Path) -> Path:
    """The receipt of a file."""
    return path.with_name(f"{path.name}.json")


def claim_text(path: Path) -> str | None:
    """The checksum of the file that will be replaced, None if there is none.

    Raises InputError if the file, or what has the name of its receipt, is not this project's.
    """
    refuse_foreign(receipt_of(path))
    if not path.exists():
        return None
    found = read_json(receipt_of(path))
    known = {found.get("sha256"), found.get(REPLACES)} if isinstance(found, dict) else set()
    if not path.is_file() or not known - {None}:
        raise _foreign(path, "has no receipt of a delivery beside it")
    checksum = sha256(path)
    if checksum not in known:
        raise _foreign(path, f"is not what {receipt_of(path).name} says was delivered")
    return checksum


def announce(path: Path, written: Path, about: dict[str, Any], replaced: str | None) -> dict[str, Any]:
    """Write the receipt of a file that is about to get its name; replaced: the checksum of the one before. Returns what
    it says of the file."""
    content = MARK | {"file": path.name, "sha256": sha256(written), "bytes": written.stat().st_size} | about
    _write(path, content | ({} if replaced is None else {REPLACES: replaced}))
    return content


def confirm(path: Path, content: dict[str, Any]) -> None:
    """Let the receipt of a file that has its name forget the one before.

    content: what was announced. Lists of another output may have been delivered there meanwhile, with a receipt of
    their own, which stays if the file is theirs.
    """
    found = read_json(receipt_of(path))
    if found == content:
        return
    if (isinstance(found, dict) and found.get("sha256") == content["sha256"]) or sha256(path) == content["sha256"]:
        _write(path, content)


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(receipt_of(path), json.dumps(content, indent=2) + "\n", owned=True)


def _foreign(path: Path, why: str) -> InputError:
    return InputError(f"{path} {why}, so it may be somebody else's: move it away or choose another --to")
