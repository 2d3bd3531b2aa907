"""Where data sets come from: folders, a mirror on this machine, and the wheel of the package index."""

import hashlib
import io
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from infer.errors import InputError
from train.data import sources
from train.data.prepare import DataConfig, load

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.0,100\n1,11,3.5,101\n1,12,5.0,102\n"
MOVIES = 'movieId,title,genres\n10,"One, The (1999)",Drama|War\n11,Two,(no genres listed)\n12,Three,War\n'
GOOD = {"ml-latest-small/ratings.csv": RATINGS, "ml-latest-small/movies.csv": MOVIES}


def archive(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, text in members.items():
            opened.writestr(name, text)
    return buffer.getvalue()


class Mirror:
    """An HTTP server that offers what is in its folder and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, []
        mirror = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *words) -> None:
                mirror.asked.append(self.path)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch):
    monkeypatch.delenv(sources.DATA_DIR_VARIABLE, raising=False)
    folder = tmp_path / "mirror"
    folder.mkdir()
    made = Mirror(folder)
    yield made
    made.server.shutdown()


def offer(mirror: Mirror, content: bytes, monkeypatch, digest: str | None = None) -> None:
    """Put an archive on the mirror and expect its digest (or another one)."""
    (mirror.folder / "ml-latest-small.zip").write_bytes(content)
    expected = digest or "sha256:" + hashlib.sha256(content).hexdigest()
    source = sources.Source(expected, "ratings.csv", "movies.csv")
    monkeypatch.setitem(sources.SOURCES, "ml-latest-small", source)


def test_an_archive_is_downloaded_checked_and_cached(mirror, tmp_path: Path, monkeypatch) -> None:
    offer(mirror, archive(GOOD), monkeypatch)
    for _ in range(2):
        found = sources.locate("ml-latest-small", None, tmp_path / "cache", mirror.url)
        assert found.ratings.read_text() == RATINGS and found.items.read_text() == MOVIES
    assert mirror.asked == ["/ml-latest-small.zip"]


def test_a_file_that_is_there_already_is_not_replaced_by_the_archive(mirror, tmp_path: Path, monkeypatch) -> None:
    offer(mirror, archive(GOOD), monkeypatch)
    own = tmp_path / "cache" / "ml-latest-small" / "ratings.csv"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    found = sources.locate("ml-latest-small", None, tmp_path / "cache", mirror.url)
    assert found.ratings == own and own.read_text() == "mine" and found.items.is_file()


def test_an_archive_with_another_digest_is_not_used(mirror, tmp_path: Path, monkeypatch) -> None:
    offer(mirror, archive(GOOD), monkeypatch, digest="sha256:" + "0" * 64)
    for _ in range(2):
        with pytest.raises(InputError, match="is not the expected archive"):
            sources.locate("ml-latest-small", None, tmp_path / "cache", mirror.url)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_what_an_archive_says_of_paths_is_ignored(mirror, tmp_path: Path, monkeypatch) -> None:
    offer(mirror, archive(GOOD | {"../evil": "x", "/tmp/evil-of-an-archive": "x"}), monkeypatch)
    sources.locate("ml-latest-small", None, tmp_path / "cache", mirror.url)
    names = sorted(p.name for p in tmp_path.rglob("*") if p.is_file() and "mirror" not in p.parts)
    assert names == ["ml-latest-small.zip", "movies.csv", "ratings.csv"]
    assert not Path("/tmp/evil-of-an-archive").exists()


def test_an_incomplete_or_damaged_archive_is_refused(mirror, tmp_path: Path, monkeypatch) -> None:
    for number, content in enumerate((archive({"ml-latest-small/movies.csv": MOVIES}), b"no archive")):
        offer(mirror, content, monkeypatch)
        with pytest.raises(InputError, match="is damaged or incomplete"):
            sources.locate("ml-latest-small", None, tmp_path / f"cache{number}", mirror.url)


def test_a_server_that_cannot_help_is_named_with_the_way_out(mirror, tmp_path: Path) -> None:
    for url, reason in ((mirror.url, "HTTP 404"), ("http://127.0.0.1:9", "it cannot be reached")):
        with pytest.raises(sources.Unreachable, match=reason) as caught:
            sources.locate("ml-1m", None, tmp_path / "cache", url)
        assert "--mirror=URL" in str(caught.value) and "--data-dir=FOLDER" in str(caught.value)


def test_the_password_of_a_mirror_is_not_shown(mirror, tmp_path: Path, monkeypatch, capsys) -> None:
    offer(mirror, b"another", monkeypatch, digest="sha256:" + "0" * 64)
    for url, reason in ((mirror.url, "is not the expected archive"), ("http://127.0.0.1:9", "cannot be reached")):
        place = url.replace("http://", "http://me:hush@")
        with pytest.raises(InputError, match=reason) as caught:
            sources.locate("ml-latest-small", None, tmp_path / "cache", place)
        assert f"{url}/ml-latest-small.zip" in str(caught.value) and "hush" not in str(caught.value)
    errors = capsys.readouterr().err
    assert f"downloading {mirror.url}/ml-latest-small.zip" in errors and "hush" not in errors


def test_a_data_folder_is_used_before_any_download(mirror, tmp_path: Path, monkeypatch, capsys) -> None:
    folder = tmp_path / "data" / "ml-latest-small"
    folder.mkdir(parents=True)
    (folder / "ratings.csv").write_text(RATINGS)
    (folder / "movies.csv").write_text(MOVIES)
    for stated in (tmp_path / "data", folder):
        assert sources.locate("ml-latest-small", stated, tmp_path / "cache", mirror.url).ratings.parent == folder
    monkeypatch.setenv(sources.DATA_DIR_VARIABLE, str(tmp_path / "data"))
    assert sources.locate("ml-latest-small", None, tmp_path / "cache", mirror.url).ratings.parent == folder
    assert mirror.asked == []
    with pytest.raises(sources.Unreachable):
        sources.locate("ml-1m", None, tmp_path / "cache", mirror.url)
    assert "data holds no ml-1m (ml-1m/ratings.dat and movies.dat)" in capsys.readouterr().err
    with pytest.raises(InputError, match="does not exist"):
        sources.locate("ml-1m", tmp_path / "nowhere", None, mirror.url)


def test_a_stated_folder_comes_before_that_of_the_environment_and_has_the_name_of_the_set(
    tmp_path: Path, monkeypatch
) -> None:
    for name in ("one/ml-latest-small", "two/ml-latest-small", "two/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "ratings.csv").write_text(RATINGS)
        (tmp_path / name / "movies.csv").write_text(MOVIES)
    monkeypatch.setenv(sources.DATA_DIR_VARIABLE, str(tmp_path / "one"))
    found = sources.locate("ml-latest-small", tmp_path / "two", None, None)
    assert found == sources.Found("ml-latest-small", *(found.ratings.parent / n for n in ("ratings.csv", "movies.csv")))
    assert found.ratings.parent == tmp_path / "two" / "ml-latest-small"
    # Ratings in a folder of another name are not said to be this set.
    assert sources.in_folder("ml-latest-small", tmp_path / "two" / "other") is None
    (tmp_path / "two" / "ml-latest-small" / "movies.csv").unlink()
    assert sources.in_folder("ml-latest-small", tmp_path / "two") is None


def test_certificates_are_verified_and_grouplens_is_asked_unless_a_mirror_is_named(tmp_path: Path, monkeypatch) -> None:
    asked = []

    def retrieve(url: str, digest: str, **options):
        asked.append((url, digest, options["fname"], options["path"], options["downloader"].kwargs))
        raise requests.exceptions.SSLError

    monkeypatch.delenv(sources.DATA_DIR_VARIABLE, raising=False)
    monkeypatch.setattr(sources.pooch, "retrieve", retrieve)
    for mirror in (None, "http://m"):
        with pytest.raises(sources.Unreachable, match="its TLS certificate is not valid"):
            sources.locate("ml-1m", None, tmp_path, mirror)
    urls = ["https://files.grouplens.org/datasets/movielens/ml-1m.zip", "http://m/ml-1m.zip"]
    digest = sources.SOURCES["ml-1m"].digest
    assert asked == [(url, digest, "ml-1m.zip", tmp_path, {"timeout": 20}) for url in urls]


def test_every_set_has_a_digest_that_nobody_can_forge_by_chance_and_files_of_its_layout() -> None:
    for name, source in sources.SOURCES.items():
        kind, digits = source.digest.split(":")
        assert len(bytes.fromhex(digits)) == {"sha256": 32, "md5": 16}[kind], name
    assert len({source.digest for source in sources.SOURCES.values()}) == len(sources.SOURCES)


INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t4\t100\n1\t11\t3\t101\n1\t12\t5\t102\n"
ITEM = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n10\tOne\t1999\tDrama War\n"
ITEM += "11\tTwo\t\tWar\n"  # of unknown year


@pytest.fixture
def pip(monkeypatch):
    """Stand in for pip: it 'downloads' this wheel, or fails."""
    wheel = archive({f"{sources.RECBOLE_FOLDER}/ml-100k.inter": INTER, f"{sources.RECBOLE_FOLDER}/ml-100k.item": ITEM})
    state = SimpleNamespace(calls=[], wheel=wheel, fails=False)
    monkeypatch.setattr(sources, "RECBOLE_SHA256", hashlib.sha256(wheel).hexdigest())

    def run(command, **options):
        state.calls.append(command)
        if not state.fails:
            Path(command[command.index("--dest") + 1], "recbole-1.2.1-py3-none-any.whl").write_bytes(state.wheel)
        return SimpleNamespace(returncode=int(state.fails), stderr="ERROR: No matching distribution\n")

    monkeypatch.setattr(sources.subprocess, "run", run)
    return state


def test_the_wheel_is_fetched_by_pip_without_dependencies_and_cached(pip, tmp_path: Path) -> None:
    for _ in range(2):
        found = sources.from_package_index(tmp_path)
        assert found.name == "ml-100k (RecBole 1.2.1)" and found.ratings.read_text() == INTER
    assert len(pip.calls) == 1
    assert pip.calls[0][1:4] == ["-m", "pip", "download"]
    assert "--no-deps" in pip.calls[0] and pip.calls[0][-1] == "recbole==1.2.1"


def test_a_source_package_in_the_wheels_place_is_not_built(tmp_path: Path, monkeypatch) -> None:
    shelf, sign = tmp_path / "shelf", tmp_path / "ran"
    shelf.mkdir()
    backend = f"open({str(sign)!r}, 'w').close()"
    settings = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    with tarfile.open(shelf / "recbole-1.2.1.tar.gz", "w:gz") as packed:
        for name, text in (("own.py", backend), ("pyproject.toml", settings), ("PKG-INFO", "Name: recbole\n")):
            member = tarfile.TarInfo(f"recbole-1.2.1/{name}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    with pytest.raises(sources.Unreachable, match=r"pip cannot download recbole==1\.2\.1"):
        sources.from_package_index(tmp_path / "cache")
    assert not sign.exists(), "nothing of it ran"


def test_another_wheel_is_refused_and_a_failing_pip_is_quoted(pip, tmp_path: Path) -> None:
    pip.wheel += b"tampered"
    with pytest.raises(InputError, match="not used"):
        sources.from_package_index(tmp_path)
    pip.fails = True
    with pytest.raises(sources.Unreachable, match="No matching distribution"):
        sources.from_package_index(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_default_falls_back_and_says_so_in_one_line(pip, mirror, tmp_path: Path, capsys) -> None:
    options = {"cache_dir": tmp_path / "cache", "mirror": mirror.url}
    name, found, items = load(DataConfig(**options))
    assert name == "ml-100k (RecBole 1.2.1)" and found.interactions.height == 3
    assert found.interactions.rows() == [(1, 10, 100, 4.0), (1, 11, 101, 3.0), (1, 12, 102, 5.0)]
    assert items.table.rows() == [(10, "One (1999)", "Drama|War"), (11, "Two", "War")]
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 1 and "ml-latest-small" in warnings[0] and "MovieLens 100K" in warnings[0]
    assert load(DataConfig(dataset="ml-100k", **options))[0] == "ml-100k (RecBole 1.2.1)"
    with pytest.raises(sources.Unreachable):
        load(DataConfig(dataset="ml-latest-small", **options))
