"""How the report begins: machine, day, rounds, and a point for each model."""

import json
from dataclasses import replace

from bench.report.opening import GLOSSARY, head, picture
from tests.helpers.records import record

CURVE = {"epoch": [1, 2], "ndcg": [0.1, 0.4]}


def test_the_head_says_what_on_what_and_when() -> None:
    sizes = {"users": 1024, "items": 2000}
    records = [record("a", model="hybrid", rounds=20, **sizes), record("b", model="mf", rounds=7, **sizes)]
    records = [replace(r, day=day) for r, day in zip(records, ("2026-11-24", "2026-11-25"), strict=True)]
    assert head(records) == [
        "Seconds, memory and distance from the machine's limit of recommending with mf, hybrid.",
        "Synthetic data: 1,024 users and 2,000 items. Between 7 and 20 rounds each.",
        "Machine: Abacus, 2 cores (cpu), 2026-11-24 to 2026-11-25.",
    ]
    assert head(records[:1])[1] == "Synthetic data: 1,024 users and 2,000 items. 20 rounds each."
    assert head(records[:1])[-1] == "Machine: Abacus, 2 cores (cpu), 2026-11-24."


def test_the_picture_has_a_point_for_each_model_that_was_trained_and_timed() -> None:
    shared = {"window": 50, "items": 100}
    records = [
        record("slow", batch=1, users_per_second=50.0, **shared),
        record("fast", batch=9, users_per_second=500.0, **shared),
        record("t", part="convergence", curve=CURVE),
        record("alone", part="convergence", model="mf", curve=CURVE),
    ]
    [point] = json.loads(picture(records)[1])["data"]
    assert (point["x"], point["y"], point["text"]) == ([2.0], [0.4], ["bert, cpu"])
    assert picture(records[:2])[1] is None


def test_words_are_explained_once() -> None:
    terms = [term for term, _ in GLOSSARY]
    assert len(terms) == len(set(terms)) and {"same work", "notebook loop", "calm ratio"} <= set(terms)
