"""Frozen configurations: every option of every model, each in one field.

In: nothing. Out: a class for each sort of model; `train.kinds` says which kind has which. Defaults are the
models we would serve, chosen on validation data; `train.presets` holds the paper's and other published
ones as differences from them.

    python -m train bert --help
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from infer.cli import option
from infer.errors import InputError
from train.conflicts import LEAST_BETA2, conflicts

# What options are for, where they do nothing beside others.
RATINGS, IMPLICIT = {"objective": ("ratings",)}, {"objective": ("implicit",)}
TRANSFORMER = {"block": ("transformer", "auto")}
CHAIN = {"chain": ()}  # any but 0
FROM_IALS = ("ials", "ials+ppmi", "norms", "shuffled")
MARKOV, EASE = {"kind": ("markov",)}, {"kind": ("ease",)}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What every model has.

    The loop reads `epochs`, `patience`, `clip`, `average`, `learning_rate`, `schedule` and `warm_up` of any model, and
    the command `solves_first`. They are no fields here: a class that offers them as options makes fields of them, and
    in others they keep these values.
    """

    epochs = 1
    patience = cast("int | None", 0)
    clip = 0.0
    average = 0.0
    schedule = "constant"
    warm_up = 0
    learning_rate = 0.0

    artifacts: Path = option(Path("artifacts"), "folder with interactions.parquet, and to write to")
    seed: int = option(0, "seed of initial weights, order, masks and dropout", minimum=0)
    device: Literal["cpu", "cuda"] = option("cpu", "where training runs")
    validation_users: int = option(10_000, "users measured after each epoch, a seeded sample beyond", minimum=1)

    @property
    def solves_first(self) -> bool:
        """Whether the model starts from vectors that are solved for before its first epoch."""
        return False

    @property
    def reads_items(self) -> bool:
        """Whether what the table of items says of them is in the model."""
        return False

    @property
    def has_steps(self) -> bool:
        """Whether the model is trained by steps on batches, not in closed form."""
        return False

    def check(self) -> None:
        """Raise InputError, with the reason, if options exclude each other."""


@dataclass(frozen=True, kw_only=True)
class MFConfig(TrainConfig):
    """Matrix factorization: two embedding tables and their dot product."""

    objective: Literal["ratings", "implicit"] = option(
        "implicit", "squared error of the ratings by Adam, or weighted ALS on what was rated (Hu et al. 2008)"
    )
    dim: int = option(64, "length k of user and item vectors; 0: as the transformers have by default", minimum=0)
    epochs: int = option(15, "passes over the training ratings", minimum=1)
    batch_size: int = option(1024, "ratings: in a step", minimum=1, only=RATINGS)
    learning_rate: float = option(1e-3, "ratings: of Adam", minimum=0, only=RATINGS)
    weight_decay: float = option(0.0, "ratings: L2 penalty of Adam", minimum=0, only=RATINGS)
    initial_std: float = option(0.1, "ratings: standard deviation of the initial vectors", minimum=0, only=RATINGS)
    confidence: float = option(5.0, "implicit: weight alpha of what was rated", minimum=0, only=IMPLICIT)
    regularization: float = option(30.0, "implicit: L2 penalty", minimum=0, only=IMPLICIT)
    ratings: Literal["off", "weight"] = option(
        "off", "implicit: ignored, or weighing what was rated: the weight is 1 + alpha * rating / mean rating"
    )

    @property
    def has_steps(self) -> bool:
        """Of ratings it is."""
        return self.objective == "ratings"

    def check(self) -> None:
        """Raise InputError, with the reason, if options exclude each other."""
        if self.ratings == "weight" and self.objective == "ratings":
            raise InputError("--ratings=weight is for --objective=implicit; --objective=ratings predicts the ratings")


@dataclass(frozen=True, kw_only=True)
class BertConfig(TrainConfig):
    """A transformer encoder over the latest items, trained from scratch to predict the next one.

    By default it reads only backwards (causal, like SASRec): every item predicts the one after it. Bidirectional as
    BERT, with hidden items to be found from both sides, it is with --preset=bert4rec, or with --preset=paper, which is
    the paper's MiniBERT4Rec.
    """

    dim: int = option(
        0, "length of item vectors and hidden states; 0: 64, or 128 from 300,000 interactions on", minimum=0
    )
    block: Literal["auto", "hstu", "transformer"] = option(
        "auto",
        "encoder layers: gated sums with a bias by distance (HSTU), or attention and feed-forward block; auto: hstu "
        "from 3,000 users on, else transformer",
    )
    layers: int = option(0, "encoder layers; 0: two of hstu, one of transformer", minimum=0)
    heads: int = option(0, "attention heads; divides dim; 0: of 32 dimensions each", minimum=0)
    feedforward: int = option(256, "transformer: hidden width of the feed-forward blocks", minimum=1, only=TRANSFORMER)
    activation: Literal["relu", "gelu"] = option("gelu", "transformer: in the feed-forward blocks", only=TRANSFORMER)
    norm: Literal["post", "pre", "query"] = option(
        "pre",
        "transformer: layer norm after each block (as BERT), before it, or of the queries only (as SASRec's authors)",
        only=TRANSFORMER,
    )
    scale_embeddings: bool = option(False, "multiply the embedded items by the root of dim (as SASRec)")
    input_norm: bool = option(False, "layer norm of the embedded items with their positions (as BERT)")
    transform: bool = option(False, "a dense layer, GELU and layer norm between encoder and head (as BERT)")
    dropout: float | None = option(
        None, "in the encoder, below 1 (default: 0.2, or 0.5 where histories have fewer than 20 items)", minimum=0
    )
    input_dropout: float | None = option(None, "of the embedded items, below 1 (default: as in the encoder)", minimum=0)
    positions: Literal["none", "sinusoidal", "learned"] = option("learned", "added to the item vectors")
    head: Literal["separate", "tied"] = option("tied", "score items by a matrix of its own, or by their embeddings")
    codes: int = option(
        0,
        "parts of which each item's vector is put together, each one of 256 and a byte for each item, beside two bytes "
        "for a whole vector that they are added to (RecJPQ); divides dim; 0: a vector of its own",
        minimum=0,
    )
    item_bias: bool = option(True, "add a bias for each item, in a tied head starting at its log popularity")
    max_length: int = option(50, "recent items that the model reads", minimum=1)
    stride: int = option(25, "train on windows this far apart over the whole history; 0: the latest only", minimum=0)
    masking: Literal["one", "last", "cloze", "span", "recency", "causal"] = option(
        "causal", "what is predicted: one random item, the last, a share, a span, recent ones, or every next item"
    )
    mask_ratio: float | None = option(None, "share of hidden items: cloze, recency (default 0.2)", minimum=0)
    span_length: float | None = option(None, "mean length of a hidden span (default 3)", minimum=1)
    last_share: float = option(0.0, "share of the sequences in which only the last item is hidden", minimum=0)
    recency_decay: float | None = option(
        None, "recency: how much less likely each older item is hidden (default 0.8)", minimum=0
    )
    append_mask: bool = option(False, "read the next item at a mask token after the history, not at its last item")
    loss: Literal["softmax", "sampled", "gbce"] = option(
        "sampled", "over all items, over sampled ones with logQ correction, or generalised binary cross-entropy"
    )
    negatives: int = option(
        512, "sampled: drawn for a step; gbce: drawn for each target", minimum=1, only={"loss": ("sampled", "gbce")}
    )
    negative_power: float = option(
        0.5, "sampled: drawn in proportion to (count + 1) to this power", minimum=0, only={"loss": ("sampled",)}
    )
    unseen_negatives: bool = option(False, "gbce: draw only items that the user has not seen (as SASRec)")
    calibration: float = option(
        0.75, "gbce: t, from 0 (plain) to 1 (fully calibrated)", minimum=0, only={"loss": ("gbce",)}
    )
    ratings: Literal["off", "embedding", "weight"] = option(
        "off", "ignored, added to the input, or weighing the loss (and what --initial=ials starts from)"
    )
    initial: Literal["random", "mf", "ials", "ppmi", "ials+ppmi", "norms", "shuffled"] = option(
        "random",
        "item vectors: random, of a trained mf, of implicit ALS, of factorised transition PPMI, or half each; as "
        "controls only the norms of implicit ALS, or its vectors given to other items",
    )
    content: float = option(
        1.0,
        "--initial=ials: weight of genres, year and title words in it; 0: none",
        minimum=0,
        only={"initial": FROM_IALS},
    )
    mf: str = option("mf", "--initial=mf: name of the trained model to start from", only={"initial": ("mf",)})
    chain: int = option(
        0, "rank of a factorised Markov chain whose scores are added to the encoder's; 0: none", minimum=0
    )
    chain_decay: float = option(0.8, "chain: how much less each older item counts, up to 1", minimum=0, only=CHAIN)
    chain_power: float = option(
        0.2,
        "chain: singular values are raised to this power; below 1, rarer patterns count more",
        minimum=0,
        only=CHAIN,
    )
    chain_ease: float = option(
        0.7,
        "chain: weight of EASE's matrix beside the transitions', for up to 20,000 items; 0: none",
        minimum=0,
        only=CHAIN,
    )
    chain_weight: float | None = option(
        None,
        "chain: standard deviation of its scores over the items (default: found on validation)",
        minimum=0,
        only=CHAIN,
    )
    chain_initial: Literal["transitions", "random"] = option(
        "transitions", "chain: from the singular vectors of the transition matrix, or random"
    )
    chain_trained: bool = option(False, "train the chain with the encoder; else it joins the scores, not the loss")
    initial_std: float = option(0.1, "standard deviation of the initial item vectors", minimum=0)
    initial_weights: Literal["ours", "truncated", "glorot", "normal"] = option(
        "ours",
        "distribution of all initial weights: ours, a normal one cut at two deviations (as BERT), Glorot's uniform (as "
        "TensorFlow), or PyTorch's with normal tables",
    )
    perturbation: float = option(0.0, "standard deviation of the noise added to initial vectors", minimum=0)
    frozen_epochs: int = option(0, "first epochs in which the item embeddings stay fixed", minimum=0)
    epochs: int = option(
        0, "passes over the sequences, at most; 0: 100, or 20 where nothing is held out to end training by", minimum=0
    )
    epoch_steps: int = option(
        0, "steps of an epoch, after which is validated; 0: those of a pass over all sequences, up to 20,000", minimum=0
    )
    patience: int | None = option(
        None,
        "stop after so many epochs without a better validation NDCG, in the mean of three; 0: never (default: 10, or 5 "
        "from 300,000 interactions on)",
        minimum=0,
    )
    batch_size: int = option(0, "sequences in a step; 0: as many as hold about 800 items", minimum=0)
    optimizer: Literal["adamw", "adam"] = option("adamw", "decay of the weights beside the gradient, or in it")
    learning_rate: float = option(2e-3, "of the optimizer", minimum=0)
    schedule: Literal["constant", "linear", "cosine"] = option(
        "constant", "of the learning rate: as it is, or falling to 0 over all --epochs"
    )
    warm_up: int = option(0, "first steps, over which the learning rate grows", minimum=0)
    weight_decay: float = option(0.01, "of the optimizer", minimum=0)
    decay_all: bool = option(True, "weight decay also of biases and layer norms (BERT: not)")
    beta2: float = option(0.98, "of the optimizer, below 1", minimum=0)
    sparse_updates: Literal["auto", "on", "off"] = option(
        "auto",
        "update only the item vectors that a step reads, as if all had been, so that a step does not take longer where "
        "there are more items; auto: from 50,000 items on",
    )
    clip: float = option(5.0, "largest norm of a step's gradient; 0: unlimited", minimum=0)
    average: float = option(
        0.9998, "decay of a moving average of the weights, which is what is kept; 0: off", minimum=0
    )

    @property
    def solves_first(self) -> bool:
        """Whether its item vectors or its chain are solved for before its first epoch."""
        return self.initial != "random" or self.chain > 0

    @property
    def reads_items(self) -> bool:
        """Whether its start from implicit ALS does, or EASE in its chain."""
        return (self.initial in FROM_IALS and self.content > 0) or (self.chain > 0 and self.chain_ease > 0)

    @property
    def has_steps(self) -> bool:
        """It is."""
        return True

    @property
    def updates_rows(self) -> bool:
        """Whether --sparse-updates can be had: a step reads few items, and AdamW moves them."""
        found = (self.optimizer, self.loss, self.head, self.frozen_epochs)
        return found == ("adamw", "sampled", "tied", 0) and not self.codes and self.beta2 >= LEAST_BETA2

    def check(self) -> None:
        """Raise InputError, with the reason, if options exclude each other."""
        reason = next(conflicts(self), None)
        if reason is not None:
            raise InputError(reason)


@dataclass(frozen=True, kw_only=True)
class HybridConfig(BertConfig):
    """The transformer of `bert`, whose item vectors start from matrix factorization, beside a factorised Markov chain.

    As `bert` it reads only backwards by default; --preset=paper is the paper's, bidirectional and without the chain.
    """

    initial: Literal["random", "mf", "ials", "ppmi", "ials+ppmi", "norms", "shuffled"] = option(
        "ials",
        "item vectors: random, of a trained mf, of implicit ALS, of factorised transition PPMI, or half each; as "
        "controls only the norms of implicit ALS, or its vectors given to other items",
    )
    chain: int = option(
        256, "rank of a factorised Markov chain whose scores are added to the encoder's; 0: none", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class LinearConfig(TrainConfig):
    """An item-item model solved in closed form (`train.models.linear`)."""

    kind: Literal["knn", "markov", "ease", "content"] = "ease"  # no option: `train.kinds` sets it
    max_length: int = option(50, "recent items that the model reads", minimum=1)
    decay: float = option(0.8, "how much less each older item counts, up to 1", minimum=0)
    neighbours: int = option(300, "strongest neighbours kept of each item", minimum=1)
    lags: int = option(20, "markov: steps between an item and what follows it", minimum=1, only=MARKOV)
    lag_decay: float = option(0.85, "markov: how much less each further step counts", minimum=0, only=MARKOV)
    backward: float = option(0.3, "markov: weight of what came before, beside what follows", minimum=0, only=MARKOV)
    smoothing: float = option(100.0, "markov: added to each item's number of transitions", minimum=0, only=MARKOV)
    popularity: float = option(0.2, "markov: divide by popularity to this power", minimum=0, only=MARKOV)
    rank: int = option(
        0, "markov: keep the largest so many singular values; 0: all, unfactorised", minimum=0, only=MARKOV
    )
    power: float = option(
        0.3,
        "markov: with a rank, singular values are raised to this power",
        minimum=0,
        only=MARKOV | {"rank": ()},
    )
    ease: float = option(
        0.0, "markov: weight of EASE's matrix, brought to the same norm, beside the shares", minimum=0, only=MARKOV
    )
    locality: float = option(0.95, "ease: fading of co-occurrence with distance; 1 for Steck's", minimum=0, only=EASE)
    regularization: float = option(100.0, "ease: L2 penalty lambda", minimum=0, only=EASE)
    content: float = option(1.0, "ease: weight of genres, year and title words; 0: none", minimum=0, only=EASE)
    least_count: int = option(0, "ease: items rated less often have no weights", minimum=0, only=EASE)
    most_items: int = option(
        20_000, "ease, markov with a rank: refuse a larger dense matrix", minimum=1, only={"kind": ("ease", "markov")}
    )
    rare: int = option(
        5, "content: recommends items that at most so many users have rated", minimum=0, only={"kind": ("content",)}
    )

    @property
    def reads_items(self) -> bool:
        """Whether it is made of them, or EASE is."""
        return self.kind == "content" or (self.kind == "ease" and self.content > 0) or self.ease > 0

    def check(self) -> None:
        """Raise InputError, with the reason, if a value is out of range."""
        for name, value in (("decay", self.decay), ("lag-decay", self.lag_decay), ("locality", self.locality)):
            if not 0 < value <= 1:
                raise InputError(f"--{name} {value} is not above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class BestConfig(TrainConfig):
    """A weighted sum of other models' scores (`train.models.blend`)."""

    members: str = option("ease,markov,content,bert,hybrid", "trained models of the same table, separated by commas")
