"""Benchmark records as one page: what to run, where, and at what cost.

In: records of one or more runs. Out: an HTML file with everything it needs inside.

    write_report(load_all([Path("run.json")]), Path("report.html"))
"""

from pathlib import Path

from bench.html.page import section, write_page
from bench.records.runs import Record
from bench.report import beside, plots, scale, tables
from bench.report.opening import GLOSSARY, head, picture
from bench.report.summary import summary
from bench.report.values import of

FLOOR = (
    "The floor (roofline) is the model's own MACs (multiply-accumulates) on real, unpadded lengths at the rate of a "
    "matrix product measured in the same run: the head at the rate of its own skinny shape, the rest at that of a "
    "large square product. Looking up, copying, sorting and dropping seen items are not in it."
)
STEP = (
    "The floor of a training step is every product of the forward pass three times (forward, and the gradients of both "
    "factors) on real lengths, at the rate of such a product here, and the optimizer's weights, moments and average "
    "read and written once."
)
NOISE = (
    "A batch holds users drawn at random; python -m infer.batch groups those with histories of similar length. "
    "Spread is the interquartile range of the rounds in per cent of their median."
)
PEERS = (
    "Each library runs in a process of its own, and neither side begins while threads of the other still wait busily. "
    "What else the machine does only adds seconds: where it is shared, the calm ratio counts."
)
NO_REST = (
    "Each library runs in a process of its own. In these records threads of one side may still have waited busily "
    "while the other was timed, and the machine may have been shared: small ratios say little."
)


def sections(records: list[Record]) -> list[dict]:
    """Title, sentences, tables and plots (caption, JSON) of every part of the page."""
    curves = [
        (f"{name} by {axis}", plots.curves(records, column, key))
        for column, name in (("ndcg", "NDCG@10"), ("validation_loss", "Validation loss"))
        for key, axis in (("epoch", "epoch"), ("elapsed", "second"))
    ]
    return [
        section(
            "Throughput",
            [FLOOR, NOISE],
            [tables.inference(records)],
            [
                ("Users per second against batch size", plots.throughput(records)),
                ("Distance from the floor against batch size", plots.floors(records)),
            ],
        ),
        section(
            "At MovieLens' sizes",
            scale.sentences(records),
            [scale.ways(records), scale.commands(records)],
            [("Other ways to the same lists, by size of the table", scale.ratios(records))],
        ),
        section(
            "Latency of one user",
            tables=[tables.online(records)],
            plots=[("Share of requests answered by then", plots.latency(records))],
        ),
        section(
            "Where the command's time goes",
            tables=[tables.stages(records)],
            plots=[("Stages of python -m infer.batch", plots.stages(records))],
        ),
        section(
            "Training",
            [STEP] if of(records, "training") else [],
            [tables.convergence(records), tables.steps(records)],
            curves,
        ),
        section(
            "Engines and precision",
            tables=[beside.engines(records), beside.precision(records)],
            plots=[("Other engines beside ONNX Runtime", plots.engines(records))],
        ),
        section(
            "Other libraries",
            [PEERS] if any(record.info.get("at_rest") for record in of(records, "peers")) else [NO_REST],
            [beside.peers(records)],
            [("Other libraries beside ours", plots.peers(records))],
        ),
        section("Parts by themselves", tables=[beside.others(records)]),
        section("The machine's rates", tables=[beside.rates(records)]),
    ]


def write_report(records: list[Record], path: Path) -> Path:
    """Render the page; returns where it lies."""
    return write_page(
        path,
        "report/report.html.j2",
        sections(records),
        title="What recommending costs",
        head=head(records),
        picture=picture(records),
        summary=summary(records),
        glossary=GLOSSARY,
        overview=tables.overview(records),
        machine=tables.machine(records),
    )
