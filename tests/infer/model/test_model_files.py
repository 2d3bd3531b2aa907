"""Model files are hostile until checked: each is refused in one line, or gives the lists of the intact file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from infer.errors import InputError
from infer.model import modelfile, session
from infer.model.choice import Choice
from infer.model.loops import MOST_ROUNDS
from infer.model.metadata import PREFIX, Metadata
from infer.model.modelfile import LARGEST_VALUE, MOST_NODES, with_checksum
from infer.model.session import open_model
from infer.model.signature import DROPPED, check_lists
from infer.scoring.conforming import options_for
from infer.tables.options import TableOptions
from tests.helpers.checkerboard import ROOT
from tests.helpers.hostile import answers, body, lists
from tests.helpers.markov import write_model

Change = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def whole(artifacts: Path) -> bytes:
    return (artifacts / "hybrid.onnx").read_bytes()


def changed(content: bytes, change: Change, path: Path) -> Path:
    """The model after `change`, under a checksum that fits."""
    proto = onnx.load_model_from_string(body(content))
    change(proto)
    path.write_bytes(with_checksum(proto.SerializeToString()))
    return path


def weights(proto: onnx.ModelProto) -> TensorProto:
    """The largest tensor of floats."""
    return max((t for t in proto.graph.initializer if t.data_type == TensorProto.FLOAT), key=lambda t: len(t.raw_data))


def outside(location: str) -> Change:
    """Move the weights to another file."""

    def change(proto: onnx.ModelProto) -> None:
        tensor = weights(proto)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def filled(value: float) -> Change:
    """Put one value among the weights."""

    def change(proto: onnx.ModelProto) -> None:
        tensor = weights(proto)
        values = numpy_helper.to_array(tensor).copy()
        values.flat[values.size // 2] = value
        tensor.raw_data = values.tobytes()

    return change


def metadata(name: str, text: str | None) -> Change:
    """Set or remove one entry."""

    def change(proto: onnx.ModelProto) -> None:
        kept = [(e.key, e.value) for e in proto.metadata_props if e.key != PREFIX + name]
        del proto.metadata_props[:]
        for key, value in kept + ([] if text is None else [(PREFIX + name, text)]):
            proto.metadata_props.add(key=key, value=value)

    return change


def shape(*dims: int) -> Change:
    """Declare the weights as something else than they are."""

    def change(proto: onnx.ModelProto) -> None:
        weights(proto).dims[:] = dims

    return change


def within(operator: str, rounds: str = "k", *inner: onnx.NodeProto) -> Change:
    """A node with a graph of these nodes within."""

    def change(proto: onnx.ModelProto) -> None:
        node = proto.graph.node.add(op_type=operator, input=[rounds], output=["never"])
        graph = helper.make_graph(inner, "inner", [], [])
        node.attribute.append(AttributeProto(name="body", type=AttributeProto.GRAPH, g=graph))

    return change


def loop(largest: int, operator: str = "Min", twice: str = "", replaced: bool = False) -> Change:
    """A loop that a constant bounds: `largest`, by `operator`.  twice: a name that another node makes too.  replaced:
    whether the constant may be given as an input."""

    def change(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.append(numpy_helper.from_array(np.array([largest]), "most"))
        proto.graph.node.append(helper.make_node(operator, ["k", "most"], ["rounds"]))
        within("Loop", "rounds")(proto)
        if twice:
            within("If", "k", helper.make_node("Neg", ["k"], [twice]))(proto)
        if replaced:
            proto.graph.input.append(helper.make_tensor_value_info("most", TensorProto.INT64, [1]))

    return change


def cycle(proto: onnx.ModelProto) -> None:
    proto.graph.node.extend([helper.make_node("Neg", ["b"], ["a"]), helper.make_node("Neg", ["a"], ["b"])])


def bomb(proto: onnx.ModelProto) -> None:
    """Ask for 16 TB of scores, in a shape that is only known at run time."""
    last = next(node for node in proto.graph.node if "scores" in node.output)
    last.output[list(last.output).index("scores")] = "small"
    proto.graph.initializer.append(numpy_helper.from_array(np.array([2**42], dtype=np.int64), "many"))
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1], dtype=np.float32), "unit"))
    proto.graph.node.extend(
        [
            helper.make_node("Mul", ["k", "many"], ["huge"]),
            helper.make_node("Expand", ["unit", "huge"], ["memory"]),
            helper.make_node("ReduceMax", ["memory"], ["largest"], keepdims=0),
            helper.make_node("Add", ["small", "largest"], ["scores"]),
        ]
    )


def domain(proto: onnx.ModelProto) -> None:
    proto.opset_import.add(domain="com.example", version=1)
    proto.graph.node[0].domain = "com.example"


def function(proto: onnx.ModelProto) -> None:
    proto.functions.add(name="f", domain="")


def nodes(proto: onnx.ModelProto) -> None:
    proto.graph.node.extend(helper.make_node("Neg", ["k"], [f"n{n}"]) for n in range(MOST_NODES + 1))


def input_type(proto: onnx.ModelProto) -> None:
    next(i for i in proto.graph.input if i.name == "k").type.tensor_type.elem_type = TensorProto.FLOAT


def whole_product(top: int, kind: type = np.int8, operator: str = "", computed: str = "") -> Change:
    """A product of whole numbers beside the scores, whose largest weight is `top`."""

    def change(proto: onnx.ModelProto) -> None:
        stored = np.array([[1, 1], [0, top]], dtype=kind)
        proto.graph.initializer.append(numpy_helper.from_array(stored, "bytes"))
        proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 2), np.uint8), "ones"))
        if computed:
            proto.graph.node.append(helper.make_node(computed, ["bytes"], ["turned"]))
        inputs = ["ones", "turned" if computed else "bytes"]
        proto.graph.node.append(helper.make_node(operator or "MatMulInteger", inputs, ["unread"]))

    return change


BEYOND = "multiplies by whole numbers beyond 64, whose sums overflow on some CPUs: export it again"

ENDLESS = f"has a Loop that no constant of at most {MOST_ROUNDS} rounds bounds; expected one that ends"


def nested(operator: str) -> onnx.NodeProto:
    """A node with a graph within."""
    return helper.make_node(operator, ["k"], ["none"], body=helper.make_graph([], "innermost", [], []))


HOSTILE: dict[str, tuple[Change, str]] = {
    "weights of 8 bits": (whole_product(65), BEYOND),
    "weights of 8 bits, negative": (whole_product(-128), BEYOND),
    "unsigned weights": (whole_product(3, np.uint8), BEYOND),
    "weights that are computed": (whole_product(3, computed="Abs"), BEYOND),
    "weights of 8 bits, turned": (whole_product(65, computed="Transpose"), BEYOND),
    "another product of whole numbers": (
        whole_product(3, operator="ConvInteger"),
        "has a ConvInteger, which CPUs compute",
    ),
    "steps that are fused into one": (
        whole_product(3, operator="DequantizeLinear"),
        "has a DequantizeLinear, which CPUs",
    ),
    "weights above the folder": (outside("../../etc/passwd"), "in another file; expected all of them inside"),
    "weights at an absolute path": (outside("/etc/passwd"), "in another file; expected all of them inside"),
    "weights behind a link": (outside("link"), "in another file; expected all of them inside"),
    "operators of somebody": (domain, "has operators of the domain 'com.example'; expected ONNX' own"),
    "a graph within": (within("Scan"), "has a Scan with a graph within"),
    "a loop as long as an input says": (within("Loop"), ENDLESS),
    "a loop without a number": (within("Loop", ""), ENDLESS),
    "a long loop": (loop(MOST_ROUNDS + 1), ENDLESS),
    "a loop that a constant makes longer": (loop(3, "Max"), ENDLESS),
    "a loop whose bound has two makers": (loop(3, twice="most"), ENDLESS),
    "a loop whose rounds have two makers": (loop(3, twice="rounds"), ENDLESS),
    "a loop whose bound is an input": (loop(3, replaced=True), ENDLESS),
    "a branch in a loop": (within("Loop", "k", nested("If")), "has branches within branches within branches"),
    "a loop in a loop": (within("Loop", "k", nested("Loop")), "has branches within branches within branches"),
    "functions": (function, "has functions, training steps or sparse weights"),
    "too many nodes": (nodes, f"nodes; expected at most {MOST_NODES}"),
    "a cycle": (cycle, "is not a readable ONNX model"),
    "a huge shape": (shape(2**40, 2**20), "more than it holds"),
    "a shape beyond 64 bits": (shape(2**62, 2**62), "more than it holds"),
    "a negative shape": (shape(-1, 4), "more than it holds"),
    "fewer values": (shape(3, 3), "which is not what it holds"),
    "not a number": (filled(np.nan), "holds nan in"),
    "infinity": (filled(-np.inf), "holds -inf in"),
    "an overflow to come": (filled(2 * LARGEST_VALUE), "expected finite numbers below 1e15"),
    "another input type": (input_type, "is not a readable ONNX model"),
    "no metadata": (metadata("format", None), "without recommender metadata"),
    "another format": (metadata("format", "3"), "has metadata format 3; this version reads"),
    "no window": (metadata("window", None), "has damaged metadata"),
    "half an item at once": (metadata("chunk", "0.5"), "has damaged metadata (chunk)"),
    "fewer than no items at once": (metadata("chunk", "-1"), "has damaged metadata (chunk)"),
    "a word as window": (metadata("window", '"8"'), "has damaged metadata (window)"),
    "a huge window": (metadata("window", str(2**40)), "expected 1 to 65536"),
    "no items": (metadata("item_ids", "[]"), "has damaged metadata"),
    "an item twice": (metadata("item_ids", "[1, 1]"), "has damaged metadata (item_ids)"),
    "an item beyond 64 bits": (metadata("item_ids", f"[{2**63}]"), "has damaged metadata (item_ids)"),
    "half a character": (metadata("item_ids", '["\\ud800"]'), "has damaged metadata (item_ids)"),
    "deep metadata": (metadata("config", "[" * 100_000), "has damaged metadata"),
    "a list as configuration": (metadata("config", "[]"), "has damaged metadata (config)"),
    "a line break": (metadata("dataset", '"a\\u2028b"'), "has damaged metadata (dataset)"),
    "text that runs backwards": (metadata("dataset", '"a\\u202eb"'), "has damaged metadata (dataset)"),
    "codes for the terminal": (metadata("dataset", '"\\u001b[2J"'), "has damaged metadata (dataset)"),
    "a table elsewhere": (metadata("interactions", '"../other.parquet"'), "which is not a file beside it"),
    "a table at a path": (metadata("items", '"/etc/passwd"'), "which is not a file beside it"),
    "a number as condition": (metadata("rules", '{"where": 5}'), "has damaged metadata (rules, where)"),
    "no list of weights": (metadata("rules", '{"event_weights": []}'), "has damaged metadata (rules, event_weights)"),
    "a word as least rating": (
        metadata("rules", '{"least_rating": "1"}'),
        "has damaged metadata (rules, least_rating)",
    ),
    "no least rating": (metadata("rules", '{"least_rating": NaN}'), "has damaged metadata (rules, least_rating)"),
    "a huge least rating": (metadata("rules", f'{{"least_rating": {10**400}}}'), "has damaged metadata (rules, least_"),
    "other repeats": (metadata("rules", '{"repeats": "x"}'), "has damaged metadata (rules, repeats)"),
    "other seen items": (metadata("rules", '{"seen": ["drop"]}'), "has damaged metadata (rules, seen)"),
    "ratings that are none": (metadata("rating_levels", "[1, NaN]"), "has damaged metadata (rating_levels)"),
}


def test_weights_of_7_bits_are_read(whole: bytes, tmp_path: Path) -> None:
    path = changed(whole, whole_product(-64), tmp_path / "m.onnx")
    assert open_model(path).metadata.kind == "hybrid"


def test_a_bounded_loop_is_no_reason_to_refuse_a_file(whole: bytes, tmp_path: Path) -> None:
    path = changed(whole, loop(MOST_ROUNDS), tmp_path / "m.onnx")
    modelfile.load(path)  # what is in the loop, ONNX Runtime judges


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_model_file_is_refused(case: str, whole: bytes, tmp_path: Path) -> None:
    change, message = HOSTILE[case]
    (tmp_path / "link").symlink_to("/etc/passwd")
    path = changed(whole, change, tmp_path / "model.onnx")
    with pytest.raises(InputError) as found:
        open_model(path)
    assert message in str(found.value) and "\n" not in str(found.value) and str(path) in str(found.value)


def test_a_condition_that_is_no_sql_is_told_with_whose_it_is(whole: bytes, tmp_path: Path) -> None:
    table = tmp_path / "tonight.csv"
    table.write_text("user,item,timestamp\n1,1,1\n")
    model = open_model(changed(whole, metadata("rules", '{"where": "item ("}'), tmp_path / "m.onnx"))
    with pytest.raises(InputError, match=r"^m\.onnx's --where 'item \(' cannot be read"):
        options_for(model, table, TableOptions(), own=False)
    assert options_for(model, table, TableOptions(where="item > 0"), own=False)[0].where == "item > 0"
    with pytest.raises(InputError, match=r"^--where 'user \(' cannot be read"):
        options_for(model, table, TableOptions(where="user ("), own=False)


def test_a_graph_that_asks_for_more_memory_than_there_is_ends_in_one_line(whole: bytes, tmp_path: Path) -> None:
    model = open_model(changed(whole, bomb, tmp_path / "model.onnx"))
    with pytest.raises(InputError, match=r"fails on these users: .*Available memory of"):
        lists(model)


def test_users_that_the_graph_has_no_vectors_for_get_no_list(artifacts: Path, tmp_path: Path) -> None:
    content = (artifacts / "mf.onnx").read_bytes()
    many = str(list(range(10_000)))
    model = open_model(changed(content, metadata("user_ids", many), tmp_path / "model.onnx"))
    items, scores = model.run({"user": np.array([9_999, 1]), **Choice(np.array([[1], [1]])).inputs, "k": np.array([5])})
    assert (items[0] == 0).all() and (scores[0] <= DROPPED).all() and (scores[1] > DROPPED).all()


def test_a_name_that_is_no_text_is_refused(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(with_checksum(body(whole).replace(b"seen_width", b"seen_\xbaidth")))
    with pytest.raises(InputError, match=r"m\.onnx is not a readable ONNX model: a name in it is no text"):
        open_model(path)


def test_the_unchanged_model_under_a_new_checksum_is_scored(whole: bytes, tmp_path: Path) -> None:
    path = changed(whole, lambda proto: None, tmp_path / "model.onnx")
    assert path.read_bytes() == whole
    assert open_model(path).metadata.kind == "hybrid"


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_a_truncated_file_is_refused(kind: str, artifacts: Path, tmp_path: Path) -> None:
    content, path = (artifacts / f"{kind}.onnx").read_bytes(), tmp_path / "cut.onnx"
    for length in [len(content) * n // 16 for n in range(16)] + [len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"cut\.onnx (is|has|keeps|declares)"):
            open_model(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(InputError):
        open_model(path)


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_changed_bytes_are_refused_or_change_nothing(kind: str, artifacts: Path) -> None:
    found = answers(artifacts / f"{kind}.onnx", 500, seed=0, seal=False)
    assert found["refused"] + found["identical"] == 500 and found["other lists"] == 0


@pytest.mark.parametrize("times", [300, pytest.param(5_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["mf", "hybrid"])
def test_changed_bytes_under_a_fitting_checksum_do_not_crash_the_process(kind: str, times: int, artifacts) -> None:
    """Whoever can make a checksum can make any lists, but not more than that."""
    words = [sys.executable, "tests/helpers/hostile.py", artifacts / f"{kind}.onnx", str(times), "1", "sealed"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, words)), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "EP Error" not in done.stdout


def test_a_file_that_grows_while_it_is_read_is_refused(whole: bytes, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(whole)
    size = os.fstat

    def then_grow(handle: int) -> os.stat_result:
        found = size(handle)
        with path.open("ab") as file:
            file.write(b"more")
        return found

    monkeypatch.setattr(modelfile.os, "fstat", then_grow)
    with pytest.raises(InputError, match="is being written"):
        open_model(path)


def test_what_is_run_is_what_was_checked(whole: bytes, artifacts: Path, tmp_path: Path, monkeypatch) -> None:
    """The file is replaced after its checks: the lists, the checksum and the metadata are of the first bytes."""
    path = tmp_path / "model.onnx"
    path.write_bytes(whole)
    start = session.ort.InferenceSession

    def replaced(*given, **named):
        path.write_bytes((artifacts / "mf.onnx").read_bytes())
        return start(*given, **named)

    monkeypatch.setattr(session.ort, "InferenceSession", replaced)
    model = open_model(path)
    original = tmp_path / "original.onnx"
    original.write_bytes(whole)
    monkeypatch.undo()
    other = open_model(original)
    assert (model.checksum, model.metadata) == (other.checksum, other.metadata)
    assert np.array_equal(lists(model)[0], lists(other)[0])


def test_graphs_in_depth_are_refused(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        length, size = len(content), b""
        while length > 127:
            length, size = length >> 7, size + bytes([length & 127 | 128])
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    graph = b""
    for _ in range(2_000):
        graph = field(1, field(5, field(6, graph)))  # graph.node.attribute.g
    path = tmp_path / "deep.onnx"
    path.write_bytes(with_checksum(field(7, graph)))
    with pytest.raises(InputError, match="is not a readable ONNX model"):
        open_model(path)


def test_a_file_beyond_what_protobuf_can_hold_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse: it takes no room
    with pytest.raises(InputError, match="has 2147483648 bytes; an ONNX model has at most 2147483647"):
        open_model(path)


ITEMS, SCORES = np.array([[3, 1], [2, 4]]), np.array([[2.0, 1.0], [2.0, 1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("items", "scores", "message"),
    [
        (ITEMS[:1], SCORES[:1], r"gives items \(1, 2\)"),
        (ITEMS, SCORES[:, :1], r"gives items \(2, 2\) and scores \(2, 1\)"),
        (np.where(ITEMS == 4, 6, ITEMS), SCORES, "an item that is none of its 5"),
        (np.where(ITEMS == 4, -1, ITEMS), SCORES, "an item that is none of its 5"),
        (np.where(ITEMS == 4, 0, ITEMS), SCORES, "an item that is none of its 5"),
        (np.where(ITEMS == 4, 2, ITEMS), SCORES, "an item twice for one user"),
    ],
)
def test_lists_that_are_none_are_refused(items, scores, message: str) -> None:
    check_lists(Path("m.onnx"), ITEMS, SCORES, rows=2, k=2, known=5)
    with pytest.raises(InputError, match=message):
        check_lists(Path("m.onnx"), items, scores, rows=2, k=2, known=5)


def test_metadata_that_are_checked_are_those_that_are_written(artifacts: Path) -> None:
    found = open_model(artifacts / "mf.onnx").metadata
    assert Metadata.from_properties(found.to_properties(), "test") == found


@pytest.fixture
def small(tmp_path: Path) -> bytes:
    """A model of three items and two users."""
    (tmp_path / "t").write_text("table")
    scores = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [0, 3, 2, 1]])
    return write_model(tmp_path / "small.onnx", [5, 6, 7], scores, tmp_path / "t", user_ids=[1, 2]).read_bytes()


def attribute(value: float) -> Change:
    """A value that stands in a node, not among the weights."""
    tensor = numpy_helper.from_array(np.array([value], dtype=np.float32), "constant")
    return lambda proto: proto.graph.node.extend([helper.make_node("Constant", [], ["unused"], value=tensor)])


def more_nodes(number: int) -> Change:
    def change(proto: onnx.ModelProto) -> None:
        missing = number - len(proto.graph.node)
        proto.graph.node.extend(helper.make_node("Identity", ["k"], [f"n{n}"]) for n in range(missing))

    return change


def training(proto: onnx.ModelProto) -> None:
    proto.training_info.add()


def sparse(proto: onnx.ModelProto) -> None:
    proto.graph.sparse_initializer.add()


def texts(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.array(["x"], dtype=object), "words"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (attribute(np.nan), "holds nan in 'constant'"),
        (attribute(1.0000001e15), "in 'constant'; expected finite numbers below 1e15"),
        (attribute(-1.0000001e15), "in 'constant'; expected finite numbers below 1e15"),
        (more_nodes(10_001), "nodes; expected at most 10000"),
        (training, "has functions, training steps or sparse weights"),
        (sparse, "has functions, training steps or sparse weights"),
        (texts, "has 'words' of type 8; expected numbers"),
        (metadata("user_ids", "[]"), "takes users but lists none"),
        (metadata("user_ids", '[1, "2"]'), "has damaged metadata (user_ids)"),
        (metadata("user_ids", "[true, false]"), "has damaged metadata (user_ids)"),
        (metadata("window", "-1"), "has damaged metadata"),
        (metadata("rating_levels", "[2, 1]"), "has damaged metadata (rating_levels)"),
        (metadata("rating_levels", "[1, 1]"), "has damaged metadata (rating_levels)"),
        (metadata("rating_levels", '["1"]'), "has damaged metadata (rating_levels)"),
        (metadata("interactions", '""'), "names the table '', which is not a file beside it"),
        (metadata("format", None), "without recommender metadata"),
    ],
)
def test_a_small_hostile_file_is_refused(change: Change, message: str, small: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_model(changed(small, change, tmp_path / "model.onnx"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [attribute(1e15), attribute(-1e15), attribute(DROPPED), metadata("item_ids", f"[{-(2**63)}, 0, {2**63 - 1}]"),
     metadata("rating_levels", "[0.5, 1]"), metadata("window", "0")],
)  # fmt: skip
def test_what_lies_just_within_the_limits_is_opened(change: Change, small: bytes, tmp_path: Path) -> None:
    assert len(open_model(changed(small, change, tmp_path / "model.onnx")).metadata.item_ids) == 3


def test_a_file_without_its_seal_or_with_another_is_refused(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    other = with_checksum(body(small) + b"x")[-len(with_checksum(b"")) :]
    for content in (body(small), body(small) + other, small + with_checksum(b"")):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged or was changed after its export"):
            open_model(path)


def test_windows_of_no_item_and_a_file_that_is_not_there_are_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "t").write_text("table")
    whole = write_model(tmp_path / "w.onnx", [5, 6], np.eye(3), tmp_path / "t").read_bytes()
    with pytest.raises(InputError, match="states windows of 0 items; expected 1 to 65536"):
        open_model(changed(whole, metadata("window", "0"), tmp_path / "model.onnx"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "x.onnx").write_bytes(whole)
    assert open_model("x.onnx").path == Path("artifacts/x.onnx")
    for name, problem in (("y.onnx", "does not exist"), ("artifacts", "is a folder")):
        with pytest.raises(InputError, match=f"{name} {problem}"):
            open_model(name)
