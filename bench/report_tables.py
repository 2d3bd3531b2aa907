"""Benchmark records as tables for the page: (caption, header, rows) of texts.

In: records of one or more runs. Out: dictionaries for the template; a table without rows is left out there.
"""

from bench.convergence import Reached, comparable_loss, reached_loss, reached_ndcg, scratch_loss
from bench.rates import SQUARE
from bench.runs import Record

Table = dict


def of(records: list[Record], *parts: str) -> list[Record]:
    """The records of some parts, in their order."""
    return [record for record in records if record.part in parts]


def label(records: list[Record], record: Record) -> str:
    """Model and device; with the run where the page shows more than one."""
    model, device, run = record.series
    return f"{model}, {device}" + (f" ({run})" if len({r.run for r in records}) > 1 else "")


def duration(seconds: float | None) -> str:
    """Seconds with a fitting unit and three digits."""
    if seconds is None:
        return "–"
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
    unit, scale = next((found for found in units if seconds >= found[1]), units[-1])
    return f"{seconds / scale:.3g} {unit}"


def overview(records: list[Record]) -> Table:
    """One row a model and device: what it learns, costs, and how fast it scores."""
    rows = []
    for series in dict.fromkeys(record.series for record in of(records, "inference", "command", "convergence")):
        own = [record for record in records if record.part != "other" and record.series == series]
        by = {part: of(own, part) for part in ("convergence", "inference", "latency", "command")}
        sweep = main_sweep(by["inference"])
        best = max(sweep, key=lambda record: record.info["users_per_second"], default=None)
        curve = by["convergence"][0].info["curve"] if by["convergence"] else None
        latency = by["latency"][0].info["latency_seconds"] if by["latency"] else {}
        command = by["command"][0] if by["command"] else None
        rows.append([
            label(records, own[0]),
            f"{max(curve['ndcg']):.3f}" if curve else "–",
            duration(curve["elapsed"][-1]) if curve else "–",
            f"{best.info['users_per_second']:,.0f} at {best.info['batch']}" if best else "–",
            f"{best.info['times_floor']:.1f}" if best else "–",
            *(duration(latency.get(share)) for share in ("p50", "p95", "p99")),
            f"{command.info['users_per_second']:,.0f}" if command else "–",
            f"{command.info['peak_memory_bytes'] / 2**20:,.0f} MiB" if command else "–",
        ])  # fmt: skip
    header = ["model, device", "best NDCG@10", "training", "users/s at the best batch", "× floor there", "p50", "p95"]
    header += ["p99, one user", "whole command, users/s", "peak memory"]
    return {"caption": "Which model, on which device, at what cost", "header": header, "rows": rows}


def main_sweep(inference: list[Record]) -> list[Record]:
    """Those on the window and catalogue that have most records: the sweep over batch sizes."""
    keys = [(record.info["window"], record.info["items"]) for record in inference]
    return [r for r, key in zip(inference, keys, strict=True) if key == max(keys, key=keys.count)]


def inference(records: list[Record]) -> Table:
    """Every batch size, window and catalogue, with the distance from the floor."""
    rows = [
        [
            label(records, r), f"{r.info['batch']:,}", str(r.info["window"]), f"{r.info['items']:,}",
            duration(r.stats["median"]), _spread(r), f"{r.info['users_per_second']:,.0f}",
            duration(r.info["floor_seconds"]), f"{r.info['times_floor']:.1f}",
        ]
        for r in of(records, "inference")
    ]  # fmt: skip
    header = ["model, device", "batch", "window", "items", "median", "± IQR", "users/s", "floor", "× floor"]
    return {"caption": "A batch: windows, session and sorted top 10 on the host", "header": header, "rows": rows}


def convergence(records: list[Record]) -> Table:
    """Epochs and seconds to both goals, and the speed of training."""
    rows = []
    for record in of(records, "convergence"):
        curve, info = record.info["curve"], record.info
        loss = reached_loss(curve, scratch_loss(records, record)) if comparable_loss(record) else None
        rows.append([
            label(records, record), f"{max(curve['ndcg']):.3f}", f"{info['ndcg_goal']:.2f}",
            _reached(reached_ndcg(curve, info["ndcg_goal"])),
            _reached(loss) if comparable_loss(record) else "has no such loss",
            duration(info["preparation_seconds"]),
            *(f"{info[key]:,.0f}" if key in info else "–" for key in ("sequences_per_second", "tokens_per_second")),
        ])  # fmt: skip
    header = ["model, device", "best NDCG@10", "goal", "goal reached", "scratch model's best loss reached"]
    header += ["of it preparation", "sequences/s", "tokens/s"]
    return {"caption": "Training, one thread; seconds count what a model starts from", "header": header, "rows": rows}


def stages(records: list[Record]) -> Table:
    """Session start, windows, model and write, apart; windows and model of all users."""
    rows = []
    for series in dict.fromkeys(record.series for record in of(records, "command")):
        own = {r.part: r for r in of(records, "session", "windows", "model", "command") if r.series == series}
        parts = own["command"].info["stage_seconds"]
        apart = [
            duration(own[part].stats["median"]) if part in own else "–" for part in ("session", "windows", "model")
        ]
        command = [duration(parts.get(name)) for name in ("open", "read", "windows", "model", "write", "measure")]
        rows.append([label(records, own["command"]), *apart, *command, duration(own["command"].stats["median"])])
    header = ["model, device", "session start", "windows alone", "model alone", "open", "read", "windows", "model"]
    return {
        "caption": "Stages: alone, and inside the command (medians)",
        "header": [*header, "write", "measure", "whole command"],
        "rows": rows,
    }


def engines(records: list[Record]) -> Table:
    """How many times ONNX Runtime's seconds the others take, in alternation."""
    rows = []
    for record in of(records, "engines"):
        for name, found in record.info["engines"].items():
            ratio = f"{found['ratio']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
            rows.append(
                [label(records, record), name, duration(found["seconds"]), duration(record.stats["median"]), ratio]
            )
        for name, reason in record.info["failed"].items():
            rows.append(
                [label(records, record), name, "–", duration(record.stats["median"]), f"does not work: {reason}"]
            )
    caption = "Other engines, same batch, same answers: ratio to ONNX Runtime, median and quartiles of the rounds"
    return {"caption": caption, "header": ["model, device", "engine", "seconds", "ONNX Runtime", "ratio"], "rows": rows}


def precision(records: list[Record]) -> Table:
    """float32 beside int8: size, speed and what each is worth."""
    rows = []
    for record in of(records, "precision"):
        info, ratio = record.info, record.info["float32_ratio"]
        for name in ("float32", "int8"):
            values = [f"{value:.4f}" for value in info["metrics"][name].values()]
            speed = f"{ratio['ratio']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]" if name == "float32" else "1"
            size = f"{info['megabytes'][name]:.2f} MB"
            rows.append([label(records, record), f"{info['items']:,}", name, size, speed, *values])
    header = ["model, device", "items", "numbers", "file", "seconds ÷ int8's", "Hit@10", "NDCG@10"]
    return {"caption": "Precision, in alternation, with the metrics of each", "header": header, "rows": rows}


def peers(records: list[Record]) -> Table:
    """Other libraries on the same work."""
    rows = []
    for record in of(records, "peers"):
        info = record.info
        ratio = f"{info['ratio']:.2f} [{info['low']:.2f}, {info['high']:.2f}]" if "ratio" in info else "–"
        rows.append([info["peer"], label(records, record), duration(info.get("peer_seconds")), ratio, info["note"]])
    header = ["library", "beside", "seconds", "seconds ÷ ours", "what differs"]
    return {"caption": "Other libraries, same data, k and seen rule", "header": header, "rows": rows}


def others(records: list[Record]) -> Table:
    """Benchmarks that are of no model."""
    rows = [[r.run, r.name, duration(r.stats["median"]), _spread(r)] for r in of(records, "other")]
    return {"caption": "Parts by themselves", "header": ["run", "benchmark", "median", "± IQR"], "rows": rows}


def rates(records: list[Record]) -> Table:
    """The machine's own rates, by head shape."""
    found = {}
    for r in of(records, "inference"):
        found[r.run, r.info["device"], r.info["batch"], r.info["items"]] = r.info["rates"]
    rows = [
        [run, device, f"{batch:,} × {items:,}", *(f"{rate[n] / 1e9:.1f}" for n in ("head", "peak", "bandwidth"))]
        for (run, device, batch, items), rate in found.items()
    ]
    header = ["run", "device", "batch × items", "10⁹ multiply-adds/s at the head's shape"]
    header += [f"of a {SQUARE}³ product", "memory, GB/s"]
    caption = "The floor's rates: ONNX Runtime's float32 matrix product alone, best repetition"
    return {"caption": caption, "header": header, "rows": rows}


def machine(records: list[Record]) -> list[tuple[str, str]]:
    """What each run was measured on and with."""
    rows = []
    for run in dict.fromkeys(record.run for record in records):
        own = [record.info for record in records if record.run == run and record.part != "other"]
        names = ", ".join(dict.fromkeys(f"{i['device']}: {i['device_name']}, {i['cores']} cores" for i in own))
        counts = dict.fromkeys((name, count or "all cores") for info in own for name, count in info["threads"].items())
        threads = ", ".join(f"{name} {count}" for name, count in counts)
        versions = ", ".join(f"{name} {value}" for name, value in own[0]["versions"].items())
        set_ = ", ".join(f"{name}={value}" for name, value in own[0].get("variables", {}).items())
        rows.append((run, f"{names}; {own[0].get('system', '')}; threads: {threads}{'; ' + set_ if set_ else ''}"))
        rows.append(("", f"{versions}; commit {own[0]['commit']}"))
    return rows


def _reached(found: Reached) -> str:
    return "not reached" if found is None else f"epoch {found[0]}, {duration(found[1])}"


def _spread(record: Record) -> str:
    median = record.stats["median"]
    return f"{record.stats['iqr'] / median:.0%}" if median and record.stats["rounds"] > 1 else "–"
