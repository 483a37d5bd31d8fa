"""Files that are read: what is refused, whatever was done to a sound one; and words that look like something else."""

import io
import os
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.damages import damage
from tests.drawn import cases
from tests.refusals import assert_nothing_in, call, refusal
from tests.workflow import RESULTS
from workflow_scripts.audit import crate
from workflow_scripts.config import jobs, paths
from workflow_scripts.config.errors import Changed, Damaged, DamagedResult, Foreign, Missing, StudyError
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.engine import plan
from workflow_scripts.files import dataframes, hashing, npz
from workflow_scripts.progress import report as progress
from workflow_scripts.provenance import sidecars
from workflow_scripts.training import trajectories, weights

READERS = [npz.load, dataframes.read, weights.load]
WORDS = ["NA", "null", "nan", "None", "1e5", "007", "True", "inf", "N/A", "", " a ", 'a,"b"', "1,000", "0x1p3"]


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to(path)], ids=["pipe", "folder", "loop"]
)
@pytest.mark.parametrize("read", READERS)
def test_what_is_no_regular_file_is_refused_at_once(read, make, tmp_path):
    make(tmp_path / "a")
    with refusal(DamagedResult, tmp_path / "a"):
        read(tmp_path / "a")
    with pytest.raises(OSError):
        hashing.sha256(tmp_path / "a")


def deep(path):
    path.write_text("[" * 200_000)


def endless(path):
    path.symlink_to("/dev/zero")


#: readers of JSON, what they are given, and the file that they read
RECORDS = [
    (sidecars.read, "r.json", "r.json"),
    (paths.owner, "", "study.json"),
    (lambda _: progress.lines(), "", str(progress.JOBS)),
    (lambda _: plan.frozen(), "", "plan.json"),
    (crate.check, "", "ro-crate-metadata.json"),
]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, endless, deep], ids=["pipe", "folder", "endless", "deep"])
@pytest.mark.parametrize(("read", "given", "file"), RECORDS, ids=[file for *_, file in RECORDS])
def test_a_record_that_is_none_is_told_at_once(read, given, file, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(plan.PLAN, str(tmp_path / "plan.json"))
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    make(tmp_path / file)
    if read is sidecars.read:
        assert read(tmp_path / given) is None
    else:
        with pytest.raises((Damaged, Missing)):
            read(tmp_path / given)


def header(shape: tuple, descr: str = "<f8") -> bytes:
    made = io.BytesIO()
    np.lib.format.write_array_header_1_0(made, {"shape": shape, "fortran_order": False, "descr": descr})
    return made.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (3,), (2**62, 4)])
def test_an_array_that_says_it_is_longer_than_the_file_is_refused(method, shape, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("x.npy", header(shape) + bytes(16))
    with refusal(DamagedResult, tmp_path / "a.npz"):
        npz.load(tmp_path / "a.npz", "x")


FORMS = {
    "x": npz.Form("iu", ("N",), 0, 9),
    "y": npz.Form("f", ("N", 2), finite=True),
    "t": npz.Form("f", ("T",), rising=True),
}
SOUND = {"x": np.arange(3), "y": np.zeros((3, 2)), "t": np.array([0.0, 1.0])}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"x": np.array([0, -1, 2])}, DamagedResult), ({"x": np.array([0, 10, 2])}, DamagedResult),
        ({"x": np.arange(3.0)}, DamagedResult), ({"x": np.zeros((3, 1), int)}, DamagedResult),
        ({"x": np.int64(3)}, DamagedResult), ({"x": np.array(["a", "b", "c"])}, DamagedResult),
        ({"x": np.arange(4)}, Foreign), ({"y": np.zeros((3, 3))}, Foreign),
        ({"y": np.full((3, 2), np.nan)}, DamagedResult),
        ({"y": np.full((3, 2), np.inf)}, DamagedResult), ({"t": np.array([1.0, 1.0])}, DamagedResult),
    ],
)  # fmt: skip
def test_an_array_of_another_form_is_refused(change, kind, tmp_path):
    npz.save(tmp_path / "a.npz", **SOUND)
    assert list(npz.load(tmp_path / "a.npz", *SOUND, forms=FORMS)) == list(SOUND)
    npz.save(tmp_path / "b.npz", **SOUND | change)
    with refusal(kind, tmp_path / "b.npz"):
        npz.load(tmp_path / "b.npz", *SOUND, forms=FORMS)


DATA = {f"{part}_{of}": values for part in tasks.PARTS for of, values in
        {"inputs": np.zeros((4, 2), np.float32), "labels": np.arange(4) % 2}.items()}  # fmt: skip
DATA["class_names"] = np.array(["a", "b"])


@pytest.mark.parametrize("wrong", [np.array([0, 1, 0, -1]), np.array([0, 1, 2, 0]), np.ones(4), np.array([0, 1])])
@pytest.mark.parametrize("load", [tasks.load, tasks.load_labels])
def test_labels_of_no_class_are_refused(load, wrong, tmp_path):
    path, task = tmp_path / "d.npz", Task(dataset="d")
    npz.save(path, **DATA)
    load(path, task)
    npz.save(path, **DATA | {"train_labels": wrong})
    if load is tasks.load or len(wrong) == 4:
        with pytest.raises((DamagedResult, Foreign)):
            load(path, task)


def summary(words) -> pd.DataFrame:
    rows = [
        {"explainer": word, "checkpoint": t, "step": 5 * t, "epoch": t / 2, "quantity": quantity}
        for word in words
        for t in (0, 1)
        for quantity in dataframes.SUMMARY.values["quantity"]
    ]
    return pd.DataFrame(rows).assign(seeds=2, mean=0.5, std=np.nan, corrected=0.25, lo=-1e-17, hi=1.0)


def test_words_that_look_like_numbers_or_like_nothing_are_kept(tmp_path):
    for column in dataframes.TEXT_COLUMNS:
        if not dataframes.TEXT_COLUMNS[column]:
            table = pd.DataFrame({column: WORDS, "mean": np.arange(len(WORDS)) / 3})
            dataframes.write(tmp_path / "t.csv", table)
            assert dataframes.read(tmp_path / "t.csv").to_dict("list") == table.to_dict("list")


def lines(change):
    return lambda text: "\n".join(change(text.splitlines())) + "\n"


TABLE_DAMAGES = {
    "a row twice": lines(lambda rows: [*rows, rows[2]]),
    "a row less": lines(lambda rows: [*rows[:2], *rows[3:]]),
    "no rows": lines(lambda rows: rows[:1]),
    "without a quantity": lines(lambda rows: [row for row in rows if ",mu," not in row]),
    "from the end to the start": lines(lambda rows: [rows[0], *rows[:0:-1]]),
    "a mean less": lambda text: text.replace(",0.5,,", ",,,", 1),
    "an explainer less": lambda text: text.replace("a,1,5", ",1,5", 1),
    "a column twice": lines(lambda rows: [f"{row},{row.split(',')[-1]}" for row in rows]),
    "another column": lines(lambda rows: [f"{row},{'class' if at == 0 else 'x'}" for at, row in enumerate(rows)]),
    "a key is missing": lines(lambda rows: [row.partition(",")[2] for row in rows]),
    "a field too many": lines(lambda rows: [rows[0], *(f"{row},1" for row in rows[1:])]),
    "infinite": lambda text: text.replace("0.25", "inf"),
    "hexadecimal": lambda text: text.replace("0.25", "0x1p-2"),
    "thousands": lambda text: text.replace("0.25", '"1,000"'),
    "words": lambda text: text.replace("0.25", "NA"),
    "half a step": lambda text: text.replace(",5,", ",5.5,"),
    "before the start": lambda text: text.replace(",5,", ",-5,"),
    "NUL": lambda text: text.replace("0.25", "0.2\0005"),
    "UTF-16": lambda text: text.encode("utf-16").decode("latin-1"),
}


@pytest.mark.parametrize("damage", TABLE_DAMAGES)
def test_a_table_that_its_kind_excludes_is_refused(damage, tmp_path):
    path = tmp_path / "t.csv"
    dataframes.write(path, summary(["a", "b"]))
    dataframes.read(path, kind=dataframes.SUMMARY)
    path.write_text(TABLE_DAMAGES[damage](path.read_text()), encoding="latin-1", newline="")
    with refusal(Damaged, path):
        dataframes.read(path, kind=dataframes.SUMMARY)


@pytest.mark.parametrize("column", [name for name, known in dataframes.TEXT_COLUMNS.items() if known])
def test_a_word_that_is_none_of_those_that_a_column_knows_is_refused(column, tmp_path):
    for word in dataframes.TEXT_COLUMNS[column]:
        dataframes.write(tmp_path / "t.csv", pd.DataFrame({column: [word], "mean": [1]}))
        dataframes.read(tmp_path / "t.csv")
        dataframes.write(tmp_path / "t.csv", pd.DataFrame({column: [word + "s"], "mean": [1]}))
        with refusal(DamagedResult, tmp_path / "t.csv"):
            dataframes.read(tmp_path / "t.csv")


def test_the_words_that_columns_know_are_those_that_stages_write():
    from workflow_scripts.measures import nulls, phases

    assert set(dataframes.TEXT_COLUMNS["phase"]) == set(phases.SPANS)
    assert set(dataframes.TEXT_COLUMNS["variant"]) == set(nulls.VARIANTS)
    assert {phases.sign(*ends) for ends in ((1, 2), (-2, -1), (-1, 1), (np.nan, 1))} == set(
        dataframes.TEXT_COLUMNS["sign"]
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A file of each kind, what reads it, and a place for what becomes of it."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("sound")
    npz.save(folder / "d.npz", **DATA)
    made = {"steps": np.arange(3), "epochs": np.arange(3) / 2, "test_sha256": "a", "weights_sha256": "b"}
    npz.save(folder / "t.npz", **made, test_predictions=np.zeros((3, 4), np.uint8))
    weights.save(folder / "w.safetensors", {"a": torch.ones(3, 2), "b": torch.zeros(1)}, step="3")
    dataframes.write(folder / "s.csv", summary(["a", "b"]))
    readers = {
        "d.npz": lambda path: tasks.load(path, Task(dataset="d")),
        "t.npz": lambda path: trajectories.load(path, {"test": np.zeros(4, int)}, 2, "test"),
        "w.safetensors": weights.load,
        "s.csv": lambda path: dataframes.read(path, kind=dataframes.SUMMARY),
    }
    return {name: ((folder / name).read_bytes(), read) for name, read in readers.items()}, folder / "mutated"


@cases(200)
@given(st.data())
def test_whatever_is_done_to_a_file_only_a_study_error_comes(sound, data):
    files, path = sound
    content, _ = files[data.draw(st.sampled_from(sorted(files)))]
    _, read = files[data.draw(st.sampled_from(sorted(files)))]
    mutated = bytearray(content)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, max(len(mutated) - 1, 0)))
        mutated[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    path.write_bytes(mutated)
    try:
        read(path)
    except StudyError as error:
        assert error.where == str(path) and "\n" not in str(error)


#: draws of damage to an input of a job
DRAWS = 60


@pytest.fixture(scope="module")
def jobs_of(finished) -> dict[str, list[sidecars.Sidecar]]:
    """Stage -> its jobs in the finished study that read a file."""
    records = [sidecars.read(path) for path in sorted((finished / RESULTS).rglob("*.prov.json"))]
    found = {}
    for record in records:
        if record.inputs:
            found.setdefault(record.stage, []).append(record)
    return found


@pytest.mark.parametrize("seed", range(DRAWS))
def test_a_stage_refuses_a_damaged_input_or_is_not_harmed_by_it(seed, finished, jobs_of, tmp_path):
    rng, results = np.random.default_rng(seed), finished / RESULTS
    stage = sorted(jobs_of)[seed % len(jobs_of)]
    record = jobs_of[stage][rng.integers(len(jobs_of[stage]))]
    given = {option: [results / name for name in of] for option, of in sorted(jobs.files(record.cfg).items())}
    option = sorted(given)[rng.integers(len(given))]
    place = rng.integers(len(given[option]))
    sound, bad = given[option][place], tmp_path / f"bad{given[option][place].suffix}"
    what = damage(rng, sound, bad, sorted(results.rglob(f"*{sound.suffix}")))
    given[option][place] = bad
    if stage in ("plot", "tabulate"):
        given = {"inputs": [path for name in sorted(given) for path in given[name]]}
    outputs = {name: tmp_path / "out" / file for name, file in jobs.options(stage, record.outputs).items()}
    error = call(stage, record.cfg, **given, **outputs)
    if error is not None:
        assert isinstance(error, StudyError) and "\n" not in str(error), what
        assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize("draw", range(6))
def test_what_is_damaged_where_it_lies_is_read_by_no_job(draw, finished, jobs_of, tmp_path):
    """No job takes it for what its maker wrote, so that nothing of it can be CURRENT."""
    rng, shown = np.random.default_rng(draw), tmp_path / "results"
    shutil.copytree(finished / RESULTS, shown)
    stage = sorted(jobs_of)[draw % len(jobs_of)]
    record = jobs_of[stage][rng.integers(len(jobs_of[stage]))]
    given = {option: [shown / name for name in of] for option, of in sorted(jobs.files(record.cfg).items())}
    bad = given[sorted(given)[rng.integers(len(given))]][0]
    content = bad.read_bytes()
    while bad.read_bytes() == content:
        what = damage(rng, bad, bad, sorted(shown.rglob(f"*{bad.suffix}")))
    if stage in ("plot", "tabulate"):
        given = {"inputs": [path for name in sorted(given) for path in given[name]]}
    outputs = {name: tmp_path / "out" / file for name, file in jobs.options(stage, record.outputs).items()}
    error = call(stage, record.cfg, **given, **outputs)
    assert isinstance(error, Changed) and str(bad) in str(error), what
