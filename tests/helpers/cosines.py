"""What `train.data.content.unit` gives, multiplied out."""

import numpy as np
import scipy.sparse as sp

from train.data.content import unit


def cosines(known: sp.csr_matrix) -> np.ndarray:
    """(items, items) cosine of the items' features (features, items)."""
    rows = unit(known)
    found: np.ndarray = (rows @ rows.T).toarray()
    return found
