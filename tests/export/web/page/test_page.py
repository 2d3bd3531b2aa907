"""The page in a headless Chromium: Python's lists and reasons, by mouse and by keyboard, and nobody else is asked."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from export.web.runtime import pinned
from infer.recommender import Recommender
from tests.helpers.page import PAGE_TESTS, can_visit, served, visited

TITLES = ("Film 1005", "Film 1002", "Film 1009")
IDS = [1005, 1002, 1009]
K, REASONS = 5, 2


@pytest.fixture(scope="module")
def seen(web: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that is done with the page: a page takes seconds to open."""
    can_visit()
    with served(web) as (url, _), served(tmp_path_factory.mktemp("elsewhere")) as (elsewhere, asked):
        found = visited(
            url,
            check=None,
            chosen={"titles": TITLES, "category": "War"},
            keyboard="film 10",
            looks="film 1005",
            policy=elsewhere,
            tabs=TITLES,
            composing="film 1005",
            fails=TITLES,
            unstarted=None,
            wide="Toys & Games > " * 12,
        )
        return found | {"url": url, "asked elsewhere": asked}


@pytest.fixture(scope="module")
def chosen(seen: dict[str, Any]) -> dict[str, Any]:
    """What is seen when three films are chosen one after the other, filtered, reloaded and cleared."""
    return seen["chosen"]


def catalogue(web: Path) -> dict[str, Any]:
    (path,) = web.glob("*/catalogue.json")
    return json.loads(path.read_text())


def files_of(web: Path, models: Path) -> dict[str, Path]:
    """By label: the page's own file of mf, whose users are solved in it, and the hybrid as it was exported."""
    (mf,) = web.glob("*/models/mf/model.onnx")
    return {"Matrix factorisation": mf, "Hybrid": models / "hybrid.onnx"}


def assert_python_says(step: dict[str, Any], web: Path, models: Path, history: list[int], where: str = "") -> None:
    """The lists and reasons of one step are those of `Recommender.recommend`."""
    items = catalogue(web)
    for found in step["lists"]:
        rules = {"items_where": where, "items": models / "items.parquet"} if where else {}
        model = Recommender(files_of(web, models)[found["label"]])
        expected = model.recommend(history, k=K, reasons=REASONS, **rules)
        assert [items["ids"][place] for place in found["items"]] == expected["item"].cast(str).to_list()
        assert found["titles"] == [items["titles"][place] for place in found["items"]]
        for line, because in zip(found["because"], expected["because"], strict=True):
            names = [items["titles"][items["ids"].index(str(item))] for item in because]
            words = items["words"]
            assert line == (f"because you {words['chosen']} {' and '.join(names)}" if names else "")


def test_lists_and_reasons_are_those_of_python_after_each_choice(chosen: dict, web: Path, models: Path) -> None:
    assert [found["label"] for found in chosen["steps"][0]["lists"]] == ["Matrix factorisation", "Hybrid"]
    for number, step in enumerate(chosen["steps"], 1):
        assert_python_says(step, web, models, IDS[:number])
    # Some list has reasons, and the last step has other lists than the first.
    assert any("because you" in line for found in chosen["steps"][2]["lists"] for line in found["because"])
    assert chosen["steps"][0]["lists"] != chosen["steps"][2]["lists"]


def test_a_category_leaves_its_items_as_the_rules_of_python_do(chosen: dict, web: Path, models: Path) -> None:
    items = catalogue(web)
    assert items["categories"] == ["Comedy", "Drama", "War"]
    assert chosen["options"] == ["All categories", "Comedy (12)", "Drama (12)", "War (12)"]
    assert_python_says(chosen["filtered"], web, models, IDS, "genres like '%War%'")
    for found in chosen["filtered"]["lists"]:
        assert found["items"] and {items["of"][place][0] for place in found["items"]} == {2}


def test_what_was_chosen_is_kept_by_id_in_this_browser_until_it_is_cleared(chosen: dict) -> None:
    assert list(chosen["kept"].values()) == [json.dumps([str(item) for item in IDS], separators=(",", ":"))]
    for found, before in zip(chosen["reloaded"]["lists"], chosen["steps"][2]["lists"], strict=True):
        assert found["items"] == before["items"]
    assert chosen["after"] == {"status": chosen["before"], "kept": {}, "focus": "search"}
    assert chosen["nothing"] == "Nothing is called that" and chosen["within"].startswith("Film 1005 (1999)")
    assert chosen["before"] == "Choose an item, and recommendations appear here."


def test_it_asks_nobody_but_its_server_and_says_nothing_in_the_console(seen: dict, web: Path) -> None:
    own = urlsplit(seen["url"]).netloc
    asked = [urlsplit(address) for address in seen["seen"]["requests"]]
    assert {address.netloc for address in asked if address.scheme != "blob"} == {own}
    assert {address.query for address in asked} == {"", "check"}
    assert seen["seen"]["console"] == [] and seen["seen"]["errors"] == []
    # Whatever stands in the page's own files, no address of elsewhere is loaded or linked.
    (version,) = [folder for folder in web.iterdir() if folder.is_dir()]
    for path in [web / "index.html", *version.glob("*.js"), *version.glob("*.css")]:
        addresses = re.findall(r"https?://[^\s\"'`]*", path.read_text())
        assert all(address.startswith("http://localhost") for address in addresses), f"{path.name}: {addresses}"


def test_it_is_used_by_keyboard_alone(seen: dict) -> None:
    found = seen["keyboard"]
    assert found["first"]["id"] == "search" and found["stays"]["id"] == "search"
    expanded, selected, place = found["active"]
    assert (expanded, selected) == ("true", "true")
    assert found["one"]["history"] == [place]
    assert found["second"]["rank"] == 1 and found["second"]["model"] == "Matrix factorisation"
    assert found["two"]["history"] == [found["one"]["lists"][0]["items"][1], place]
    # The focus stays at the same rank of the list that has come, and in the history where something is left of it.
    assert (found["kept"]["rank"], found["kept"]["model"]) == (1, "Matrix factorisation")
    assert len(found["three"]["history"]) == 1 and found["last"]["chosen"] and found["closed"] == "false"


def test_the_policy_holds_in_the_page_and_in_its_worker(seen: dict) -> None:
    found = seen["policy"]
    assert found["page"] == "refused" and found["workers"] == ["refused"] and seen["asked elsewhere"] == []
    assert found["inline"] is False and found["handler"] is False


def test_every_golden_vector_passes_and_another_one_is_noticed(seen: dict, web: Path, tmp_path: Path) -> None:
    found = seen["check"]
    assert found["result"] == "pass" and len(found["cases"]) == 14 and found["axe"] == []
    assert all(line.startswith("Pass: ") for line in found["cases"]) and found["focus"] == "check-title"
    spoiled = shutil.copytree(web, tmp_path / "spoiled")
    (path,) = spoiled.glob("*/models/hybrid/contract.json")
    text = path.read_text()
    contract = json.loads(text)
    score = contract["golden"]["cases"][2]["scores"][0][0]
    changed = text.replace(json.dumps(score), json.dumps(-score))
    path.write_text(changed)
    (about,) = spoiled.glob("*/recommender.json")
    sizes = json.loads(about.read_text())
    sizes["files"]["models/hybrid/contract.json"] = len(changed.encode())
    about.write_text(json.dumps(sizes))
    with served(spoiled) as (url, _):
        found = visited(url, check=None)["check"]
    assert found["result"] == "fail"
    assert any(line.startswith("Fail: Hybrid, older items than the model reads: row 1") for line in found["cases"])


def test_it_fits_a_phone_is_dark_where_that_is_wanted_and_has_no_accessibility_violation(seen: dict) -> None:
    found = seen["looks"]
    for name in ("390 light", "390 dark", "1280 light", "1280 dark"):
        width = int(name.split()[0])
        assert found[name]["axe"] == [], name
        assert max(found[name]["widths"]) <= width, name
        brightness = sum(map(int, re.findall(r"\d+", found[name]["paper"])[:3]))
        assert brightness < 150 if name.endswith("dark") else brightness > 600, name


def test_tabs_of_one_browser_have_one_history(seen: dict) -> None:
    found = seen["tabs"]
    one, two, three = (f"{title} (1999)" for title in TITLES)
    assert found["both"] == [[two, one]] * 2
    assert found["left"] == [[three]] * 2, "what was cleared in one tab does not come back from another"


def test_a_failure_is_told_without_old_lists_until_a_question_is_answered(seen: dict) -> None:
    found = seen["fails"]
    assert found["failed"] == {"error": "This did not work: no memory is left", "status": "", "cards": 0}
    assert found["answered"]["error"] == "" and found["answered"]["cards"] > 0


def test_a_worker_that_cannot_start_is_told(seen: dict) -> None:
    assert seen["unstarted"].startswith("This did not work: ") and "no" in seen["unstarted"]


def test_a_long_category_does_not_widen_the_page(seen: dict) -> None:
    assert seen["wide"] <= 390


def test_enter_picks_characters_while_they_are_composed(seen: dict) -> None:
    assert seen["composing"] == {"during": 0, "then": 1}


def test_a_file_that_ends_early_and_file_addresses_are_told_in_one_line(web: Path, tmp_path: Path) -> None:
    can_visit()
    cut = shutil.copytree(web, tmp_path / "cut")
    (model,) = cut.glob("*/models/mf/model.onnx")
    size = model.stat().st_size
    model.write_bytes(model.read_bytes()[:-100])
    with served(cut) as (url, _):
        found = visited(url, broken=None)["broken"]
    ended = f"models/mf/model.onnx ended after {size - 100} of {size} bytes: reload the page"
    assert found["error"] == f"This did not work: {ended}" and found["app"] is False
    found = visited((web / "index.html").as_uri(), broken=None)["broken"]
    assert "python -m http.server" in found["error"] and found["app"] is False


def test_the_tests_run_the_packages_that_the_page_gets() -> None:
    stated = json.loads((PAGE_TESTS / "package.json").read_text())["dependencies"]
    assert {name: stated[name] for name in pinned()} == pinned()
