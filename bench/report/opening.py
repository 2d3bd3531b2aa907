"""How the report begins: what was compared, where and when; quality against cost; and what its words mean.

In: records of one or more runs. Out: sentences, a plot, pairs of a term and its meaning.

    python -m bench.report
"""

from bench.html.axes import drawn
from bench.html.page import COLOURS, figure
from bench.records.runs import Record
from bench.report.values import MODELS, label, main_sweep, of

GLOSSARY = [
    ("ratio", "Seconds of one way divided by those of ONNX Runtime in the same round: 2 is twice as long, 1 is equal. "
     "Shown are the median of the rounds and, in brackets or as a line, their quartiles."),
    ("calm ratio", "The fastest quarter of one's rounds divided by that of the other. What else the machine does only "
     "adds seconds, so this is the ratio that counts where a machine is shared."),
    ("same work", "It computes no more than the exported graph: only the newest position is read out and scored."),
    ("notebook loop", "Every position of a history is encoded and scored against all items, and all but the last are "
     "thrown away, as plain training code does when it is used to recommend."),
    ("floor (roofline)", "The least seconds that this machine's matrix products allow for the model's own "
     "multiply-accumulates (MACs). What looks up, copies, sorts and drops seen items is not in it."),
    ("p50, p95, p99", "The seconds within which so many per cent of the requests were answered."),
    ("NDCG@10", "1 if the held-out item leads the list, less further down, 0 beyond place ten. Of "
     "validation items, in the table of precision of test items."),
    ("IQR", "The range of the middle half of the rounds, in per cent of their median."),
    ("int8", "Weights in 8 bits instead of 32."),
]  # fmt: skip


def head(records: list[Record]) -> list[str]:
    """What, on what, how often, on which machine, and when, as far as the records say."""
    timed = [record for record in records if record.part != "other"]
    models = sorted({r.info["model"] for r in timed}, key=lambda m: MODELS.index(m) if m in MODELS else len(MODELS))
    sentences = [f"Seconds, memory and distance from the machine's limit of recommending with {', '.join(models)}."]
    data = [
        f"{users:,} users and {items:,} items"
        for users, items in dict.fromkeys((r.info["users"], r.info["items"]) for r in timed if "users" in r.info)
    ]
    rounds = [r.stats["rounds"] for r in records if r.part not in ("scale", "convergence") and r.stats["rounds"] > 1]
    least, most = min(rounds, default=0), max(rounds, default=0)
    how = f" Between {least:,} and {most:,} rounds each." if most > least else f" {most:,} rounds each." if most else ""
    sentences += [f"Synthetic data: {'; '.join(data)}.{how}"] if data else []
    machines = dict.fromkeys(f"{r.info['device_name']}, {r.info['cores']} cores ({r.info['device']})" for r in timed)
    days = sorted({r.day for r in records if r.day})
    when = f", {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "") if days else ""
    return [*sentences, f"Machine: {'; '.join(machines)}{when}."]


def picture(records: list[Record]) -> tuple[str, str | None]:
    """NDCG@10 against the seconds that a thousand users take, a point for each model and device."""
    plot = figure(xaxis_title="seconds for 1,000 users, at the best batch", yaxis_title="best NDCG@10", height=320)
    plot.update_xaxes(type="log")
    for record in of(records, "convergence"):
        sweep = main_sweep([r for r in of(records, "inference") if r.series == record.series])
        if not sweep:
            continue
        fastest = max(r.info["users_per_second"] for r in sweep)
        model = record.info["model"]
        colour = COLOURS[MODELS.index(model) if model in MODELS else -1]
        plot.add_scatter(
            x=[1000 / fastest], y=[max(record.info["curve"]["ndcg"])], mode="markers+text",
            text=[label(records, record)], textposition="bottom center", showlegend=False, cliponaxis=False,
            marker={"size": 12, "color": colour},
        )  # fmt: skip
    plot.update_yaxes(rangemode="tozero")
    return "What is gained against what it costs: up and to the left is better", drawn(plot)
