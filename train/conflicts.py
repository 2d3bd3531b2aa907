"""Options of transformers that exclude each other, and values that none can have.

In: a configuration. Out: a reason for each conflict, as a user reads it.

    next(conflicts(BertConfig(beta2=1.0)))  # "--beta2 1.0 is not below 1"
"""

from collections.abc import Iterator
from typing import Any

# Below it a row that is not read for long moves by a geometric series that grows: its ratio is 0.9 / sqrt(beta2).
LEAST_BETA2 = 0.9
MOST_DROPOUT = 0.999


def conflicts(config: Any) -> Iterator[str]:
    """Why a configuration cannot be trained; nothing if it can.

    config: a `train.config.BertConfig`, which asks this.
    """
    refused = {
        "dim": (
            config.heads and config.dim % config.heads,
            f"--dim {config.dim} is not a multiple of --heads {config.heads}",
        ),
        "dropout": (
            (config.dropout or 0) > MOST_DROPOUT,
            f"--dropout {config.dropout} is not below 1, or so near that nothing would be left",
        ),
        "input": (
            (config.input_dropout or 0) > MOST_DROPOUT,
            f"--input-dropout {config.input_dropout} is not below 1, or so near that nothing would be left",
        ),
        "beta2": (config.beta2 >= 1, f"--beta2 {config.beta2} is not below 1"),
        "average": (config.average >= 1, f"--average {config.average} is not below 1"),
        "ratio": (
            config.mask_ratio is not None and (config.masking not in ("cloze", "recency") or config.mask_ratio > 1),
            f"--mask-ratio {config.mask_ratio} is a share up to 1 for --masking cloze or recency, not {config.masking}",
        ),
        "span": (
            config.span_length is not None and config.masking != "span",
            f"--span-length is for --masking span; {config.masking} hides no spans",
        ),
        "recency": (
            config.recency_decay is not None and (config.masking != "recency" or not 0 < config.recency_decay <= 1),
            f"--recency-decay {config.recency_decay} weighs, from 0 to 1, which items --masking recency hides; "
            f"it cannot work with {config.masking}" + (", which hides none" if config.masking == "causal" else ""),
        ),
        "mask": (
            config.append_mask and config.masking == "causal",
            "--append-mask needs a mask token, which --masking causal never trains",
        ),
        "window": (config.append_mask and config.max_length < 2, "--append-mask needs --max-length of at least 2"),
        "frozen": (
            config.initial == "random" and config.frozen_epochs > 0,
            "--frozen-epochs with --initial random would hold meaningless item vectors fixed; give --initial",
        ),
        "perturbed": (
            config.initial == "random" and config.perturbation > 0,
            "--perturbation disturbs given vectors; --initial random has none",
        ),
        "chain": (
            config.chain and config.masking != "causal",
            f"--chain scores what follows an item; --masking {config.masking} also reads what comes after it: "
            "give --chain=0",
        ),
        "random chain": (
            config.chain and config.chain_initial == "random" and not config.chain_trained,
            "--chain-initial random adds meaningless scores unless they are trained: give --chain-trained",
        ),
        "no chain": (
            not config.chain and (config.chain_trained or config.chain_initial == "random"),
            "--chain-trained and --chain-initial do nothing without --chain: give its rank",
        ),
        "sparse": (
            config.sparse_updates == "on" and not config.updates_rows,
            "--sparse-updates=on is for --optimizer=adamw, --loss=sampled and --head=tied, without --frozen-epochs "
            f"and --codes, and for a --beta2 of at least {LEAST_BETA2}",
        ),
        "codes": (
            config.codes and config.dim % config.codes,
            f"--dim {config.dim} is not a multiple of --codes {config.codes}",
        ),
        "coded": (
            config.codes and (config.head, config.masking) != ("tied", "causal"),
            "--codes is for --head=tied and --masking=causal: a mask token and a head of its own have no codes",
        ),
        "coded chain": (
            config.codes and config.chain,
            f"--codes puts an item's vector together from few bytes, and --chain {config.chain} would add "
            f"{8 * config.chain:,} bytes to each: give --chain=0",
        ),
        "coded start": (
            config.codes and config.initial_weights == "glorot",
            "--codes has no --initial-weights glorot, which draws whole matrices",
        ),
        "decay": (not 0 < config.chain_decay <= 1, f"--chain-decay {config.chain_decay} is not above 0 and at most 1"),
        "max length": (
            config.max_length < 2,
            "--max-length 1 leaves an encoder a single item, of which no file is made: give 2 or more, or train "
            "markov with --lags=1",
        ),
        "calibration": (config.calibration > 1, f"--calibration {config.calibration} is above 1"),
        "last share": (
            config.last_share and (config.last_share > 1 or config.masking in ("causal", "last")),
            f"--last-share {config.last_share} is a share up to 1 of sequences that --masking one, cloze, span or "
            f"recency hides items in; found {config.masking}",
        ),
        "unseen": (
            config.unseen_negatives and config.loss != "gbce",
            f"--unseen-negatives is for --loss gbce, whose targets have negatives of their own; found {config.loss}",
        ),
        "initial": (
            config.initial_weights in ("truncated", "normal") and not config.initial_std,
            f"--initial-weights {config.initial_weights} needs an --initial-std above 0",
        ),
    }
    for wrong, reason in refused.values():
        if wrong:
            yield reason
