"""Goals of training: reached and missed, by hand."""

from bench.report.convergence import reached_loss, reached_ndcg, scratch_loss
from tests.helpers.records import record


def test_goals_by_hand() -> None:
    curve = {
        "epoch": [1, 2, 3],
        "elapsed": [2.0, 4.0, 6.0],
        "validation_loss": [7.0, 6.0, 6.5],
        "ndcg": [0.1, 0.3, 0.4],
    }
    assert reached_ndcg(curve, 0.3) == (2, 4.0) and reached_ndcg(curve, 0.41) is None
    assert reached_loss(curve, 6.5) == (2, 4.0) and reached_loss(curve, 5.9) is None
    assert reached_loss(curve | {"validation_loss": [None]}, 6.0) is None and reached_loss(curve, None) is None
    scratch, hybrid = record(part="convergence", curve=curve), record(part="convergence", model="hybrid")
    assert scratch_loss([hybrid, scratch], hybrid) == 6.0
    assert scratch_loss([hybrid, scratch], record(run="another")) is None
