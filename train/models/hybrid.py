"""The hybrid: a sequence model that starts from item vectors of matrix factorization.

In: item vectors (of artifacts/mf.pt, implicit ALS or transition PPMI) and a sequence model. Out: the
same model, whose item embeddings are those vectors, rescaled and with a little noise; they stay
fixed for the first epochs (`MiniBERT4Rec.start_epoch`) and are trained from then on. Two
controls take from implicit ALS the norms alone, or its vectors for other items. The chain beside the
encoder comes from `train.models.chain`. With --initial=random and without a chain it is the plain `bert`.

    python -m train hybrid
"""

import logging
from dataclasses import replace
from shlex import quote
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from train.config import BertConfig
from train.data.dataset import Data
from train.models import initial
from train.models.bert import MiniBERT4Rec
from train.models.carried import align, carry, fold_in, places, shift
from train.models.chain import START, chain_factors, chain_matrix, start_chain
from train.models.coded import CodedVectors
from train.models.codes import singular_vectors, start_codes, start_vectors
from train.models.weights import check_weights
from train.saved import checkpoint
from train.saved.places import Places

log = logging.getLogger(__name__)

# Of implicit ALS; chosen on validation. What recommends best by itself is not the best start.
ROUNDS, CONFIDENCE, REGULARIZATION = 15, 20.0, 1.0


def item_vectors(data: Data, config: BertConfig) -> tuple[Tensor, dict[str, str]]:
    """(items + 1, dim) vectors to start from, and the checksums of the files they come from.

    Raises InputError if a trained mf is asked for but absent, of another table or of another size.
    """
    if config.initial in ("ials", "ppmi"):
        return _solved(data, config, config.initial, config.dim), {}
    if config.initial in ("norms", "shuffled"):
        control = random_directions if config.initial == "norms" else shuffled
        return control(_solved(data, config, "ials", config.dim), config.seed), {}
    if config.initial == "ials+ppmi":
        sizes = {"ials": config.dim - config.dim // 2, "ppmi": config.dim // 2}
        halves = [_solved(data, config, name, size) for name, size in sizes.items() if size]
        return torch.cat([half / half.std() for half in halves], 1), {}
    path = Places(config.artifacts, config.mf).finished
    named = "" if config.mf == "mf" else f" --name={quote(config.mf)}"
    advice = f"run `python -m train mf --artifacts={quote(str(config.artifacts))}{named}` first"
    mf, digest = checkpoint.read_same_table(path, data, advice)
    if mf["provenance"]["kind"] != "mf":
        raise InputError(f"--mf {config.mf} is a {mf['provenance']['kind']}, not a matrix factorization")
    vectors = mf["model"]["items.weight"]
    wanted = (len(data.item_ids) + 1, config.dim)
    if vectors.shape != wanted:
        raise InputError(
            f"the item vectors of {path.name} are {tuple(vectors.shape)}; expected {wanted}: "
            "train mf on this table with the same --dim"
        )
    return vectors, {path.name: digest}


def _solved(data: Data, config: BertConfig, name: str, dim: int) -> Tensor:
    """(items + 1, dim) item vectors: of length 1 by implicit ALS, or by transition PPMI."""
    if name == "ppmi":
        return torch.from_numpy(initial.ppmi(data, dim, config.seed))
    weighted = config.ratings == "weight"
    rounds = initial.als_rounds(len(data.histories.items), ROUNDS)
    if rounds < ROUNDS:
        log.info("iALS passes %d times over the table instead of %d, to spare time", rounds, ROUNDS)
    factors = initial.ials(data, dim, rounds, CONFIDENCE, REGULARIZATION, config.seed, config.content, weighted)
    return nn.functional.normalize(torch.from_numpy(factors[1]))


def random_directions(vectors: Tensor, seed: int) -> Tensor:
    """(items + 1, dim) vectors of the same norms in random directions: what the scale of a start is worth by itself."""
    directions = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed))
    return nn.functional.normalize(directions) * vectors.norm(dim=1, keepdim=True)


def shuffled(vectors: Tensor, seed: int) -> Tensor:
    """(items + 1, dim) the same vectors, each given to an item drawn at random: a placebo that no item fits.

    Padding, which is row 0, keeps its own.
    """
    order = torch.randperm(len(vectors) - 1, generator=torch.Generator().manual_seed(seed)) + 1
    return torch.cat([vectors[:1], vectors[order]])


def start_from(model: MiniBERT4Rec, vectors: Tensor, counts: np.ndarray) -> None:
    """Set the item embeddings to `vectors` (items + 1, dim): rescaled to initial_std, then disturbed.

    counts: (items + 1,) how often each item occurs.
    """
    config, unpadded = model.config, vectors[1:]
    scale = config.initial_std / unpadded.std() if config.initial_std else 1.0
    vectors = unpadded * scale + torch.randn(unpadded.shape) * config.perturbation
    if isinstance(model.items, CodedVectors):
        start_vectors(model.items, vectors, counts[1:], config.seed)
        return
    with torch.no_grad():
        model.items.weight[1 : model.mask] = vectors


def build(data: Data, config: BertConfig) -> tuple[MiniBERT4Rec, dict[str, str]]:
    """A sequence model with what it starts from, and the checksums of the checkpoints that it comes from."""
    if config.ratings == "weight":
        check_weights(data)
    model = MiniBERT4Rec(len(data.item_ids), config, data.counts, len(data.rating_levels))
    parents: dict[str, str] = {}
    if config.initial != "random":
        vectors, parents = item_vectors(data, config)
        start_from(model, vectors, data.counts)
    elif isinstance(model.items, CodedVectors):
        start_codes(model.items, data, config.seed)
    if model.rank and config.chain_initial == "transitions":
        start_chain(model, chain_factors(data, config), data)
    return model, parents


@torch.no_grad()
def continued(data: Data, config: BertConfig, earlier: dict[str, Any]) -> tuple[MiniBERT4Rec, dict[str, str]]:
    """A sequence model with an earlier one's weights, those of items by their ids; the checksums as `build` gives them.

    What is solved for is solved for new items alone: their vectors are turned onto the kept ones, their part of the
    chain is folded into it, and their bias stands to their popularity as those of the others do.
    """
    if config.ratings == "weight":
        check_weights(data)
    if config.codes and "items.codes" not in earlier["model"]:
        return coded(data, config, earlier)
    model = MiniBERT4Rec(len(data.item_ids), config, data.counts, len(data.rating_levels))
    fit_codes(model, earlier["model"])
    place, parents = places(data.item_ids, earlier["item_ids"]), dict[str, str]()
    new, kept = place == PAD, place != PAD
    new[PAD] = False
    kept[data.retired] = False  # what is solved for tonight says nothing of them
    bias = model.bias.clone() if config.item_bias and config.head == "tied" else None
    masked = np.append(place, len(earlier["item_ids"]) + 1)  # the mask token has the last row
    levels = places(data.rating_levels, earlier["rating_levels"]) if model.rated else np.zeros(0)
    vectors_of_items = "items.codes" if config.codes else "items.weight"
    moved = dict.fromkeys((vectors_of_items, "sources.weight", "successors.weight"), masked)
    moved |= dict.fromkeys(("head.weight", "head.bias", "bias"), place)
    carry(model, earlier["model"], moved | {"levels.weight": levels})
    model.chain_at = earlier["provenance"]["config"].get("chain_weight")
    folds = model.rank > 0 and config.chain_initial == "transitions"
    if model.rank and config.chain_weight is not None and not config.chain_trained:
        if model.chain_at != 0:  # to 0, too: this model's options say that it has a chain
            model.sources.weight *= config.chain_weight / (model.chain_at or START)
        elif config.chain_weight:  # nothing is left that could be made larger
            start_chain(model, chain_factors(data, config), data)
            folds = False
        model.chain_at = config.chain_weight
    if not new.any():
        return model, parents
    if bias is not None:
        shift(model.bias, bias, new, kept)
    if config.initial != "random":
        vectors, parents = item_vectors(data, config)
    elif config.codes:  # they are not trained: a random code would stay one
        vectors = singular_vectors(data, config.dim, config.seed)
    if config.initial != "random" or config.codes:
        table = model.item_vectors(slice(model.mask))  # a view, but of coded vectors
        align(table, vectors, new, kept)
        if isinstance(model.items, CodedVectors):
            model.items.codes[: model.mask][new] = model.items.encoded(table[new])
    if folds:
        fold_in(
            model.sources.weight[: model.mask], model.successors.weight[: model.mask], chain_matrix(data, config), new
        )
    return model, parents


@torch.no_grad()
def coded(data: Data, config: BertConfig, earlier: dict[str, Any]) -> tuple[MiniBERT4Rec, dict[str, str]]:
    """As `continued`, of an earlier model without codes: each vector is put together from parts near to its own."""
    config.check()
    whole, parents = continued(data, replace(config, codes=0), earlier)
    model = MiniBERT4Rec(len(data.item_ids), config, data.counts, len(data.rating_levels))
    others = {name: weight for name, weight in whole.state_dict().items() if name != "items.weight"}
    model.load_state_dict(model.state_dict() | others)
    assert isinstance(model.items, CodedVectors), "config.codes is above 0"
    start_vectors(model.items, whole.item_vectors(slice(1, model.mask)), data.counts[1:], config.seed)
    return model, parents


def empty(state: dict[str, Any], config: BertConfig) -> MiniBERT4Rec:
    """The sequence model that a checkpoint's weights fit into; where there are counts it draws negatives by them."""
    model = MiniBERT4Rec(len(state["item_ids"]), config, state.get("counts"), len(state["rating_levels"]))
    fit_codes(model, state.get("model", {}))
    return model


def fit_codes(model: MiniBERT4Rec, weights: dict[str, Tensor]) -> None:
    """Let items have as many whole vectors as in these weights; none if they are an earlier version's."""
    if isinstance(model.items, CodedVectors) and "items.codes" in weights:
        (rows, _), (parts, _, size) = model.items.codes.shape, model.items.weight.shape
        model.items = CodedVectors(rows, parts * size, parts, len(weights.get("items.whole", ())))
