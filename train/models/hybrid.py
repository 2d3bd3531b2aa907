"""The hybrid: a sequence model that starts from item vectors of matrix factorization.

In: item vectors (of artifacts/mf.pt, implicit ALS or transition PPMI) and a sequence model. Out: the
same model, whose item embeddings are those vectors, rescaled and with a little noise; they stay
fixed for the first epochs (`MiniBERT4Rec.start_epoch`) and are trained from then on. The chain beside
the encoder is a factorisation of the transition matrix.

    python -m train hybrid
"""

import logging
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.histories.windows import windows
from infer.system.fingerprints import sha256
from train import checkpoint
from train.config import BertConfig, LinearConfig
from train.data.dataset import Data
from train.models import initial
from train.models.bert import MiniBERT4Rec
from train.models.linear import markov

log = logging.getLogger(__name__)

# Of implicit ALS; chosen on validation. What recommends best by itself is not the best start.
ROUNDS, CONFIDENCE, REGULARIZATION = 15, 20.0, 1.0
# What the chain factorises; chosen on validation.
TRANSITIONS = LinearConfig(kind="markov", smoothing=300.0, popularity=0.0)
# Most pairs of an item and one that follows it: with more interactions fewer steps are counted, so that the
# matrix stays within a few GiB.
MOST_PAIRS = 100_000_000
# Users by whom the chain's scale is found.
SCALE_USERS = 1_000


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
    if mf["provenance"]["dataset_checksum"] != data.checksum:
        raise InputError(f"{path} was trained on another table ({mf['provenance']['dataset']}): {advice}")
    if mf["provenance"]["kind"] != "mf":
        raise InputError(f"--mf {config.mf} is a {mf['provenance']['kind']}, not a matrix factorization")
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
    """Two (items + 1, rank): what an item leads from, and what it leads to.

    Their product is the best approximation of that rank (`chain`, or what the catalogue has) to TRANSITIONS'
    matrix, if chain_power is 1. A smaller power flattens its spectrum: the few patterns that most
    transitions follow, popularity above all, then outweigh the others less.  Beyond MOST_PAIRS fewer steps are
    counted, which is logged.
    """
    lags = max(1, min(TRANSITIONS.lags, MOST_PAIRS // max(1, len(data.histories.items))))
    if lags < TRANSITIONS.lags:
        log.info("the chain counts what follows within %d steps instead of %d, to spare memory", lags, TRANSITIONS.lags)
    matrix = markov(data, replace(TRANSITIONS, lags=lags))
    sources, successors = initial.factorised(matrix, config.chain, config.seed, config.chain_power)
    return torch.from_numpy(sources), torch.from_numpy(successors)


@torch.no_grad()
def start_chain(model: MiniBERT4Rec, factors: tuple[Tensor, Tensor], data: Data) -> None:
    """Set the chain to `factors`, two (items + 1, rank), on a scale beside that of the encoder.

    successors: standard deviation initial_std, as the item embeddings, unless that is 0.  sources: such that
    the scores of one user vary over the items with a standard deviation of chain_weight, in the mean
    over a seeded sample of users with a history.
    """
    config, (sources, successors) = model.config, factors
    spread = successors[1:].std() if len(successors) > 2 else successors.new_zeros(())
    if config.initial_std and spread:
        successors = successors * (config.initial_std / spread)
    rows = np.flatnonzero(data.histories.lengths)
    rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[:SCALE_USERS])
    window = torch.from_numpy(windows(data.histories.take(rows), model.length))
    state = model.fading[-1] @ sources[window]  # (users, rank)
    # The variance over the items without the scores of all of them: s' Cov s.
    found = ((state @ successors[1:].T.cov(correction=0)) * state).sum(1).clamp(min=0).sqrt().mean()
    sources = sources * (config.chain_weight / found if found else 1.0)
    for table, factor in ((model.sources, sources), (model.successors, successors)):
        table.weight[: model.mask] = factor
