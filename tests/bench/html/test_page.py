"""Pages: what is empty is named and left out, texts are escaped, facts and tables stand in the file."""

from pathlib import Path

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
        about=[("name", "v&")],
    )
    text = page.read_text()
    own = text[text.index("<body>") :]
    assert "<h2>Full</h2>" in own and "<caption>short</caption>" in own and "<td>&lt;b&gt;</td>" in own
    assert "none" not in own and "never shown" not in own
    assert "<summary>long</summary>" in own and own.count("<details>") == 1
    assert "Left out, because this study has no trials for it: Empty." in own
    assert '<th>name</th><td class="wrapped">v&amp;</td>' in own


def test_a_plot_takes_what_its_page_asks_for() -> None:
    plot = figure(height=70, xaxis_title="seconds")
    assert (plot.layout.height, plot.layout.xaxis.title.text, plot.layout.xaxis.automargin) == (70, "seconds", True)
