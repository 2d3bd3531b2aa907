"""What a request may ask for, and how much is done at once.

In: options of the command. Out: a `Limits`.

    Limits(max_k=100)
"""

from dataclasses import dataclass

MAX_REASONS = 10  # items of the history that an answer names with each recommendation


@dataclass(frozen=True)
class Limits:
    """What a request may ask for, and how much is done at once.

    max_body: bytes.  max_history: items.  max_k: items of a list.  max_rule: items that a rule may name.
    timeout: seconds for reading a body, and again for answering it.  workers: calls that run at once.  queue: further
    requests that wait; more are refused.
    """

    max_body: int = 2**20
    max_history: int = 10_000
    max_k: int = 1_000
    max_rule: int = 10_000
    timeout: float = 5.0
    workers: int = 1
    queue: int = 64
