"""What RecTools says of random lists: the values that our figures beyond accuracy must equal.

In: nothing; runs in an environment of its own, since RecTools wants older NumPy and Polars than this project. Out:
tests/helpers/rectools.json: lists, histories, held-out items, categories and the values, with RecTools' version.

    python -m venv /tmp/rectools && /tmp/rectools/bin/pip install rectools==0.19.0
    /tmp/rectools/bin/python tests/tools/rectools_reference.py
"""

import json
from importlib.metadata import version
from pathlib import Path

USERS, ITEMS, KINDS, K, SEED = 24, 40, 6, 6, 7
WITHOUT = (0, 1, 5, 20)  # items without categories


def main() -> None:
    """Draw, measure, write."""
    import numpy as np
    import pandas as pd
    from rectools.metrics import (
        AvgRecPopularity,
        CatalogCoverage,
        IntraListDiversity,
        PairwiseHammingDistanceCalculator,
        Serendipity,
    )

    draw = np.random.default_rng(SEED)
    weights = 1 / np.arange(1, ITEMS + 1)
    weights[-3:] = 0  # items in no history
    histories, lists, held = [], [], []
    for user in range(USERS):
        seen = draw.choice(ITEMS, draw.integers(1, 9), replace=False, p=weights / weights.sum())
        unseen = draw.permutation(np.setdiff1d(np.arange(ITEMS), seen))
        length = 1 if user == 4 else int(draw.integers(2, K + 1))  # one list of one item
        histories.append(seen.tolist())
        lists.append(unseen[:length].tolist())
        held.append(int(unseen[draw.integers(0, length + 3)]))
    features = draw.random((ITEMS, KINDS)) < 0.4
    features[np.arange(ITEMS), draw.integers(0, KINDS, ITEMS)] = True
    features[list(WITHOUT)] = False

    reco = pd.DataFrame(
        [(u, item, rank) for u, own in enumerate(lists) for rank, item in enumerate(own, 1)],
        columns=["user_id", "item_id", "rank"],
    )
    seen = pd.DataFrame([(u, item) for u, own in enumerate(histories) for item in own], columns=["user_id", "item_id"])
    seen["weight"] = 1
    test = pd.DataFrame({"user_id": range(USERS), "item_id": held, "weight": 1})
    distance = PairwiseHammingDistanceCalculator(pd.DataFrame(features.astype(int)).drop(index=list(WITHOUT)))
    catalogue = range(ITEMS)
    values = {
        "coverage": CatalogCoverage(k=K, normalize=True).calc(reco, catalogue),
        "avg_rec_popularity": AvgRecPopularity(k=K).calc(reco, seen),
        "serendipity": Serendipity(k=K).calc(reco, test, seen, catalogue),
        "intra_list_diversity": IntraListDiversity(k=K, distance_calculator=distance).calc(reco),
    }
    found = {
        "made_by": f"tests/tools/rectools_reference.py with rectools {version('rectools')}, numpy {np.__version__}",
        "k": K,
        "items": ITEMS,
        "histories": histories,
        "lists": lists,
        "held_out": held,
        "categories": [np.flatnonzero(row).tolist() for row in features],
        "values": {name: float(value) for name, value in values.items()},
    }
    path = Path(__file__).parents[1] / "helpers" / "rectools.json"
    path.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
