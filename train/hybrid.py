"""The hybrid: a sequence model that starts from item vectors of matrix factorization.

In: item vectors (of artifacts/mf.pt, implicit ALS or transition PPMI) and a sequence model. Out: the
same model, whose item embeddings are those vectors, rescaled and with a little noise; they stay
fixed for the first epochs (`MiniBERT4Rec.start_epoch`) and are trained from then on. A chain beside
the encoder starts from the singular vectors of the transition matrix.

    python -m train hybrid
"""

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.files import sha256
from train import checkpoint, initial
from train.batches import Data
from train.bert import MiniBERT4Rec
from train.config import BertConfig, LinearConfig
from train.linear import markov

# Of implicit ALS; chosen on validation. What recommends best by itself is not the best start.
ROUNDS, CONFIDENCE, REGULARIZATION = 15, 20.0, 1.0


def item_vectors(data: Data, config: BertConfig) -> tuple[Tensor, dict[str, str]]:
    """(items + 1, dim) vectors to start from, and the checksums of the files they come from.

    Raises InputError if a trained mf is asked for but absent, of another table or of another size.
    """
    if config.initial in ("ials", "ppmi"):
        return _solved(data, config, config.initial, config.dim), {}
    if config.initial == "ials+ppmi":
        sizes = {"ials": config.dim - config.dim // 2, "ppmi": config.dim // 2}
        halves = [_solved(data, config, name, size) for name, size in sizes.items() if size]
        return torch.cat([half / half.std() for half in halves], 1), {}
    path = checkpoint.finished(config.artifacts, config.mf)
    named = "" if config.mf == "mf" else f" --name={config.mf}"
    advice = f"run `python -m train mf --artifacts={config.artifacts}{named}` first"
    mf = checkpoint.read(path, advice)
    if mf["origin"]["dataset_checksum"] != data.checksum:
        raise InputError(f"{path} was trained on another table ({mf['origin']['dataset']}): {advice}")
    if mf["origin"]["kind"] != "mf":
        raise InputError(f"--mf {config.mf} is a {mf['origin']['kind']}, not a matrix factorization")
    vectors = mf["model"]["items.weight"]
    wanted = (len(data.item_ids) + 1, config.dim)
    if vectors.shape != wanted:
        raise InputError(
            f"the item vectors of {path.name} are {tuple(vectors.shape)}; expected {wanted}: "
            "train mf on this table with the same --dim"
        )
    return vectors, {path.name: sha256(path)}


def _solved(data: Data, config: BertConfig, name: str, dim: int) -> Tensor:
    """(items + 1, dim) item vectors: of length 1 by implicit ALS, or by transition PPMI."""
    if name == "ppmi":
        return torch.from_numpy(initial.ppmi(data, dim, config.seed))
    factors = initial.ials(data, dim, ROUNDS, CONFIDENCE, REGULARIZATION, config.seed, config.content)
    return nn.functional.normalize(torch.from_numpy(factors[1]))


def start_from(model: MiniBERT4Rec, vectors: Tensor) -> None:
    """Set the item embeddings to `vectors` (items + 1, dim): rescaled to initial_std, then disturbed."""
    config, own = model.config, vectors[1:]
    scale = config.initial_std / own.std() if config.initial_std else 1.0
    with torch.no_grad():
        model.items.weight[1 : model.mask] = own * scale + torch.randn(own.shape) * config.perturbation


def chain_factors(data: Data, config: BertConfig) -> tuple[Tensor, Tensor]:
    """Two (items + 1, chain): what an item leads from, and what it leads to, whose product is the best
    approximation of that rank to `train.linear.markov`'s matrix with its defaults.

    Raises InputError if the catalogue is too small for the rank.
    """
    if config.chain >= len(data.item_ids):
        raise InputError(f"--chain {config.chain} is not below the number of items, {len(data.item_ids)}")
    matrix = markov(data, LinearConfig(kind="markov")).astype(np.float64)
    sources, successors = initial.factorised(matrix, config.chain, config.seed)
    return torch.from_numpy(sources), torch.from_numpy(successors)


def start_chain(model: MiniBERT4Rec, factors: tuple[Tensor, Tensor]) -> None:
    """Set the chain to `factors`, two (items + 1, chain): rescaled to initial_std, unless that is 0."""
    std = model.config.initial_std
    with torch.no_grad():
        for table, factor in zip((model.sources, model.successors), factors, strict=True):
            table.weight[1 : model.mask] = factor[1:] * (std / factor[1:].std() if std else 1.0)
