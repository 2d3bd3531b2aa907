"""Pages: what is empty is named and left out, texts are escaped, facts and tables stand in the file."""

import re
from pathlib import Path

from bench.html.axes import drawn
from bench.html.page import figure, section, table, write_page


def test_sections_without_content_are_named_and_long_tables_are_folded(tmp_path: Path) -> None:
    sections = [
        section("Full", ["A sentence."], [table("short", ["a"], [["<b>"]]), table("none", ["a"], [])]),
        section("Folded", tables=[table("long", ["a"], [[str(n)] for n in range(41)])]),
        section("Empty", ["never shown"], plots=[("no figure", None)]),
    ]
    page = write_page(
        tmp_path / "p.html",
        "study/page/study.html.j2",
        sections,
        title="T",
        summary=["S"],
        command="c",
        about=[("d", [("name", "v&")])],
    )
    text = page.read_text()
    own = text[text.index("<body>") :]
    assert "<h2>Full</h2>" in own and "<caption>short</caption>" in own and '<th scope="row">&lt;b&gt;</th>' in own
    assert "none" not in own and "never shown" not in own
    assert "<summary>long</summary>" in own and own.count("<details>") == 1
    assert "Left out, because this study has no trials for it: Empty." in own
    assert '<th scope="row">name</th><td class="wrapped">v&amp;</td>' in own


def test_a_plot_takes_what_its_page_asks_for() -> None:
    plot = figure(height=70, xaxis_title="seconds")
    assert (plot.layout.height, plot.layout.xaxis.title.text, plot.layout.xaxis.automargin) == (70, "seconds", True)


def test_who_does_not_see_the_page_finds_its_parts_by_name(tmp_path: Path) -> None:
    plot = drawn(figure().add_scatter(x=[1], y=[2]))
    parts = [section("Part", tables=[table("short", ["a", "b"], [["x", "y"]])], plots=[("shown & said", plot)])]
    values = {"title": "T", "summary": ["S"], "command": "c", "about": [("d", [("n", "v")])]}
    values["picture"] = ("seen first", plot)
    text = write_page(tmp_path / "p.html", "study/page/study.html.j2", parts, **values).read_text()
    own = re.sub(r"<script>.*?</script>", "", text[text.index("<body>") :], flags=re.DOTALL)
    assert [int(level) for level in re.findall(r"<h(\d)", own)] == [1, 2, 2, 3, 2], "no level is skipped"
    assert own.index("<main>") < own.index("<h1>") and own.rstrip().endswith("</main>\n</body>\n</html>")
    assert re.findall(r'id="(\S+)" role="img" aria-label="([^"]*)"', own) == [
        ("picture", "seen first"),
        ("plot-1-1", "shown &amp; said"),
    ]
    assert own.count('tabindex="0"') == own.count('tabindex="0" role="group" aria-label="short"') == 1
    assert re.findall(r"<th scope=\"(\w+)\">(\w)<", own) == [("col", "a"), ("col", "b"), ("row", "x"), ("row", "n")]
