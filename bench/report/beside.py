"""Benchmark records as tables for the page: what stands beside our engine, and the machine's own rates.

In: records of one or more runs. Out: dictionaries (caption, header, rows of texts) for the template.

    python -m bench.report
"""

from bench.html.page import Table, table
from bench.html.texts import NOTHING, duration, interval
from bench.rates import SQUARE
from bench.records.runs import Record
from bench.report.values import label, of, spread


def engines(records: list[Record]) -> Table:
    """How many times ONNX Runtime's seconds the others take, in alternation."""
    rows = []
    for record in of(records, "engines"):
        for name, engine in record.info["engines"].items():
            ratio = interval(engine["ratio"], engine["low"], engine["high"])
            rows.append(
                [label(records, record), name, duration(engine["seconds"]), duration(record.stats["median"]), ratio]
            )
        for name, reason in record.info["failed"].items():
            rows.append(
                [label(records, record), name, NOTHING, duration(record.stats["median"]), f"does not work: {reason}"]
            )
    caption = "Other engines, same batch, same answers: ratio to ONNX Runtime, median and quartiles of the rounds"
    return table(caption, ["model, device", "engine", "seconds", "ONNX Runtime", "ratio"], rows)


def precision(records: list[Record]) -> Table:
    """float32 beside int8: size, speed and what each is worth."""
    rows = []
    for record in of(records, "precision"):
        info, ratio = record.info, record.info["float32_ratio"]
        for name in ("float32", "int8"):
            values = [f"{value:.4f}" for value in info["metrics"][name].values()]
            speed = interval(ratio["ratio"], ratio["low"], ratio["high"]) if name == "float32" else "1"
            size = f"{info['megabytes'][name]:.2f} MB"
            rows.append([label(records, record), f"{info['items']:,}", name, size, speed, *values])
    header = ["model, device", "items", "numbers", "file", "seconds ÷ int8's", "Hit@10", "NDCG@10"]
    return table("Precision, in alternation, with the metrics of each", header, rows)


def peers(records: list[Record]) -> Table:
    """Other libraries on the same work."""
    rows = []
    for record in of(records, "peers"):
        info = record.info
        ratio = interval(*(info.get(name) for name in ("ratio", "low", "high")))
        calm = interval(info.get("calm"))
        seconds = duration(info.get("peer_seconds"))
        rows.append([info["peer"], label(records, record), seconds, ratio, calm, info["note"]])
    header = ["library", "beside", "seconds", "seconds ÷ ours", "calm ratio", "what differs"]
    return table("Other libraries, same data, k and seen rule", header, rows)


def others(records: list[Record]) -> Table:
    """Benchmarks that are of no model."""
    rows = [[r.run, r.name, duration(r.stats["median"]), spread(r)] for r in of(records, "other")]
    return table("Parts by themselves", ["run", "benchmark", "median", "± IQR"], rows)


def rates(records: list[Record]) -> Table:
    """The machine's own rates, by head shape."""
    measured = {}
    for r in of(records, "inference"):
        measured[r.run, r.info["device"], *(r.info[n] for n in ("batch", "head_width", "items"))] = r.info["rates"]
    rows = []
    for (run, device, *shape), rate in measured.items():
        numbers = (f"{rate[name] / 1e9:.1f}" for name in ("head", "peak", "bandwidth"))
        rows.append([run, device, " × ".join(f"{n:,}" for n in shape), *numbers])
    header = ["run", "device", "batch × width × items", "GMAC/s at the head's shape"]
    header += [f"best of any shape and of {SQUARE}³", "memory, GB/s"]
    caption = "The floor's rates: ONNX Runtime's float32 matrix product alone, best repetition"
    return table(caption, header, rows)
