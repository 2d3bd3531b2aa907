"""The benchmarks' page: true sentences, every plot drawn by a real browser, nothing fetched."""

import json
import re
from pathlib import Path

import pytest

from bench.records.runs import Record
from bench.report import beside, tables
from bench.report.page import sections, write_report
from bench.report.summary import summary
from tests.helpers.browser import opened
from tests.helpers.records import record

PLOTS = 11
CURVE = {"epoch": [1, 2], "elapsed": [2.0, 4.0], "train_loss": [8.0, 7.0], "validation_loss": [7.0, 6.0]}
STAGES = {"open": 0.1, "read": 0.1, "windows": 0.1, "model": 0.5, "write": 0.1, "measure": 0.1, "total": 1.0}
PROBE = """
  const d = w.document, plots = [...d.querySelectorAll(".plot")];
  const drawn = plots.filter(p => p.querySelector(".main-svg") && p.querySelectorAll(".trace, .bars .point").length);
  const root = d.documentElement, styles = w.getComputedStyle(d.body);
  return JSON.stringify({plots: plots.length, drawn: drawn.length, over: root.scrollWidth - root.clientWidth,
    paper: styles.backgroundColor, text: styles.color,
    label: w.getComputedStyle(d.querySelector(".xtick text")).fill,
    wide: plots.filter(p => p.getBoundingClientRect().right > root.clientWidth + 1).length});
"""


def measured(model: str, run: str = "run", device: str = "cpu") -> list[Record]:
    """One record of every part, with round numbers."""
    shared = {"run": run, "model": model, "device": device, "ran_on": device, "window": 50, "items": 100, "users": 40}
    narrow = shared | {"window": 9}
    rates = {"rates": {"peak": 2e9, "head": 1e9, "bandwidth": 3e9}, "floor_seconds": 0.2, "head_width": 64}
    latency = {"latency_seconds": {"p50": 0.002, "p95": 0.003, "p99": 0.004}}
    engine = {"seconds": 4.0, "ratio": 2.0, "low": 1.5, "high": 2.5}
    ratio = {"ratio": 1.5, "low": 1.4, "high": 1.6}
    losses = CURVE | {"ndcg": [0.2, 0.4] if model == "bert" else [0.1, 0.2]}
    return [
        record("b1", part="inference", batch=1, users_per_second=50.0, times_floor=8.0, **shared, **rates),
        record("b9", part="inference", batch=9, users_per_second=900.0, times_floor=3.0, **shared, **rates),
        record("w", part="inference", batch=9, users_per_second=9e9, times_floor=1, **narrow, **rates),
        record("l", part="latency", **shared, **latency),
        record("s", part="session", median=0.5, **shared),
        record("c", part="command", stage_seconds=STAGES, users_per_second=40.0, peak_memory_bytes=2**20, **shared),
        record("e", part="engines", engines={"torch": engine}, failed={"torch.compile": "no compiler"}, **shared),
        record("p", part="precision", float32_ratio=ratio, megabytes={"float32": 4, "int8": 1}, **shared,
               metrics={n: {"hit@10": 0.5, "ndcg@10": v} for n, v in (("float32", 0.25), ("int8", 0.24))}),
        record("t", part="convergence", curve=losses, ndcg_goal=0.3, preparation_seconds=0.5, **shared),
        record("r", part="peers", peer="abacus", peer_seconds=9.0, note="counts only", **ratio, **shared),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def records() -> list[Record]:
    plain = Record("run", "plain", record().stats, {})
    return [*measured("bert"), *measured("hybrid"), plain]


def test_sentences_say_what_the_records_say(records) -> None:
    text = "\n".join(summary(records))
    assert "bert, cpu 900 users a second at batches of 9, 3.0 times the floor" in text
    assert "bert, cpu 2 ms (p99 4 ms)" in text
    assert "The whole command for 40 users: bert, cpu 2 s, 50% of it the model, 1 MiB at most" in text
    assert "NDCG@10 of 0.3 on validation: bert, cpu epoch 2, 4 s; hybrid, cpu not reached (0.200)." in text
    assert "hybrid, cpu reaches the best validation loss of training from scratch after 2 epochs and 4 s;" in text
    assert "bert, cpu: torch 2.0" in text
    assert "bert, cpu, 100 items 1.50 times as fast, NDCG@10 0.2400 instead of 0.2500" in text
    assert summary(records[:1]) == [
        "Scoring is fastest so: bert, cpu 50 users a second at batches of 1, 8.0 times the floor."
    ]


def test_tables_hold_the_records(records) -> None:
    found = tables.overview(records)["rows"]
    assert found[0] == ["bert, cpu", "0.400", "4 s", "900 at 9", "3.0", "2 ms", "3 ms", "4 ms", "40", "1 MiB"]
    assert tables.convergence(records)["rows"][1][3:5] == ["not reached", "epoch 2, 4 s"]
    assert beside.engines(records)["rows"][0][-1] == "2.00 [1.50, 2.50]"
    assert beside.engines(records)["rows"][1][-1] == "does not work: no compiler"
    assert tables.stages(records)["rows"][0] == [
        "bert, cpu", "500 ms", "–", "–", *["100 ms"] * 3, "500 ms", *["100 ms"] * 2, "2 s",
    ]  # fmt: skip
    records[0].info["calibration_seconds"] = [0.002, 0.006, 0.003]
    assert tables.machine(records)[2][1].endswith(
        "2 ms to 6 ms, median 3 ms; what is above the least is others' work on the machine"
    )
    floor = {"products": 0.004, "memory": 0.001, "floor": 0.005}
    step = {"layers": 2, "dim": 64, "step_seconds": 0.01, "targets_per_second": 60_000.0, "times_floor": 2.0}
    shown = tables.steps([record("f", part="training", window=50, items=9_000, floor_seconds=floor, **step)])["rows"]
    assert shown == [["bert, cpu", "2", "64", "50", "9,000", "10 ms", "60,000", "4 ms", "1 ms", "2.0"]]
    two = [*records, *measured("bert", run="other")]
    assert tables.overview(two)["rows"][-1][0] == "bert, cpu (other)"


def test_one_history_through_the_api_is_shown_by_rule() -> None:
    latency = {"latency_seconds": {"p50": 0.002, "p95": 0.003, "p99": 0.004}, "items": 10_000}
    asked = [record(rule, part="online", rule=rule, **latency) for rule in ("no rules", "10 boosts")]
    (shown,) = next(part["tables"] for part in sections(asked) if part["title"] == "Latency of one user")
    assert shown["rows"] == [
        ["bert, cpu", "10,000", rule, "2 ms", "3 ms", "4 ms"] for rule in ("no rules", "10 boosts")
    ]  # fmt: skip
    assert summary(asked) == ["Through the Python API, without rules: bert, cpu 2 ms."]


def test_the_page_says_whether_the_other_side_stood_still(records) -> None:
    def said(records: list[Record]) -> str:
        return next(part["sentences"][0] for part in sections(records) if part["title"] == "Other libraries")

    assert "may still have waited busily" in said(records)
    rested = next(record for record in measured("mf") if record.part == "peers")
    rested.info["at_rest"] = True
    assert "neither side begins" in said([rested])


def test_parts_that_were_not_measured_are_left_out(records) -> None:
    found = {section["title"]: section for section in sections(records[:1])}
    assert found["Training"]["tables"] == [] == found["Training"]["plots"]
    assert len(found["Throughput"]["plots"]) == 2 and found["Engines and precision"]["tables"] == []


def test_the_page_of_other_libraries_alone_has_no_empty_table(records, tmp_path: Path) -> None:
    page = write_report(records, tmp_path / "all.html").read_text()
    alone = write_report([record for record in records if record.part == "peers"], tmp_path / "peers.html").read_text()
    assert "Which model, on which device, at what cost" in page
    assert "Which model, on which device, at what cost" not in alone and "Other libraries, same data" in alone


def test_the_page_needs_no_network_and_draws_every_plot(records, tmp_path: Path) -> None:
    gpu = measured("best", run="other", device="cuda")
    page = write_report([*records, *gpu], tmp_path / "report.html")
    own = re.sub(r"<script>/\*\*.*?</script>", "", page.read_text(), count=1, flags=re.S)
    assert not re.search(r"(src|href)\s*=\s*[\"']", own) and "@import" not in own and "http" not in own
    assert own.index("Scoring is fastest so") < own.index("<h2>")
    wide, phone = (json.loads(opened(page, PROBE, width, dark=width < 500)) for width in (1100, 390))
    for found in (wide, phone):
        assert found["plots"] == found["drawn"] == PLOTS, found
        assert found["over"] <= 0 and found["wide"] == 0, found
        assert found["label"] == found["text"]
    assert wide["paper"] != phone["paper"], "light and dark look alike"
