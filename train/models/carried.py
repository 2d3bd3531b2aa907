"""An earlier model's weights in one of tonight's items: rows by item id, and new items placed among the kept ones.

In: a fresh model, the weights of an earlier one of the same sizes, and where each item stood there. Out: the same
model, in which what both know is equal, and what is new is on the kept ones' scale.

    python -m train hybrid --from=hybrid.pt
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.histories.vocabulary import PAD


def places(ids: Sequence[Any], earlier: Sequence[Any]) -> np.ndarray:
    """(ids + 1,) index of each id among the earlier ones, PAD of new ids; the first is that of padding.

    Whole numbers and texts are compared as texts, as a table of another file may have the same ids in another type.
    """
    known = {str(value): index for index, value in enumerate(earlier, PAD + 1)}
    return np.array([PAD, *(known.get(str(value), PAD) for value in ids)], dtype=np.int64)


@torch.no_grad()
def carry(model: nn.Module, weights: Mapping[str, Tensor], moved: Mapping[str, np.ndarray]) -> None:
    """Set every weight to what an earlier model's `weights` have for it.

    moved: by name, where the rows of a table stood earlier (rows,), PAD of new ones, which are left as they are.
    Columns that only one of the two has, as a chain of a small catalogue may, are left out or 0.
    Raises InputError if another weight has another shape.
    """
    for name, weight in model.state_dict().items():
        found = weights[name].to(weight.device)
        if name in moved:
            kept = moved[name] != PAD
            kept[PAD] = True
            rows = found[moved[name][kept]]
            if rows.dim() > 1 and rows.shape[1] != weight.shape[1]:
                rows = nn.functional.pad(rows, (0, weight.shape[1] - rows.shape[1]))
            weight[kept] = rows
        elif weight.shape != found.shape:
            raise InputError(f"the earlier model's {name} is {tuple(found.shape)}; expected {tuple(weight.shape)}")
        else:
            weight.copy_(found)


@torch.no_grad()
def align(table: Tensor, vectors: Tensor, new: np.ndarray, kept: np.ndarray) -> None:
    """Set the rows of new items to their `vectors`, turned and stretched onto the kept rows.

    table, vectors: (items + 1, dim).  new, kept: (items + 1,) bool; what is neither, as a retired item, has no say.
    Vectors that are solved for have no directions of their own: the rotation is the one that brings the kept items'
    nearest to what they are (orthogonal Procrustes, Schönemann 1966), and the stretch brings their median length to the
    kept rows'.
    """
    own, there = vectors[kept], table[kept]
    left, _, right = torch.linalg.svd(own.T @ there)
    lengths, wanted = own.norm(dim=1).median(), there.norm(dim=1).median()
    table[new] = vectors[new] @ (left @ right) * (wanted / lengths if lengths else 1.0)


@torch.no_grad()
def shift(bias: Tensor, fresh: Tensor, new: np.ndarray, kept: np.ndarray) -> None:
    """Set the biases (items + 1,) of new items to fresh ones, moved by what the kept ones have moved in the mean.

    new, kept: as of `align`.
    """
    bias[new] = fresh[new] + (bias[kept] - fresh[kept]).mean()


@torch.no_grad()
def fold_in(sources: Tensor, successors: Tensor, matrix: sp.csr_matrix, new: np.ndarray) -> None:
    """Set the rows of new items in the factors of a chain, by what follows them and what they follow.

    sources, successors: (items + 1, rank), the kept rows as they are to stay.  matrix: (items, items), what the chain
    factorises.  new: (items + 1,) bool.  As documents are folded into a latent semantic index (Deerwester et al. 1990):
    a row of the matrix times the other factor, each dimension on the scale that fits the kept rows best.
    """
    sources[new] = 0
    successors[new] = 0
    kept = ~new
    kept[PAD] = False
    found = []
    for table, other, seen in ((sources, successors, matrix), (successors, sources, matrix.T)):
        product = np.vstack([np.zeros((1, table.shape[1])), seen @ other[1:].cpu().double().numpy()])
        known, wanted = product[kept], table[kept].cpu().double().numpy()
        square = (known**2).sum(0)
        scale = np.divide((known * wanted).sum(0), square, out=np.zeros_like(square), where=square > 0)
        found.append(torch.from_numpy(product[new] * scale).to(table))
    sources[new], successors[new] = found
