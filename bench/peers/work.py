"""One library's side of the comparison; runs in that library's own environment, without this project.

In: a name and a folder with work.npz (`bench.peers.peer.write_work`). Out: a line of JSON when ready, and a line
with the seconds of a round for each line read; the lists of the last round in NAME.npy, (users, k) item indexes.

    .venv-peers/mf/bin/python bench/peers/work.py implicit FOLDER
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

Work = dict[str, np.ndarray]
Ready = tuple[Callable[[], np.ndarray], str]


def implicit(work: Work) -> Ready:
    """Exact top k of the same vectors, seen items filtered inside."""
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix

    items, k, _ = work["sizes"]
    queries, vectors = work["queries"], work["vectors"]
    columns, begins = _seen(work)
    filtered = csr_matrix((np.ones(len(columns), np.float32), columns, begins), (len(queries), items + 1))
    padding = np.array([0], dtype=np.int32)
    note = "the same factors and lists; its seen matrix is built outside the timing"
    return lambda: topk(vectors, queries, int(k), filter_query_items=filtered, filter_items=padding)[0], note


def faiss(work: Work) -> Ready:
    """Exact search by inner product; asked for as many more as the longest history has, then filtered."""
    import faiss

    items, k, _ = work["sizes"]
    index = faiss.IndexFlatIP(work["vectors"].shape[1])
    index.add(work["vectors"][1:])
    columns, begins = _seen(work)
    seen = np.zeros((len(work["queries"]), items + 1), dtype=bool)
    seen[np.repeat(np.arange(len(seen)), np.diff(begins)), columns] = True
    most = int(min(items, k + np.diff(begins).max()))

    def search() -> np.ndarray:
        found = index.search(work["queries"], most)[1] + 1
        out = np.take_along_axis(seen, found, axis=1)
        return np.take_along_axis(found, np.argsort(out, axis=1, kind="stable")[:, :k], axis=1)

    return search, f"the same factors and lists; knows no seen items, so it is asked for {most} and they are filtered"


def rectools(work: Work) -> Ready:
    """BERT4RecModel of the same sizes, trained for one epoch; `recommend` with viewed items filtered."""
    import pandas
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import BERT4RecModel

    _, k, window = (int(n) for n in work["sizes"])
    table, users = _table(work), work["rows"]
    names = {"user": Columns.User, "item": Columns.Item, "when": Columns.Datetime}
    frame = pandas.DataFrame({names[name]: values for name, values in table.items()})
    frame[Columns.Datetime] = pandas.to_datetime(frame[Columns.Datetime], unit="s")
    frame[Columns.Weight] = 1.0
    dataset = Dataset.construct(frame)
    model = BERT4RecModel(
        n_blocks=1, n_heads=2, n_factors=64, session_max_len=window, epochs=1, batch_size=128, verbose=0,
        dataloader_num_workers=0, recommend_batch_size=256, recommend_torch_device="cpu",
    )  # fmt: skip
    model.fit(dataset)

    def recommend() -> np.ndarray:
        found = model.recommend(users=users, dataset=dataset, k=k, filter_viewed=True)
        return found.sort_values([Columns.User, Columns.Rank])[Columns.Item].to_numpy().reshape(len(users), -1)

    return recommend, "weights of its own after one epoch; recommend() also selects the users' rows from its data set"


def replay(work: Work) -> Ready:
    """Bert4RecCompiled (OpenVINO) of the same sizes, for batches of this size; seen items and top k in torch."""
    import torch
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
    from replay.models.nn.sequential import Bert4Rec
    from replay.models.nn.sequential.compiled import Bert4RecCompiled

    items, k, window = (int(n) for n in work["sizes"])
    feature = TensorFeatureInfo(
        name="item", is_seq=True, cardinality=items, padding_value=items, embedding_dim=64,
        feature_type=FeatureType.CATEGORICAL, feature_hint=FeatureHint.ITEM_ID,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item")],
    )  # fmt: skip
    model = Bert4Rec(
        TensorSchema(feature), block_count=1, head_count=2, hidden_size=64, max_seq_len=window,
        enable_embedding_tying=True,
    )  # fmt: skip
    users = len(work["rows"])
    compiled = Bert4RecCompiled.compile(model.eval(), mode="batch", batch_size=users)
    columns, begins = _seen(work)
    row = torch.from_numpy(np.repeat(np.arange(users), np.diff(begins)))
    column = torch.from_numpy(columns.astype(np.int64) - 1)

    def recommend() -> np.ndarray:
        place = begins[1:, None] - (window - 1) + np.arange(window)  # the last column is the mask token
        inside = (place >= begins[:-1, None]) & (place < begins[1:, None])
        newest = np.where(inside, columns[np.where(inside, place, 0)] - 1, items)
        known = torch.from_numpy(inside)
        mask = known.clone()
        mask[:, -1] = True
        batch = {"inputs": {"item": torch.from_numpy(newest)}, "pad_mask": mask, "token_mask": known}
        scores = compiled.predict(batch).clone()
        scores[row, column] = -torch.inf
        return (scores.topk(k).indices + 1).numpy()

    note = "untrained weights of its own, which cost as much; bidirectional, whole windows, one fixed batch size"
    return recommend, note


def _seen(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Item indexes of the rows' histories, one after the other, and where each begins."""
    offsets, rows = work["offsets"], work["rows"]
    parts = [work["items"][offsets[row] : offsets[row + 1]] for row in rows]
    return np.concatenate(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])])


def _table(work: Work) -> dict[str, np.ndarray]:
    """Every interaction, in order: user row, item index, second."""
    lengths = np.diff(work["offsets"])
    return {
        "user": np.repeat(np.arange(len(lengths)), lengths),
        "item": work["items"].astype(np.int64),
        "when": np.arange(len(work["items"])) * 60,
    }


PEERS: dict[str, Callable[[Work], Ready]] = {
    "implicit": implicit,
    "faiss": faiss,
    "rectools": rectools,
    "replay": replay,
}
PACKAGES = {"implicit": "implicit", "faiss": "faiss-cpu", "rectools": "rectools", "replay": "replay-rec"}


def main(name: str, folder: Path) -> None:
    """Prepare, say so, then one round for each line read."""
    with np.load(folder / "work.npz") as file:
        work = dict(file)
    call, note = PEERS[name](work)
    print(json.dumps({"version": version(PACKAGES[name]), "note": note}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        lists = call()
        seconds = time.perf_counter() - began
        np.save(folder / f"{name}.npy", lists)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
