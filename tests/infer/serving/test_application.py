"""The service through a test client: answers are the Python API's, and whatever is asked gets a clear one."""

import gzip
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import polars as pl
import pytest

import infer
from infer.errors import InputError
from infer.serving import answers
from infer.serving.limits import Limits

Client = Callable[..., object]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def model(publishing: Path) -> infer.Recommender:
    return infer.load(publishing / "hybrid.onnx", threads=1)


def same(answer, rows: pl.DataFrame) -> bool:
    assert answer.status_code == 200, answer.text
    return answer.json()["items"] == rows.to_dicts()


def problem(answer, status: int, detail: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["status"] == status and detail in answer.json()["detail"], answer.text


def test_a_history_gets_the_list_of_the_python_api(client: Client, model: infer.Recommender) -> None:
    asked = client()
    history = [1001, 1003, 1005]
    answer = asked.post("/v1/recommend", json={"history": history, "k": 4})
    assert same(answer, model.recommend(history, 4))
    assert answer.json()["name"] == "hybrid" and answer.json()["version"] == model.model.checksum
    assert same(asked.post("/v1/recommend", json={"history": history, "model": "hybrid"}), model.recommend(history))


def test_rules_and_reasons_are_those_of_the_python_api(client: Client, model: infer.Recommender) -> None:
    asked, history = client(), [1001, 1003, 1005]
    for rules in (
        {"only_items": [1002, 1004, 9999]},
        {"exclude_items": [1007]},
        {"seen": "keep"},
        {"seen": "only", "exclude_items": [1001]},
    ):
        assert same(asked.post("/v1/recommend", json={"history": history} | rules), model.recommend(history, **rules))
    new = {"exclude_items": [9999], "boost": [{"item": 9999, "weight": 2}]}  # items that the model does not know yet
    for rules in (new, {"exclude_items": [], "boost": []}, {"exclude_items": ["new"]}):
        assert same(asked.post("/v1/recommend", json={"history": history} | rules), model.recommend(history))
    kept = {"only_items": [1002, 1004]}
    assert same(asked.post("/v1/recommend", json={"history": history} | kept | new), model.recommend(history, **kept))
    near = asked.post("/v1/similar", json={"item": 1001, "exclude_items": [9999]})
    assert same(near, model.similar(1001).rename({"similar_item": "item"}))
    boosts = [{"item": 1002, "weight": 5.0}, {"item": 1004, "add": -2}]
    lifted = model.recommend(history, boost=pl.DataFrame({"item": [1002, 1004], "weight": [5.0, 1], "add": [0.0, -2]}))
    assert same(asked.post("/v1/recommend", json={"history": history, "boost": boosts}), lifted)
    found = asked.post("/v1/recommend", json={"history": history, "reasons": 2})
    assert same(found, model.recommend(history, reasons=2))
    assert all(set(row["because"]) <= set(history) for row in found.json()["items"])


def test_fractions_after_a_hundred_whole_numbers_stay_fractions(client: Client, model: infer.Recommender) -> None:
    asked, history = client(), [1001, 1003, 1005]
    best = model.recommend(history)["item"][0]
    whole = [{"item": item, "weight": 1, "add": 0} for item in range(5001, 5101)]  # unknown, each said and left out
    for boost in ({"add": 0.5}, {"weight": 1.9}, {"weight": 0.5}):
        lifted = model.recommend(history, boost=pl.DataFrame({"item": [best]} | {key: [v] for key, v in boost.items()}))
        found = asked.post("/v1/recommend", json={"history": history, "boost": [*whole, {"item": best} | boost]})
        assert same(found, lifted) and not lifted.equals(model.recommend(history))


def test_similar_items_are_those_of_the_python_api(client: Client, model: infer.Recommender) -> None:
    asked = client()
    expected = model.similar(1001, 3).rename({"similar_item": "item"})
    assert same(asked.post("/v1/similar", json={"item": 1001, "k": 3}), expected)
    first = expected["item"][0]
    expected = model.similar(1001, 3, exclude_items=[first]).rename({"similar_item": "item"})
    assert same(asked.post("/v1/similar", json={"item": 1001, "k": 3, "exclude_items": [first]}), expected)


def test_a_user_gets_the_published_list(client: Client, publishing: Path) -> None:
    asked = client()
    lists = pl.read_parquet(publishing / "hybrid.topk.parquet" / "*.parquet")
    for user in lists["user"].unique():
        rows = lists.filter(user=user).sort("rank").drop("user")
        assert same(asked.get(f"/v1/users/{user}"), rows)
    assert same(asked.get("/v1/users/101?k=2&lists=hybrid"), lists.filter(user=101).sort("rank").drop("user").head(2))
    for user in ("1", "0101", "101.0", "١٠١", "%20", "a/b", "9" * 30, "%00"):
        problem(asked.get(f"/v1/users/{user}"), 404, "none for this user")
    problem(asked.get("/v1/users/101?lists=other"), 404, "no lists of this name")
    for k in ("0", "-1", "x", "1001", "²", "1" * 5000, ""):
        problem(asked.get("/v1/users/101", params={"k": k}), 422, "whole number from 1 to 1000")


def test_what_is_served_is_told(client: Client, model: infer.Recommender) -> None:
    told = client().get("/v1/models").json()
    assert [(m["name"], m["histories"], m["similar"], m["items"]) for m in told["models"]] == [
        ("hybrid", True, True, 24),
        ("mf", False, True, 24),
    ]
    assert told["models"][0]["version"] == model.model.checksum
    assert told["lists"] == [{"name": "hybrid", "version": "000001", "users": 40}]


@pytest.mark.parametrize(("body", "status", "detail"), [
    ('{"history": [1, 2]}', 404, "knows no item of the history"),
    ('{"history": ["x"]}', 404, "knows no item of the history"),
    ('{"history": [1001], "model": "best"}', 404, "no model of this name"),
    ('{"history": [1001], "only_items": [7]}', 404, "knows no item of a rule"),
    ('{"history": [1001], "model": "mf"}', 422, "not from histories"),
    ('{"history": [1001], "only_items": [1002], "exclude_items": [1002]}', 422, "leave no item"),
    ('{"history": [1001], "boost": [{"item": 1002}, {"item": 1002}]}', 422, "names an item twice"),
    *((body, 422, "not what this path takes") for body in (
        "", "{", "null", "[]", "7", '{"history": []}', '{"history": [1001, "a"]}', '{"history": [1.5]}',
        '{"history": [true]}', '{"history": [null]}', '{"history": 1001}', '{"history": "1001"}',
        '{"history": [9223372036854775808]}', '{"history": [1001], "k": 0}', '{"history": [1001], "k": 1001}',
        '{"history": [1001], "k": "3"}', '{"history": [1001], "reasons": 11}', '{"history": [1001], "seen": "all"}',
        '{"history": [1001], "unknown": 1}', '{"history": [1001], "only_items": "/etc/passwd"}',
        '{"history": [1001], "items_where": "true"}', '{"history": [1001], "boost": [{"item": 1002, "weight": NaN}]}',
        '{"history": [1001], "boost": [{"item": 1002, "weight": 0}]}',
        '{"history": [1001], "boost": [{"item": 1002, "add": 1' + "0" * 400 + "}]}", '{"history": ' + "[" * 100_000,
        '{"history": [1001], "x": ' + '{"a":' * 100_000, '{"history": ["\\ud800"]}', "\udcff",
    )),
])  # fmt: skip
def test_what_cannot_be_used_is_a_clear_answer(client: Client, body: str, status: int, detail: str) -> None:
    content = body.encode(errors="surrogateescape")
    problem(client().post("/v1/recommend", content=content, headers=JSON), status, detail)


def test_errors_say_where_and_give_nothing_away(client: Client, publishing: Path) -> None:
    answer = client().post("/v1/recommend", json={"history": [1001], "k": 0, "boost": [{"item": 1, "weight": "x"}]})
    assert {error["at"] for error in answer.json()["errors"]} >= {"/k", "/boost/0/weight"}
    for text in ("pydantic", "starlette", "Traceback", str(publishing), ".onnx", "/tmp", "http"):
        assert text not in answer.text
    for history, place, detail in (([1001, 2**63], 1, "less than"), (["a", 3], 1, "valid string")):
        [error] = client().post("/v1/recommend", json={"history": history}).json()["errors"]
        assert error["at"] == f"/history/{place}" and detail in error["detail"], "of the kind that the list begins with"
    [error] = client().post("/v1/recommend", json=[1]).json()["errors"]
    assert error["at"] == "", "which is the whole of a body, by RFC 6901"
    many = client().post("/v1/recommend", json={"history": [None] * 5000, "k": "x"})
    assert len(many.json()["errors"]) <= 10


def test_limits_of_a_request_hold(client: Client) -> None:
    asked = client(Limits(max_body=300, max_history=5, max_k=7))
    assert asked.post("/v1/recommend", json={"history": [1001] * 5, "k": 7}).status_code == 200
    for ids in ([1001] * 6, ["a"] * 6, [1001] * 30):
        refused = asked.post("/v1/recommend", json={"history": ids})
        problem(refused, 422, "not what this path takes")
        [error] = refused.json()["errors"]
        assert error["at"] == "/history" and "at most 5 items" in error["detail"], "not of the other kind of ids"
    problem(asked.post("/v1/recommend", json={"history": [1001], "k": 8}), 422, "not what this path takes")
    problem(asked.post("/v1/recommend", content=b" " * 301, headers=JSON), 413, "at most 300 bytes")
    pieces = (b" " * 100 for _ in range(10_000))  # without a length
    problem(asked.post("/v1/recommend", content=pieces, headers=JSON), 413, "at most 300 bytes")
    problem(asked.post("/v1/recommend", content=b"{}", headers={"Content-Type": "text/plain"}), 415, "application/json")
    packed = asked.post("/v1/recommend", content=gzip.compress(b"{}"), headers=JSON | {"Content-Encoding": "gzip"})
    problem(packed, 415, "not packed")
    problem(asked.get("/nothing"), 404, "nothing at this path")
    problem(asked.get("/v1/models/"), 404, "nothing at this path")
    refused = asked.get("/v1/recommend")
    problem(refused, 405, "other methods")
    assert refused.headers["allow"] == "POST"


def test_more_requests_than_may_wait_are_refused_and_slow_answers_end(client: Client, monkeypatch) -> None:
    begun, real = threading.Event(), answers.recommended

    def waiting(*given):
        begun.wait(60)
        return real(*given)

    monkeypatch.setattr(answers, "recommended", waiting)
    with client(Limits(workers=1, queue=2, timeout=60)) as asked, ThreadPoolExecutor(12) as pool:
        found = [pool.submit(asked.post, "/v1/recommend", json={"history": [1001]}) for _ in range(12)]
        refused = [answer.result() for answer in islice(as_completed(found), 9)]
        begun.set()
        statuses = sorted(answer.result().status_code for answer in found)
    assert statuses == [200] * 3 + [503] * 9
    problem(refused[0], 503, "too many requests wait")
    assert {answer.status_code for answer in refused} == {503} and refused[0].headers["retry-after"] == "1"
    begun.clear()
    with client(Limits(timeout=0.05)) as asked:
        problem(asked.post("/v1/recommend", json={"history": [1001]}), 503, "took too long")
        begun.set()


def test_what_nobody_foresaw_is_one_line_and_503(client: Client, monkeypatch, capsys) -> None:
    def broken(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(answers, "recommended", broken)
    answer = client().post("/v1/recommend", json={"history": [1001]})
    problem(answer, 503, "cannot be answered")
    assert "secret" not in answer.text and capsys.readouterr().err == "recommend failed: ZeroDivisionError\n"


def test_a_score_that_is_no_number_is_the_models_fault(client: Client, served, monkeypatch, capsys) -> None:
    def fails(*_, **__):
        raise InputError("/a/path/hybrid.onnx gives this history a NaN or infinite score")

    monkeypatch.setattr(served.models["hybrid"].thing, "best", fails, raising=False)
    answer = client().post("/v1/recommend", json={"history": [1001]})
    problem(answer, 503, "the model cannot answer")
    assert "path" not in answer.text and "NaN" in capsys.readouterr().err


def test_without_the_token_only_probes_answer(client: Client) -> None:
    asked = client(token="0123456789abcdef")
    paths = ("/v1/models", "/v1/users/101", "/metrics", "/openapi.json", "/nothing")
    for given in ("", "Bearer", "Bearer 0123456789abcdeF", "Basic 0123456789abcdef", "Bearer é"):
        for path in paths:
            answer = asked.get(path, headers={"Authorization": given.encode("latin-1")} if given else {})
            problem(answer, 401, "a token is needed")
            assert answer.headers["www-authenticate"] == "Bearer"
    assert asked.get("/health/live").status_code == asked.get("/health/ready").status_code == 200
    for path in paths[:-1]:
        assert asked.get(path, headers={"Authorization": "Bearer 0123456789abcdef"}).status_code == 200
    assert asked.get("/openapi.json", headers={"Authorization": "bearer 0123456789abcdef"}).json()["security"]


def test_figures_count_requests_by_path_and_status(client: Client) -> None:
    asked = client()
    asked.get("/v1/users/101")
    asked.get("/v1/users/102")
    asked.get("/v1/users/nobody")
    asked.get("/" + "x" * 50)
    text = asked.get("/metrics").text
    assert 'recommender_requests_total{path="user",status="200"} 2.0' in text
    assert 'recommender_requests_total{path="user",status="404"} 1.0' in text
    assert 'recommender_requests_total{path="other",status="404"} 1.0' in text
    assert 'recommender_request_seconds_count{path="user"} 3.0' in text
    assert "recommender_requests_in_progress 1.0" in text


def test_the_description_states_the_limits_in_force(client: Client) -> None:
    told = client(Limits(max_k=7, max_history=5)).get("/openapi.json").json()
    fields = told["components"]["schemas"]["RecommendRequest"]["properties"]
    assert fields["k"]["maximum"] == 7 and {kind["maxItems"] for kind in fields["history"]["anyOf"]} == {5}
    assert json.dumps(told).count('"500"') == 0 and "security" not in told
