"""The recipe for Redis in docs/cookbook.md, against a server: it is run as it stands there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infer.delivery.delivering import Delivery, deliver
from infer.delivery.targets import target_of
from tests.helpers.checkerboard import ROOT
from tests.helpers.published import PARTS, publish
from tests.helpers.servers import redis


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis(tmp_path_factory.mktemp("redis")) as place:
        yield place


@pytest.fixture
def store(address: str, monkeypatch) -> Any:
    client = pytest.importorskip("redis").Redis.from_url(address, decode_responses=True)
    client.flushall()
    monkeypatch.setenv("REDIS_URL", address)
    return client


def load(folder: Path, monkeypatch) -> None:
    """What the cookbook says, in a folder."""
    (script,) = re.findall(r"^```py\n(.*?)^```$", (ROOT / "docs" / "cookbook.md").read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(folder)
    exec(compile(script, "docs/cookbook.md", "exec"), {"__name__": "example"})


def found(store: Any) -> dict[int, list[int] | None]:
    """What a reader finds, by user."""
    texts = {user: store.get(f"lists:{store.get('lists:current')}:{user}") for user in (1, 2, 9)}
    return {user: None if text is None else json.loads(text) for user, text in texts.items()}


def test_a_night_takes_the_place_of_the_one_before_at_once(store: Any, tmp_path: Path, monkeypatch) -> None:
    lists, delivery = tmp_path / "l.parquet", Delivery(target_of(tmp_path / "web/lists.ndjson", ""), lists_as="lists")
    publish(lists, *PARTS)
    deliver(lists, delivery)
    load(tmp_path, monkeypatch)
    assert found(store) == {1: [30, 10], 2: [20, 10], 9: [30]}
    publish(lists, PARTS[1], run=1)
    deliver(lists, delivery)
    load(tmp_path, monkeypatch)
    assert found(store) == {1: None, 2: None, 9: [30]}
    assert store.get("lists:1:1") == "[30, 10]"  # for who has asked before
    load(tmp_path, monkeypatch)
    assert sorted(store.scan_iter("lists:*:*")) == ["lists:2:9", "lists:3:9"]


def test_a_load_that_fails_changes_nothing_and_is_cleared_up(store: Any, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "web").mkdir()
    file = tmp_path / "web" / "lists.ndjson"
    many = "".join(f'{{"user": {user}, "items": [7]}}\n' for user in range(2500))
    file.write_text(many)
    load(tmp_path, monkeypatch)
    file.write_text(many + "{")
    with pytest.raises(json.JSONDecodeError):
        load(tmp_path, monkeypatch)
    assert store.get("lists:current") == "1" and store.exists("lists:2:0")
    file.write_text(many)
    load(tmp_path, monkeypatch)
    assert found(store) == {1: [7], 2: [7], 9: [7]} and not store.exists("lists:2:0")
    assert sum(1 for _ in store.scan_iter("lists:*:*")) == 5000
