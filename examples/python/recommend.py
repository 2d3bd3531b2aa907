"""Recommend with a model file, with onnxruntime and numpy alone: it holds all that is needed.

python recommend.py hybrid.onnx          # checks the file's golden vectors
python recommend.py hybrid.onnx 1,50,260 # a list for who had these items, oldest first
"""

import json
import sys

import numpy as np
import onnxruntime

DTYPES = {"int64": np.int64, "float32": np.float32}


def main(path, history=None):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    contract = json.loads(said["recommender.contract"])
    if history is None:
        check(session, contract, json.loads(said["recommender.golden"]))
        return
    ids = json.loads(said["recommender.item_ids"])
    index = {str(item): number for number, item in enumerate(ids, start=1)}
    known = [index[item] for item in history.split(",") if item in index]
    if not known or contract["window"] is None:
        sys.exit(
            "no item of this history is known" if contract["window"] else "this file is asked by user, not by window"
        )
    if contract["history"]["repeats"] == "latest":  # an item that comes again stands once, at its latest place
        known = list(dict.fromkeys(known[::-1]))[::-1]
    window = np.array([known[-contract["window"]["longest"] :]], dtype=np.int64)  # any length from 1 on, newest last
    seen = [0] if contract["table_rules"].get("seen") == "keep" else known  # padding: what was had may come again
    feeds = {"window": window, "seen": np.array([seen], dtype=np.int64), "levels": np.zeros_like(window)}
    feeds["k"] = np.array([5], dtype=np.int64)
    names = [given["name"] for given in contract["inputs"]]
    rules = {given["name"]: without_rule(given) for given in contract["inputs"] if "shape_without_rules" in given}
    feeds = {name: (feeds | rules)[name] for name in names}
    items, scores = session.run(["items", "scores"], feeds)
    titles = json.loads(said.get("recommender.titles", "null"))
    for item, score in zip(items[0], scores[0], strict=True):
        if score > contract["dropped"]["score"]:
            print(ids[item - 1], titles[item - 1] if titles else "", f"{score:.4f}")


def without_rule(given):
    """What an input takes where there is no such rule, for one user."""
    return np.zeros([1 if size == "batch" else size for size in given["shape_without_rules"]], DTYPES[given["dtype"]])


def check(session, contract, golden):
    """Compare this runtime's lists with those that the file gave when it was exported."""
    dtypes = {given["name"]: DTYPES[given["dtype"]] for given in contract["inputs"]}
    for case in golden["cases"]:
        feeds = {
            name: np.array(given["values"], dtypes[name]).reshape(given["shape"])
            for name, given in case["inputs"].items()
        }
        items, scores = session.run(["items", "scores"], feeds)
        close = np.abs(scores - np.array(case["scores"])) <= golden["tolerance"]
        close |= (scores <= contract["dropped"]["score"]) & (np.array(case["items"]) == 0)
        same = (items == np.array(case["items"])) | ~np.array(case["certain"])
        if not (close & same).all():
            sys.exit(f"other lists than expected: {case['name']}")
    print(f"{len(golden['cases'])} cases give the expected lists")


if __name__ == "__main__":
    main(*sys.argv[1:])
