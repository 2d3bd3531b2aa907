"""Which worker gets which part, by hand."""

import pytest

from infer.cluster.queue import MOST_LOST, Queue
from infer.errors import InputError


def test_who_is_free_gets_the_next_part_so_that_a_slow_worker_takes_fewer() -> None:
    queue, taken = Queue(range(6)), {"fast": [], "slow": []}
    ends: dict[str, float] = {}
    for moment in range(12):  # a part takes one moment, or three
        for worker, seconds in (("fast", 1), ("slow", 3)):
            if ends.get(worker) == moment:
                taken[worker].append(queue.done(worker, moment))
                ends.pop(worker)
            if worker not in ends and queue.waiting:
                assert queue.take(worker, moment) is not None
                ends[worker] = moment + seconds
    assert taken == {"fast": [0, 2, 3, 4], "slow": [1, 5]} and not queue.left


def test_a_lost_part_is_the_next() -> None:
    queue = Queue(range(3))
    assert [queue.take("a", 0.0), queue.take("b", 0.0)] == [0, 1]
    queue.lost("a")
    assert queue.take("b2", 1.0) == 0 and queue.take("c", 1.0) == 2
    queue.lost("a")  # a second time changes nothing
    assert queue.take("d", 1.0) is None


def test_a_part_that_no_worker_survives_is_given_up() -> None:
    queue = Queue([7])
    for number in range(MOST_LOST - 1):
        queue.take(number, 0.0)
        queue.lost(number)
    queue.take("last", 0.0)
    with pytest.raises(InputError, match="3 workers were lost with part 7"):
        queue.lost("last")


def test_what_takes_unusually_long_is_given_to_a_second_worker_and_counts_once() -> None:
    queue = Queue(range(3))
    assert [queue.take(worker, 0.0) for worker in "abc"] == [0, 1, 2]
    assert queue.take("d", 100.0) is None, "nothing is known of how long is usual"
    assert [queue.done("a", 1.0), queue.done("b", 1.0)] == [0, 1]
    assert queue.take("a", 2.0) is None, "2 seconds are twice the usual, and not more"
    assert queue.take("a", 2.1) == 2
    assert queue.take("b", 9.0) is None, "two have it"
    assert queue.done("a", 3.0) == 2 and not queue.left
    assert queue.done("c", 4.0) is None


def test_the_loss_of_one_of_two_who_have_a_part_does_not_ask_for_a_third() -> None:
    queue = Queue(range(2))
    queue.take("a", 0.0), queue.take("b", 0.0)
    queue.done("a", 1.0)
    assert queue.take("a", 5.0) == 1
    queue.lost("b")
    assert not queue.waiting and queue.take("c", 5.5) is None
    assert queue.done("a", 6.0) == 1
