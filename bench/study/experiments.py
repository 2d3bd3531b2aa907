"""What the study compares: the experiments, the splits, and which differences are tested.

In: nothing. Out: EXPERIMENTS, PRIMARY, PAIRS and the names of the splits; `bench.study.making` makes a trial of each.

    python -m bench.study --only=scratch,hybrid
"""

from dataclasses import dataclass, field
from typing import Any

LEAVE_ONE_OUT = "leave-one-out"
VARIATIONS: dict[str, dict[str, Any]] = {"random-ties": {"ties": "random"}, "time-split": {"split": "time"}}
MEMBERS = "ease,markov,content,scratch,hybrid"
REFITTED = ",".join(f"{name}-refit" for name in MEMBERS.split(","))


@dataclass(frozen=True)
class Experiment:
    """One model to compare.

    stage: those of stage 1 start from models of stage 0, and so on.  start: NAME of the experiment whose model is
    trained on, as `python -m train --from` does, with `changes` alone of its own.  refit: NAME of the experiment that
    is trained anew on validation items, too, as `--refit` does; such a model is measured on test items alone.  seeds:
    at most so many of the study's; deterministic models need one.  short: part of the short study.  varied: also run
    on other splits.  tuned: NAME of the search (`python -m train tune`) that finds its options; such an experiment
    needs --tuned.
    """

    name: str
    title: str
    kind: str
    preset: str = "default"
    changes: dict = field(default_factory=dict)
    stage: int = 0
    start: str = ""
    refit: str = ""
    seeds: int = 100
    short: bool = False
    varied: bool = False
    tuned: str = ""

    @property
    def rated(self) -> bool:
        """Whether it is made of ratings: the paper's models, and what starts from one."""
        names = {e.name: e for e in EXPERIMENTS}
        return self.preset == "paper" or any(names[name].rated for name in self.parents)

    @property
    def random(self) -> bool:
        """Whether its seed decides anything: models in closed form, and blends of such, have none."""
        names = {e.name: e for e in EXPERIMENTS}
        return self.kind in ("mf", "bert", "hybrid") or any(names[name].random for name in self.parents)

    @property
    def parents(self) -> list[str]:
        """Names of the experiments whose trained models this one starts from."""
        named = [name for key in ("mf", "members") for name in self.changes.get(key, "").split(",")]
        return [name for name in (self.start, self.refit, *named) if name]


EXPERIMENTS = (
    Experiment("mf-paper", "MF, paper", "mf", "paper", short=True),
    Experiment("bert-paper", "BERT, paper", "bert", "paper", short=True),
    Experiment("hybrid-paper", "hybrid, paper", "hybrid", "paper", {"mf": "mf-paper"}, stage=1, short=True),
    Experiment("knn", "item-kNN", "knn", seeds=1, short=True),
    Experiment("ials", "iALS", "mf", short=True),
    Experiment(
        "ease-plain", "EASE", "ease", changes={"locality": 1.0, "content": 0.0, "regularization": 300.0}, seeds=1,
        short=True,
    ),
    Experiment("markov", "Markov", "markov", seeds=1, short=True, varied=True),
    Experiment(
        "chain", "chain alone", "markov",
        changes={"rank": 256, "smoothing": 300.0, "popularity": 0.0, "power": 0.2, "ease": 0.7}, seeds=1, short=True,
    ),
    Experiment(
        "ease-markov", "EASE + Markov", "best", changes={"members": "ease-plain,markov"}, stage=1, seeds=1, short=True
    ),
    Experiment("ease", "local EASE + content", "ease", seeds=1, short=True),
    Experiment("content", "content only", "content", seeds=1, short=True),
    Experiment("scratch", "transformer from scratch", "bert", short=True, varied=True),
    Experiment("hybrid", "hybrid", "hybrid", short=True, varied=True),
    Experiment("hybrid-ials", "iALS start alone", "hybrid", changes={"chain": 0, "content": 0.0}, short=True),
    Experiment("hybrid-content", "iALS start with metadata", "hybrid", changes={"chain": 0}),
    Experiment(
        "hybrid-norms", "random start of iALS' norms", "hybrid",
        changes={"chain": 0, "content": 0.0, "initial": "norms"}, short=True,
    ),
    Experiment(
        "hybrid-shuffled", "iALS start, vectors shuffled", "hybrid",
        changes={"chain": 0, "content": 0.0, "initial": "shuffled"}, short=True,
    ),
    Experiment(
        "scratch-markov", "from scratch + Markov", "best", changes={"members": "scratch,markov"}, stage=1, short=True
    ),
    Experiment(
        "ials-markov", "iALS start + Markov", "best", changes={"members": "hybrid-ials,markov"}, stage=1, short=True
    ),
    Experiment("hybrid-ppmi", "PPMI start alone", "hybrid", changes={"chain": 0, "initial": "ppmi"}),
    Experiment("hybrid-markov", "hybrid, chain of transitions alone", "hybrid", changes={"chain_ease": 0.0}),
    Experiment("hybrid-trained", "hybrid, chain trained", "hybrid", changes={"chain_trained": True}),
    Experiment(
        "scratch-chain", "from scratch + chain", "best", changes={"members": "scratch,chain"}, stage=1,
        short=True,
    ),
    Experiment(
        "scratch-random", "from scratch, with a random chain, trained", "bert",
        changes={"chain": 256, "chain_initial": "random", "chain_trained": True},
    ),
    Experiment("best", "best.onnx", "best", changes={"members": MEMBERS}, stage=1, short=True),
    Experiment("mf-ratings", "MF of ratings", "mf", "paper", {"dim": 0}),
    Experiment(
        "hybrid-mf", "rating-MF start alone", "hybrid", changes={"chain": 0, "initial": "mf", "mf": "mf-ratings"},
        stage=1,
    ),
    Experiment("markov-refit", "Markov, on everything", "markov", refit="markov", stage=1, seeds=1),
    Experiment("ease-refit", "local EASE + content, on everything", "ease", refit="ease", stage=1, seeds=1),
    Experiment("content-refit", "content only, on everything", "content", refit="content", stage=1, seeds=1),
    Experiment("scratch-refit", "from scratch, on everything", "bert", refit="scratch", stage=1),
    Experiment("hybrid-refit", "hybrid, on everything", "hybrid", refit="hybrid", stage=1),
    Experiment(
        "best-refit", "best.onnx, on everything", "best", changes={"members": REFITTED}, refit="best", stage=2
    ),
    Experiment("softmax", "from scratch, full softmax", "bert", changes={"loss": "softmax"}, seeds=1),
    Experiment("scratch-continued", "from scratch, continued", "bert", stage=1, start="scratch"),
    Experiment("codes-32", "from scratch, then 32 codes", "bert", changes={"codes": 32}, stage=1, start="scratch"),
    Experiment("codes-16", "from scratch, then 16 codes", "bert", changes={"codes": 16}, stage=1, start="scratch"),
    Experiment("bert4rec", "BERT4Rec", "bert", "bert4rec", seeds=2),
    Experiment("sasrec", "SASRec", "bert", "sasrec", seeds=1),
    Experiment("gsasrec", "gSASRec", "bert", "gsasrec", seeds=1),
    Experiment("knn-tuned", "item-kNN, tuned", "knn", seeds=1, tuned="knn"),
    Experiment("ials-tuned", "iALS, tuned", "mf", tuned="mf"),
    Experiment("markov-tuned", "Markov, tuned", "markov", seeds=1, tuned="markov"),
    Experiment("ease-tuned", "local EASE + content, tuned", "ease", seeds=1, tuned="ease"),
    Experiment("scratch-tuned", "transformer from scratch, tuned", "bert", tuned="bert"),
    Experiment("hybrid-tuned", "hybrid, tuned", "hybrid", tuned="hybrid"),
    Experiment("bert4rec-tuned", "BERT4Rec, tuned", "bert", "bert4rec", tuned="bert-bert4rec"),
    Experiment("sasrec-tuned", "SASRec, tuned", "bert", "sasrec", tuned="bert-sasrec"),
    Experiment("gsasrec-tuned", "gSASRec, tuned", "bert", "gsasrec", tuned="bert-gsasrec"),
)  # fmt: skip
TITLES = {experiment.name: experiment.title for experiment in EXPERIMENTS}
# Whose validation losses and epochs can be compared: cross-entropy over all items, whatever they were trained with.
TRANSFORMERS = {e.name for e in EXPERIMENTS if e.kind in ("bert", "hybrid") and not (e.start or e.refit)}

# (one, other): is one better than the other? These were declared before they were measured, and are corrected as one
# family: what each part adds to the transformer from scratch, and the controls of the start from iALS.
PRIMARY = (
    ("hybrid-ials", "scratch"),
    ("hybrid-norms", "scratch"),
    ("hybrid-shuffled", "scratch"),
    ("hybrid-mf", "scratch"),
    ("scratch-markov", "scratch"),
    ("scratch-chain", "scratch"),
    ("hybrid", "scratch"),
    ("ials-markov", "scratch-markov"),
    ("hybrid", "scratch-chain"),
    ("hybrid-paper", "bert-paper"),
)
PRIMARY_METRICS = ("hit@10", "ndcg@10")
# Asked besides; a family of their own, with the metrics and splits that are not primary.
PAIRS = (
    *PRIMARY,
    ("hybrid-ials", "hybrid-norms"),
    ("hybrid-ials", "hybrid-shuffled"),
    ("hybrid", "scratch-random"),
    ("hybrid", "chain"),
    ("hybrid", "markov"),
    ("scratch-markov", "markov"),
    ("hybrid", "hybrid-ials"),
    ("hybrid", "hybrid-trained"),
    ("hybrid", "hybrid-markov"),
    ("hybrid-ppmi", "scratch"),
    ("best", "ease-markov"),
    ("best", "hybrid"),
    ("best", "ease"),
    ("hybrid", "ease"),
    ("hybrid", "ease-plain"),
    ("softmax", "scratch"),
    ("codes-32", "scratch"),
    ("codes-32", "scratch-continued"),
    ("codes-16", "scratch"),
    ("codes-16", "scratch-continued"),
    ("bert4rec", "scratch"),
    ("sasrec", "scratch"),
    ("gsasrec", "scratch"),
    ("hybrid-tuned", "scratch-tuned"),
    ("hybrid-tuned", "markov-tuned"),
    ("hybrid-tuned", "hybrid"),
    ("scratch-tuned", "scratch"),
    ("scratch-tuned", "markov-tuned"),
    ("bert4rec-tuned", "scratch-tuned"),
    ("sasrec-tuned", "scratch-tuned"),
    ("gsasrec-tuned", "scratch-tuned"),
)
# What validation items are worth to a model that learns from them, too: a family of their own, as nothing in it is
# compared with the others.
REFIT_PAIRS = tuple((e.name, e.refit) for e in EXPERIMENTS if e.refit)
# The same question asked of each cohort: does it help where an item or a user is little known?
COHORT_PAIRS = (
    ("hybrid-ials", "scratch"),
    ("hybrid", "scratch"),
    ("hybrid-paper", "bert-paper"),
    ("best", "ease-markov"),
)
