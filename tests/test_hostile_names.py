"""What a user calls things is shown as it is, in pictures, tables and the report, and acts on none of them."""

import warnings
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib import pyplot

from tests.drawn import cases
from tests.workflow import check_figure, snakemake
from workflow_scripts.config import kinds
from workflow_scripts.drawing import style

#: what no name may do: end a script or a comment, load a picture, begin a formula, hide from a legend
NAMES = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "Ba$$in",
    r"$\frac",
    r"\$x$ {0} %s",
    "_hidden",
    "--> ]]> & &amp; \" '",
    "数 🙂 שלום مرحبا",
    "{{ 1 + 1 }} `a` **b** |c| :sub:`d`",
    "e\N{COMBINING ACUTE ACCENT}",
]
FIGURES = {
    "agreement": {"experiments": ["a", "b"]},
    "boundaries": {"experiments": ["disc"], "steps": [0, 6]},
    "class_order": {"experiments": ["a", "b"]},
    "class_panels": {"experiment": "a"},
    "classes": {"experiments": ["a", "b"]},
    "dynamics": {"experiments": ["a", "b", "disc"]},
    "information_accuracy": {},
    "initialisation": {"experiments": ["a", "b"]},
    "modes": {"experiment": "a", "orders": ["b"]},
    "theorem1": {"simulation": "s"},
}
TABLES = {
    "agreement": {"experiments": ["a", "b"]},
    "claims": {"experiments": ["a"], "simulations": ["s"]},
    "class_order": {"experiments": ["a", "b"]},
    "phases": {"experiments": ["a"]},
    "ratios": {"experiments": ["a"]},
    "totals": {"experiments": ["a", "b"]},
}


def study(names: list[str]) -> dict:
    """A study of a few seconds with every kind of figure and table, where all that has a free name is called so."""
    sgd = {"lr": 0.1, "batch_size": 200, "epochs": 2}
    of_digits = {"task": "t", "network": {"kind": "linear"}, "sgd": sgd, "explainers": ["l"]}
    printed = {"source": names[0], "ratios": {"l": 0.5}}
    inits = {f"w{name}": {"others": number / 9} for number, name in enumerate(names)}
    return {
        "study": "hostile",
        "seeds": [0, 1],
        "device": "cpu",
        "datasets": {
            "digits": {"kind": "digits", "test": 400},
            "ball": {"kind": "ball", "train": 60, "test": 60, "amplitude": 0.4, "frequency": 4.0, "grid": 11},
        },
        "tasks": {
            "t": {"dataset": "digits", "groups": {name: [number] for number, name in enumerate(names)}},
            "disc": {"dataset": "ball"},
        },
        "explainers": {"l": {"labels": "true"}},
        "nulls": {"draws": 9},
        "experiments": {
            "a": of_digits | {"title": names[0] + names[2], "printed": printed},
            "b": of_digits | {"title": "".join(names[4:]), "init_scale": 0.5},
            "disc": of_digits | {"title": names[1] + names[3], "task": "disc", "sgd": sgd | {"batch_size": 20}},
        },
        "simulations": {
            "s": {"dimension": 10, "examples": 3, "noise": [0.1], "inits": inits, "epochs": 1, "repetitions": 2}
        },
        "figures": {kind: {"kind": kind, **of} for kind, of in FIGURES.items()},
        "tables": {kind: {"kind": kind, **of} for kind, of in TABLES.items()},
    }


def composed(names: list[str]) -> list[str]:
    """The names without those in decomposed Unicode, which keys can't have."""
    return [name for name in names if name.isascii() or "\N{COMBINING ACUTE ACCENT}" not in name] + ["é"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.yaml").write_text(yaml.safe_dump(study(composed(NAMES))))
    config = {"configfiles": (folder / "hostile.yaml",)}
    done = snakemake(folder, **config)
    assert done.returncode == 0, done.stderr
    done = snakemake(folder, "--report", "report.html", **config)
    assert done.returncode == 0, done.stderr
    return folder


@cases()
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])) | st.text("$_^{}\\\\abc"))
@example("Ba$$in")
@example(r"$\frac")
@example(r"a\$b$c$")
@example("_")
def test_any_text_is_drawn_as_it_is(text):
    shown = style.literal(text)
    figure, axes = style.panels(1, 1)
    drawn = axes[0, 0].set_title(shown)
    axes[0, 0].legend(handles=[style.key(label=shown)])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        seen, is_formula = drawn._preprocess_math(shown)
        figure.draw_without_rendering()
    pyplot.close(figure)
    assert not is_formula and seen.lstrip("\u200b").encode("ascii", "backslashreplace").decode() == expected(text)


def expected(text: str) -> str:
    return text.lstrip("\u200b").encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe ≤ μ₀ é", "Größe ≤ μ₀ é"),
        ("数 a", r"\u6570 a"),
        ("\N{SLIGHTLY SMILING FACE}", r"\U0001f642"),
        ("\N{HEBREW LETTER ALEF}", r"\u05d0"),
        ("$5", r"\$5"),
        ("_a", "\u200b_a"),
    ],
)
def test_what_figures_show_of_a_text(text, shown):
    assert style.literal(text) == shown


def test_the_study_has_every_kind_of_figure_and_table():
    assert set(FIGURES) == set(kinds.names("figures")) and set(TABLES) == set(kinds.names("tables"))


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_whatever_things_are_called(made, figure):
    path = made / f"results/hostile/figures/{figure}.svg"
    check_figure(path, [])
    ElementTree.fromstring(path.read_bytes())
    log = (path.parent / f"logs/{figure}.log").read_text()
    assert "missing from font" not in log and "error" not in log.replace("onerror", ""), log


@pytest.mark.slow
def test_the_signs_that_a_figure_cannot_draw_are_told_in_its_log(made):
    log = (made / "results/hostile/figures/logs/class_order.log").read_text()
    assert r"show it as \u6570 \U0001f642" in log


@pytest.mark.slow
def test_names_in_tables_of_points_are_what_the_user_wrote(made):
    points = pd.read_csv(made / "results/hostile/figures/class_order.csv", keep_default_na=False)
    assert set(composed(NAMES)) == set(points["class"]) - {""}


class Page(HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_the_page_of_a_table_has_no_tags_of_a_users(made, table):
    page = Page((made / f"results/hostile/tables/{table}.html").read_text(encoding="utf-8"))
    assert not {"script", "img"} & {tag for tag, *_ in page.tags}
    if table != "claims":
        assert NAMES[0] in page.text or NAMES[2] in page.text


@pytest.mark.slow
def test_the_report_has_no_tags_of_a_users(made):
    text = (made / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "onerror" not in {name for _, *names in page.tags for name in names}
    assert ("img", "src") not in page.tags
    for name in NAMES[:2]:
        assert name not in text
        assert name.replace("<", r"\\u003c").replace(">", r"\\u003e") in text, "it is there, and sleeps"
