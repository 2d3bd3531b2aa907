"""The options of scoring on a Ray cluster, and addresses where there is none."""

import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

from infer.batch import BatchConfig
from infer.cluster import joining
from infer.cluster.joining import joined, prepare
from infer.cluster.options import GIB, Cluster
from infer.errors import InputError


def config(**options) -> BatchConfig:
    return BatchConfig(model=Path("m.onnx"), **options)


def test_one_process_is_the_default_and_takes_no_option_of_a_cluster() -> None:
    assert config().cluster("cpu", 0) is None
    for options in ({"address": "a:1"}, {"workers": 2}, {"worker_cores": 2}, {"worker_memory": 1.0}):
        name = next(iter(options)).replace("_", "-")
        with pytest.raises(InputError, match=f"--{name} is of a Ray cluster: give --engine=ray, too"):
            config(**options).cluster("cpu", 0)


def test_a_worker_takes_what_is_said_or_what_follows_from_the_model() -> None:
    assert config(engine="ray").cluster("cuda", 0) == Cluster(device="cuda")
    assert Cluster().memory_for(100 * 2**20) == 512 * 2**20 + 400 * 2**20
    assert Cluster().memory_for(100 * 2**20, beside=2 * GIB) == 512 * 2**20 + 400 * 2**20 + 2 * GIB
    assert config(engine="ray", worker_memory=1.5).cluster("cpu", 0).memory_for(10) == int(1.5 * GIB)
    with pytest.raises(InputError, match="--threads is of one process: with --engine=ray give --worker-cores"):
        config(engine="ray").cluster("cpu", 2)


def test_what_ray_is_told_by_its_own_variable_holds_unless_an_address_is_given(monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    found = config(engine="ray").cluster("cpu", 0)
    assert found == Cluster("127.0.0.1:1", said="RAY_ADDRESS")
    with pytest.raises(InputError, match=r"^RAY_ADDRESS 127.0.0.1:1: no Ray cluster is there"), joined(found):
        raise AssertionError("joined")
    assert config(engine="ray", address="a:2").cluster("cpu", 0) == Cluster("a:2")
    assert config(engine="ray", address="local").cluster("cpu", 0) == Cluster(None)
    monkeypatch.setenv("RAY_ADDRESS", "ray://a:10001")
    found = config(engine="ray").cluster("cpu", 0)
    with pytest.raises(InputError, match=r"^RAY_ADDRESS is HOST:PORT of a Ray cluster"), joined(found):
        raise AssertionError("joined")
    assert config().cluster("cpu", 0) is None, "one process is not on a cluster"


@pytest.mark.parametrize("place", ["--model=s3://shop/m.onnx", "--output=s3://shop/m.topk.parquet"])
def test_a_cluster_works_in_folders(place: str, run) -> None:
    words = ["--model=m.onnx", "--output=m.topk.parquet", "--engine=ray", place]
    found = run("infer.batch", *(word for word in words if word == place or word[:5] != place[:5]))
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.endswith("model and lists are in folders that all machines see: give paths, not addresses\n")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (
            "127.0.0.1:1",
            r"no Ray cluster is there that can be joined \(Connection refused\); one that asks for",
        ),
        ("nowhere", "is HOST:PORT of a Ray cluster, or auto; found 'nowhere'"),
        ("ray://a:1", "is HOST:PORT"),
        ("a:b", "is HOST:PORT"),
        ("a..b:6379", "no Ray cluster is there that can be joined .it is no name of a machine"),
    ],
)
def test_an_address_without_a_cluster_is_refused_at_once(address: str, says: str) -> None:
    with pytest.raises(InputError, match=says), joined(Cluster(address=address)):
        raise AssertionError("joined")


def test_where_ray_is_not_installed_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine=ray needs Ray: pip install '.*\[ray\]'"):
        prepare(Cluster())


@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray (the extra `ray`)")
def test_what_listens_and_is_no_cluster_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr(joining, "ANSWERS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(InputError, match="no answer within 2 s"):
        joining.check_address(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.skipif(find_spec("ray") is None or not socket.has_ipv6, reason="needs Ray (the extra `ray`) and IPv6")
def test_an_address_in_brackets_is_one_of_ipv6(monkeypatch) -> None:
    monkeypatch.setattr(joining, "ANSWERS", 2.0)
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("there is no ::1 here")
    with server, pytest.raises(InputError, match="no answer within 2 s"):
        joining.check_address(f"[::1]:{server.getsockname()[1]}")
