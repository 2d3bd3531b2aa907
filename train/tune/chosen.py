"""The best configuration of a search, as a file and as words of a command line.

In: NAME.tuned.json, written by `python -m train tune KIND`. Out: the preset and the words that `python -m train KIND`
takes.

    python -m train bert --from-tuned=artifacts/bert.tuned.json

The file says kind, preset and every option that differs from the preset, but not where and on what machine.
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from infer.errors import InputError
from infer.system.ownership import MARK
from train.kinds import KINDS
from train.presets import CONFIGS, PRESETS, configuration

# Where and how a model is trained, which is no part of what it is.
ELSEWHERE = ("artifacts", "device", "seed", "validation_users")


def tuned_text(kind: str, preset: str, values: dict[str, Any], ndcg: float | None, trials: int) -> str:
    """The content of the file.

    values: every option by field name.  ndcg: on validation.  trials: how many there were.
    """
    usual = asdict(configuration(kind, preset))
    chosen = {key: value for key, value in values.items() if key not in ELSEWHERE and value != usual[key]}
    said = {"kind": kind, "preset": preset, "options": chosen, "validation_ndcg_at_10": ndcg, "trials": trials}
    return json.dumps(MARK | said, indent=1) + "\n"


def words(options: dict[str, Any]) -> list[str]:
    """Options by field name as words of a command line."""
    said = []
    for field, value in options.items():
        name = field.replace("_", "-")
        said.append(("--" if value else "--no-") + name if isinstance(value, bool) else f"--{name}={value}")
    return said


def read_tuned(path: Path, kind: str) -> tuple[str, list[str]]:
    """The preset and the words of a file; raises InputError if it is none, or of another kind."""
    preset, options = read_options(path, kind)
    return preset, words(options)


def read_options(path: Path, kind: str) -> tuple[str, dict[str, Any]]:
    """The preset of a file and what differs from it, by field; raises InputError if it is none, of another kind,
    or says more than what a model is."""
    wrong = f"{path} is not what `python -m train tune` writes: give a file NAME.tuned.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run `python -m train tune {kind}` first") from None
    except (OSError, ValueError, RecursionError):
        raise InputError(wrong) from None
    if not isinstance(found, dict) or not isinstance(found.get("options"), dict):
        raise InputError(wrong)
    if found.get("kind") not in list(KINDS) or found.get("preset") not in list(PRESETS):
        raise InputError(wrong)
    if found["kind"] != kind:
        raise InputError(f"{path} was tuned for {found['kind']}: run `python -m train {found['kind']}` with it")
    known = {field.name for field in fields(CONFIGS[kind])} - set(ELSEWHERE)
    strange = next((name for name in found["options"] if name not in known), None)
    if strange is not None:  # as the place of a model, which whoever runs the command says
        raise InputError(f"{path} has '{strange[:40]}', which is no option that a search of {kind} finds: take it out")
    return found["preset"], found["options"]
