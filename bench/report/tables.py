"""Benchmark records as tables for the page: (caption, header, rows) of texts.

In: records of one or more runs. Out: dictionaries for the template; a table without rows is left out there.

    python -m bench.report
"""

from statistics import median

from bench.html.page import Table, table
from bench.html.texts import NOTHING, duration
from bench.records.runs import Record
from bench.report.convergence import Reached, comparable_loss, reached_loss, reached_ndcg, scratch_loss
from bench.report.values import label, main_sweep, of, spread


def overview(records: list[Record]) -> Table:
    """One row a model and device: what it learns, costs, and how fast it scores."""
    rows = []
    for series in dict.fromkeys(record.series for record in of(records, "inference", "command", "convergence")):
        of_series = [record for record in records if record.part != "other" and record.series == series]
        by = {part: of(of_series, part) for part in ("convergence", "inference", "latency", "command")}
        sweep = main_sweep(by["inference"])
        best = max(sweep, key=lambda record: record.info["users_per_second"], default=None)
        curve = by["convergence"][0].info["curve"] if by["convergence"] else None
        latency = by["latency"][0].info["latency_seconds"] if by["latency"] else {}
        command = by["command"][0] if by["command"] else None
        rows.append([
            label(records, of_series[0]),
            f"{max(curve['ndcg']):.3f}" if curve else NOTHING,
            duration(curve["elapsed"][-1]) if curve else NOTHING,
            f"{best.info['users_per_second']:,.0f} at {best.info['batch']}" if best else NOTHING,
            f"{best.info['times_floor']:.1f}" if best else NOTHING,
            *(duration(latency.get(share)) for share in ("p50", "p95", "p99")),
            f"{command.info['users_per_second']:,.0f}" if command else NOTHING,
            f"{command.info['peak_memory_bytes'] / 2**20:,.0f} MiB" if command else NOTHING,
        ])  # fmt: skip
    header = ["model, device", "best NDCG@10", "training", "users/s at the best batch", "× floor there", "p50", "p95"]
    header += ["p99, one user", "whole command, users/s", "peak memory"]
    return table("Which model, on which device, at what cost", header, rows)


def inference(records: list[Record]) -> Table:
    """Every batch size, window and catalogue, with the distance from the floor."""
    rows = [
        [
            label(records, r), f"{r.info['batch']:,}", str(r.info["window"]), f"{r.info['items']:,}",
            duration(r.stats["median"]), spread(r), f"{r.info['users_per_second']:,.0f}",
            duration(r.info["floor_seconds"]), f"{r.info['times_floor']:.1f}",
        ]
        for r in of(records, "inference")
    ]  # fmt: skip
    header = ["model, device", "batch", "window", "items", "median", "± IQR", "users/s", "floor", "× floor"]
    return table("A batch: windows, session and sorted top 10 on the host", header, rows)


def online(records: list[Record]) -> Table:
    """One user at a time through the Python API, by rule."""
    rows = [
        [
            label(records, r), f"{r.info['items']:,}", r.info["rule"],
            *(duration(r.info["latency_seconds"][share]) for share in ("p50", "p95", "p99")),
        ]
        for r in of(records, "online")
    ]  # fmt: skip
    return table("One history through the Python API", ["model, device", "items", "rule", "p50", "p95", "p99"], rows)


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
            *(f"{info[key]:,.0f}" if key in info else NOTHING for key in ("sequences_per_second", "tokens_per_second")),
        ])  # fmt: skip
    header = ["model, device", "best NDCG@10", "goal", "goal reached", "scratch model's best loss reached"]
    header += ["of it preparation", "sequences/s", "tokens/s"]
    return table("Training, one thread; seconds count what a model starts from", header, rows)


def steps(records: list[Record]) -> Table:
    """A step of training beside its floor."""
    rows = []
    for record in of(records, "training"):
        info = record.info
        floor = info["floor_seconds"]
        rows.append([
            label(records, record), str(info["layers"]), str(info["dim"]), str(info["window"]), f"{info['items']:,}",
            duration(info["step_seconds"]), f"{info['targets_per_second']:,.0f}", duration(floor["products"]),
            duration(floor["memory"]), f"{info['times_floor']:.1f}",
        ])  # fmt: skip
    header = ["encoder, device", "layers", "dim", "window", "items", "a step", "targets/s", "products", "memory"]
    return table("A step of training on one thread, in seconds of the processor", [*header, "× floor"], rows)


def stages(records: list[Record]) -> Table:
    """Session start, windows, model and write, apart; windows and model of all users."""
    rows = []
    for series in dict.fromkeys(record.series for record in of(records, "command")):
        timed = {r.part: r for r in of(records, "session", "windows", "model", "command") if r.series == series}
        seconds = timed["command"].info["stage_seconds"]
        apart = [
            duration(timed[part].stats["median"]) if part in timed else NOTHING
            for part in ("session", "windows", "model")
        ]
        command = [duration(seconds.get(name)) for name in ("open", "read", "windows", "model", "write", "measure")]
        rows.append([label(records, timed["command"]), *apart, *command, duration(timed["command"].stats["median"])])
    header = ["model, device", "session start", "windows alone", "model alone", "open", "read", "windows", "model"]
    return table(
        "Stages: alone, and inside the command (medians)", [*header, "write", "measure", "whole command"], rows
    )


def machine(records: list[Record]) -> list[tuple[str, str]]:
    """What each run was measured on and with."""
    rows = []
    for run in dict.fromkeys(record.run for record in records):
        infos = [record.info for record in records if record.run == run and record.part != "other"]
        names = ", ".join(dict.fromkeys(f"{i['device']}: {i['device_name']}, {i['cores']} cores" for i in infos))
        counts = dict.fromkeys(
            (name, count or "all cores") for info in infos for name, count in info["threads"].items()
        )
        threads = ", ".join(f"{name} {count}" for name, count in counts)
        versions = ", ".join(f"{name} {value}" for name, value in infos[0]["versions"].items())
        set_ = ", ".join(f"{name}={value}" for name, value in infos[0].get("variables", {}).items())
        rows.append((run, f"{names}; {infos[0].get('system', '')}; threads: {threads}{'; ' + set_ if set_ else ''}"))
        rows.append(("", f"{versions}; commit {infos[0]['commit']}"))
        runs = [seconds for info in infos for seconds in info.get("calibration_seconds", ())]
        if runs:
            low, middle, high = (duration(seconds) for seconds in (min(runs), median(runs), max(runs)))
            said = f"{low} to {high}, median {middle}; what is above the least is others' work on the machine"
            rows.append(("", f"calibration runs, the same 512³ product before and after every benchmark: {said}"))
    return rows


def _reached(goal: Reached) -> str:
    return "not reached" if goal is None else f"epoch {goal[0]}, {duration(goal[1])}"
