"""The hybrid: a sequence model that starts from item vectors of matrix factorization.

In: item vectors (of artifacts/mf.pt, implicit ALS or transition PPMI) and a sequence model. Out: the
same model, whose item embeddings are those vectors, rescaled and with a little noise; they stay
fixed for the first epochs (`MiniBERT4Rec.start_epoch`) and are trained from then on.

    python -m train hybrid
"""

import torch
from torch import Tensor

from infer.errors import InputError
from infer.files import sha256
from train import checkpoint, initial
from train.batches import Data
from train.bert import MiniBERT4Rec
from train.config import BertConfig

# Of implicit ALS; chosen on validation. What recommends best by itself is not the best start.
ROUNDS, CONFIDENCE, REGULARIZATION = 15, 20.0, 1.0


def item_vectors(data: Data, config: BertConfig) -> tuple[Tensor, dict[str, str]]:
    """(items + 1, dim) vectors to start from, and the checksums of the files they come from.

    Raises InputError if artifacts/mf.pt is asked for but absent, of another table or of another size.
    """
    if config.initial in ("ials", "ppmi"):
        return _solved(data, config.initial, config.dim, config.seed), {}
    if config.initial == "ials+ppmi":
        sizes = {"ials": config.dim - config.dim // 2, "ppmi": config.dim // 2}
        halves = [_solved(data, name, size, config.seed) for name, size in sizes.items() if size]
        return torch.cat([half / half.std() for half in halves], 1), {}
    path = checkpoint.finished(config.artifacts, "mf")
    advice = f"run `python -m train mf --artifacts={config.artifacts}` first"
    mf = checkpoint.read(path, advice)
    if mf["origin"]["dataset_checksum"] != data.checksum:
        raise InputError(f"{path} was trained on another table ({mf['origin']['dataset']}): {advice}")
    vectors = mf["model"]["items.weight"]
    wanted = (len(data.item_ids) + 1, config.dim)
    if vectors.shape != wanted:
        raise InputError(
            f"the item vectors of mf.pt are {tuple(vectors.shape)}; expected {wanted}: "
            "train mf on this table with the same --dim"
        )
    return vectors, {path.name: sha256(path)}


def _solved(data: Data, name: str, dim: int, seed: int) -> Tensor:
    """(items + 1, dim) item vectors of implicit ALS or of transition PPMI."""
    if name == "ppmi":
        return torch.from_numpy(initial.ppmi(data, dim, seed))
    return torch.from_numpy(initial.ials(data, dim, ROUNDS, CONFIDENCE, REGULARIZATION, seed)[1])


def start_from(model: MiniBERT4Rec, vectors: Tensor) -> None:
    """Set the item embeddings to `vectors` (items + 1, dim): rescaled to initial_std, then disturbed."""
    config, own = model.config, vectors[1:]
    scale = config.initial_std / own.std() if config.initial_std else 1.0
    with torch.no_grad():
        model.items.weight[1 : model.mask] = own * scale + torch.randn(own.shape) * config.perturbation
