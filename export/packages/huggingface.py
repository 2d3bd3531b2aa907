"""A folder for the Hugging Face hub: the model file, its contract with golden vectors, and a model card.

In: a packed file. Out: README.md with metadata, NAME.onnx and NAME.contract.json. Nothing is uploaded.

    write(folder, packed, "hybrid", HubOptions())
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.cases import REAL
from export.packages import card, licences
from export.packages.licences import Licence
from export.packages.measured import Figure, figures
from export.packages.packed import Packed
from infer.errors import InputError
from infer.model.metadata import KEPT
from infer.system.telemetry import send_nothing

TAGS = ["recommendation", "recommender-system", "onnx"]
TASK = ("recommendation", "Top-k recommendation")


@dataclass(frozen=True)
class HubOptions:
    """license: of the model, an identifier of the hub; None: that of MovieLens for models of its data, else `unknown`.
    data_license: in words, of data that are not known by their name.  evaluation: as of `measured.figures`.
    personal_data: whether the folder may hold data of people."""

    license: str | None = None
    data_license: str | None = None
    evaluation: Path | None = None
    personal_data: bool = False


def library() -> Any:
    """`huggingface_hub`; raises InputError if it is not installed."""
    send_nothing()
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError(f"--to=huggingface needs {error.name}: pip install '.[huggingface]'") from None
    return huggingface_hub


def write(folder: Path, packed: Packed, name: str, options: HubOptions) -> None:
    """Fill a folder.

    Raises InputError if `huggingface_hub` is not installed, nothing says under which licence the data are, the file
    holds data of people and nobody said that it may, or the evaluation is not of it.
    """
    hub = library()
    _refuse_personal(packed, options.personal_data)
    licence, model = _of_data(packed, options.data_license), f"{packed.stem}.onnx"
    found = figures(packed, options.evaluation)
    text = card.text(packed, name, model, licence, found)
    metadata = _metadata(hub, packed, name, licence, options.license, found)
    (folder / "README.md").write_text(f"---\n{metadata}\n---\n\n{text}", encoding="utf-8")
    (folder / model).write_bytes(packed.content)
    (folder / f"{packed.stem}.contract.json").write_text(packed.contract(model), encoding="utf-8")


def _refuse_personal(packed: Packed, allowed: bool) -> None:
    if allowed:
        return
    if packed.by_user and packed.metadata.user_ids_are == KEPT:
        raise InputError(
            f"{packed.path} holds the ids of all users: export it with --users=hash or --users=drop, or say "
            "--personal-data if these may be published"
        )
    if packed.golden.get("origin") == REAL:
        raise InputError(
            f"{packed.path} holds the histories of three users in its golden vectors: export it with --golden=made, or "
            "say --personal-data if these may be published"
        )


def _of_data(packed: Packed, stated: str | None) -> Licence:
    dataset = packed.metadata.dataset
    found = Licence("unknown", stated) if stated else licences.known(dataset)
    if found is None:
        raise InputError(
            f"nothing says under which licence the data '{dataset}' are, on which {packed.path} was trained: "
            '--data-license="..."'
        )
    return found


def _metadata(hub: Any, packed: Packed, name: str, licence: Licence, license: str | None, found: list[Figure]) -> str:
    """The card's YAML."""
    other = license is None and licence.link
    named = {"license_name": licence.name, "license_link": licence.link} if other else {}
    dataset = packed.metadata.dataset
    results = [
        hub.EvalResult(
            task_type=TASK[0],
            task_name=TASK[1],
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_config=one.by,
            dataset_split=one.split,
            dataset_args={"protocol": one.protocol, "ranked_among": one.among},
            metric_type=one.metric,
            metric_name=f"{one.metric} among {one.among}",
            metric_value=one.value,
        )
        for one in found
    ]
    data = hub.ModelCardData(
        license=license or ("other" if other else "unknown"),
        **named,
        library_name="onnx",
        tags=[*TAGS, packed.metadata.kind],
        datasets=[dataset] if licences.known(dataset) else None,  # a table of one's own has no page
        metrics=sorted({one.metric for one in found}) or None,
        model_name=name,
        eval_results=results or None,
    )
    text: str = data.to_yaml()
    return text
