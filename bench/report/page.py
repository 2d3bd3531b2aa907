"""Benchmark records as one page: sections of sentences, tables and plots."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from plotly.offline import get_plotlyjs

from bench.records.runs import Record
from bench.report import beside, plots, tables
from bench.report.summary import summary
from infer.system.files import write_text

FLOOR = (
    "The floor is the model's own multiply-adds on real, unpadded lengths at the rate of a matrix product measured "
    "in the same run: the head at the rate of its own skinny shape, the rest at that of a large square product. "
    "Looking up, copying, sorting and dropping seen items are not in it."
)
NOISE = (
    "A batch holds users drawn at random; python -m infer.batch groups those with histories of similar length. "
    "Spread is the interquartile range of the rounds in per cent of their median."
)


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
