"""One library's side of the comparison; runs in that library's own environment, without this project.

In: a name and a folder with work.npz (`bench.peers.peer.write_work`). Out: a line of JSON when ready, and a line
with the seconds of a round for each line read, once its threads stand still; the lists of the last round in NAME.npy,
(users, k) item indexes.

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
Lists = Callable[[], np.ndarray]  # (users, k) item indexes
Ready = tuple[Lists, str]
# (users, dim) queries, the item indexes that they have seen, one user after the other, and where each begins.
Search = Callable[[np.ndarray, np.ndarray, np.ndarray], Lists]


def rest(limit: float = 1.0, step: float = 0.02) -> bool:
    """Wait until this process' threads stand still; whether they do, after `limit` seconds at most.

    Threads of OpenMP, BLAS and ONNX Runtime wait busily for more work, and would take the core from whoever is next.
    """
    until = time.perf_counter() + limit
    while time.perf_counter() < until:
        before = time.process_time()
        time.sleep(step)
        if time.process_time() - before < step / 10:
            return True
    return False


def implicit_search(vectors: np.ndarray, k: int) -> Search:
    """Exact top k of implicit, seen items filtered inside.

    vectors: (items + 1, dim), padding first.
    """
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix

    padding = np.array([0], dtype=np.int32)

    def prepare(queries: np.ndarray, columns: np.ndarray, begins: np.ndarray) -> Lists:
        ones = np.ones(len(columns), np.float32)
        seen = csr_matrix((ones, columns, begins), (len(queries), len(vectors)))
        return lambda: topk(vectors, queries, k, filter_query_items=seen, filter_items=padding)[0]

    return prepare


def faiss_search(vectors: np.ndarray, k: int) -> Search:
    """Exact search of faiss by inner product; asked for as many more as the longest history has, then filtered.

    vectors: (items + 1, dim), padding first.
    """
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors[1:])

    def prepare(queries: np.ndarray, columns: np.ndarray, begins: np.ndarray) -> Lists:
        lengths = np.diff(begins)
        seen = np.zeros((len(queries), len(vectors)), dtype=bool)
        seen[np.repeat(np.arange(len(seen)), lengths), columns] = True
        most = int(min(len(vectors) - 1, k + lengths.max()))
        return lambda: first_unseen(index.search(queries, most)[1] + 1, seen, k)

    return prepare


def first_unseen(candidates: np.ndarray, seen: np.ndarray, k: int) -> np.ndarray:
    """(users, k) the first unseen ones of each row's candidates, best first.

    candidates: (users, width) item indexes.  seen: (users, items + 1) bool.
    """
    blocked = np.take_along_axis(seen, candidates, axis=1)
    return np.take_along_axis(candidates, np.argsort(blocked, axis=1, kind="stable")[:, :k], axis=1)


def implicit(work: Work) -> Ready:
    """Exact top k of the same vectors."""
    note = "the same factors and lists; its seen matrix is built outside the timing"
    return implicit_search(work["vectors"], int(work["sizes"][1]))(work["queries"], *_seen(work)), note


def faiss(work: Work) -> Ready:
    """Exact search of the same vectors."""
    items, k, _ = (int(size) for size in work["sizes"])
    columns, begins = _seen(work)
    most = min(items, k + int(np.diff(begins).max()))
    note = f"the same factors and lists; knows no seen items, so it is asked for {most} and they are filtered"
    return faiss_search(work["vectors"], k)(work["queries"], columns, begins), note


def rectools(work: Work) -> Ready:
    """BERT4RecModel of the same sizes, trained for one epoch; `recommend` with viewed items filtered."""
    import pandas
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import BERT4RecModel

    _, k, window = (int(n) for n in work["sizes"])
    layers, heads, dim = (int(n) for n in work["encoder"])
    table, users = _table(work), work["rows"]
    names = {"user": Columns.User, "item": Columns.Item, "when": Columns.Datetime}
    frame = pandas.DataFrame({names[name]: values for name, values in table.items()})
    frame[Columns.Datetime] = pandas.to_datetime(frame[Columns.Datetime], unit="s")
    frame[Columns.Weight] = 1.0
    dataset = Dataset.construct(frame)
    model = BERT4RecModel(
        n_blocks=layers, n_heads=heads, n_factors=dim, session_max_len=window, epochs=1, batch_size=128, verbose=0,
        dataloader_num_workers=0, recommend_batch_size=256, recommend_torch_device="cpu",
    )  # fmt: skip
    model.fit(dataset)

    def recommend() -> np.ndarray:
        lists = model.recommend(users=users, dataset=dataset, k=k, filter_viewed=True)
        return lists.sort_values([Columns.User, Columns.Rank])[Columns.Item].to_numpy().reshape(len(users), -1)

    return recommend, "weights of its own after one epoch; recommend() also selects the users' rows from its data set"


def replay(work: Work) -> Ready:
    """Bert4RecCompiled (OpenVINO) of the same sizes, for batches of this size; seen items and top k in torch."""
    import torch
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema
    from replay.models.nn.sequential import Bert4Rec
    from replay.models.nn.sequential.compiled import Bert4RecCompiled

    items, k, window = (int(n) for n in work["sizes"])
    layers, heads, dim = (int(n) for n in work["encoder"])
    feature = TensorFeatureInfo(
        name="item", is_seq=True, cardinality=items, padding_value=items, embedding_dim=dim,
        feature_type=FeatureType.CATEGORICAL, feature_hint=FeatureHint.ITEM_ID,
        feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item")],
    )  # fmt: skip
    model = Bert4Rec(
        TensorSchema(feature), block_count=layers, head_count=heads, hidden_size=dim, max_seq_len=window,
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
    histories = [work["items"][offsets[row] : offsets[row + 1]] for row in rows]
    return np.concatenate(histories), np.concatenate([[0], np.cumsum([len(history) for history in histories])])


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
        print(json.dumps({"seconds": seconds, "at_rest": rest()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
