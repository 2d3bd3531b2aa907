"""One offline HTML page from the JSON of one or more benchmark runs: what to run, where, and at what cost.

In: files of `pytest --benchmark-only --benchmark-json=FILE`; by default those in bench/results/. Out: report.html,
with everything it needs inside.

    python -m bench.report run.json --output=report.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from plotly.offline import get_plotlyjs

from bench import report_beside as beside
from bench import report_plots as plots
from bench import report_tables as tables
from bench.records import ROOT
from bench.report_summary import summary
from bench.runs import Record, load_all
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import write_text

RESULTS = ROOT / "bench" / "results"
FLOOR = (
    "The floor is the model's own multiply-adds on real, unpadded lengths at the rate of a matrix product measured "
    "in the same run: the head at the rate of its own skinny shape, the rest at that of a large square product. "
    "Looking up, copying, sorting and dropping seen items are not in it."
)
NOISE = (
    "A batch holds users drawn at random; python -m infer.batch groups those with histories of similar length. "
    "Spread is the interquartile range of the rounds in per cent of their median."
)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Options of `python -m bench.report`."""

    output: Path = option(Path("report.html"), "HTML file to write")


def sections(records: list[Record]) -> list[dict]:
    """Title, sentences, tables and plots (caption, JSON) of every part of the page; parts without any are left out."""
    found = [
        {
            "title": "Throughput",
            "sentences": [FLOOR, NOISE],
            "plots": [
                ("Users per second against batch size", plots.throughput(records)),
                ("Distance from the floor against batch size", plots.floors(records)),
            ],
            "tables": [tables.inference(records)],
        },
        {
            "title": "Latency of one user",
            "sentences": [],
            "plots": [("Share of requests answered by then", plots.latency(records))],
            "tables": [],
        },
        {
            "title": "Where the command's time goes",
            "sentences": [],
            "plots": [("Stages of python -m infer.batch", plots.stages(records))],
            "tables": [tables.stages(records)],
        },
        {
            "title": "Training",
            "sentences": [],
            "plots": [
                (f"{name} by {axis}", plots.curves(records, column, key))
                for column, name in (("ndcg", "NDCG@10"), ("validation_loss", "Validation loss"))
                for key, axis in (("epoch", "epoch"), ("elapsed", "second"))
            ],
            "tables": [tables.convergence(records)],
        },
        {
            "title": "Engines and precision",
            "sentences": [],
            "plots": [("Other engines beside ONNX Runtime", plots.ratios(records))],
            "tables": [beside.engines(records), beside.precision(records)],
        },
        {"title": "Other libraries", "sentences": [], "plots": [], "tables": [beside.peers(records)]},
        {"title": "Parts by themselves", "sentences": [], "plots": [], "tables": [beside.others(records)]},
        {"title": "The machine's rates", "sentences": [], "plots": [], "tables": [beside.rates(records)]},
    ]
    for section in found:
        section["tables"] = [table for table in section["tables"] if table["rows"]]
        section["plots"] = [(caption, plot) for caption, plot in section["plots"] if plot]
    return found


def write_report(records: list[Record], path: Path) -> Path:
    """Render the page; returns where it lies."""
    environment = Environment(loader=PackageLoader("bench", "."), autoescape=select_autoescape(default=True))
    found = sections(records)
    text = environment.get_template("report.html.j2").render(
        title="What recommending costs",
        plotly=get_plotlyjs(),
        summary=summary(records),
        overview=tables.overview(records),
        sections=[section for section in found if section["tables"] or section["plots"]],
        absent=[section["title"] for section in found if not (section["tables"] or section["plots"])],
        machine=tables.machine(records),
    )
    write_text(path, text)
    return path


def leading(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The file names that stand before the options, and the options."""
    files = list(takewhile(lambda word: not word.startswith("-") and "=" not in word, words))
    return [Path(word) for word in files], list(words[len(files) :])


def main(words: Sequence[str]) -> None:
    """Parse, load, render, print."""
    files, rest = leading(words)
    config = parse(ReportConfig, rest, __doc__)
    files = files or sorted(RESULTS.glob("run-*.json"))
    if not files:
        raise InputError(f"no run is named and {RESULTS} holds no run-*.json: name the files to show")
    records = load_all(files)
    write_report(records, config.output)
    print(f"{len(records)} benchmarks of {len(files)} runs -> {config.output}")


if __name__ == "__main__":
    raise SystemExit(run(main))
