"""The report of whole runs: of any strategy, finished, unfinished, empty, failed, garbled; its command."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from raynas.cli.main import app
from raynas.programs.report.document import Document, Figure, Paragraph, Table
from raynas.programs.report.run.children import SCHEMA, children_table
from raynas.programs.report.run.report import run_report
from raynas.run.journal import Journal
from raynas.run.recorded import RecordedRun
from tests.programs.report.journals import failed, finished, proposed, started, write_journal


def text_of(document: Document) -> str:
    """All that is written in it, a line per paragraph, row or caption."""
    lines = [document.title, document.lead]
    for section in document.sections:
        lines.append(section.title)
        for block in section.blocks:
            if isinstance(block, Paragraph):
                lines.append(block.text)
            elif isinstance(block, Table):
                lines += [" | ".join(row) for row in (block.columns, *block.rows)]
            else:
                lines.append(block.caption)
    return "\n".join(lines)


def names(document: Document) -> list[str]:
    return [picture.name for picture in document.figures]


def check_figures(pictures: list[Figure]) -> None:
    """Each is an SVG of some size, under a name of its own, and nothing that could be run."""
    assert len({picture.name for picture in pictures}) == len(pictures)
    for picture in pictures:
        root = ElementTree.fromstring(picture.svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(re.match(r"[\d.]+", root.attrib["width"])[0]) > 100
        assert not [node for node in root.iter() if node.tag.endswith(("script", "foreignObject"))]


def test_a_run_of_ppo_has_it_all(tmp_path):
    run = RecordedRun.read(write_journal(tmp_path, 40).parent)
    document = run_report(run)
    check_figures(document.figures)
    assert names(document) == [
        "best-against-children",
        "best-against-time",
        "reward-by-version",
        "reward-by-child",
        "entropy",
        "early-and-late",
        "operations",
        "operations-of-the-best",
        "cell-1",
        "cell-2",
        "cell-3",
        "accuracy-against-parameters",
        "accuracy-against-mult-adds",
        "accuracy-against-latency-ms",
    ]
    text = text_of(document)
    records, best = run.records.values(), run.entries[0]
    assert document.lead.startswith("Strategy ppo in the search space nasnet on digits: 40 of 40 children")
    assert document.lead.endswith(
        f"The best is {best.arch_id} (child {best.child}) with a validation accuracy of {best.accuracy:.4f}."
    )
    num_failed = sum(record.result.status == "failed" for record in records)
    assert f"\n{num_failed} | RuntimeError: boom <b>N</b> | x\n" in text
    assert f"infeasible proposals | {sum(record.is_infeasible for record in records)}\n" in text
    assert "\nseed | 0\n" in text
    assert "on head, 2 children at a time; 2 CPUs (quick), 4 GiB memory, Linux; torch 2\n" in text
    assert "\nstrategy.batch_size | 4\n" in text


@pytest.mark.slow
def test_the_same_journal_gives_the_same_bytes(tmp_path):
    folder = write_journal(tmp_path, 14).parent
    assert run_report(RecordedRun.read(folder)) == run_report(RecordedRun.read(folder))


def test_random_search_has_no_policy_to_be_drawn(tmp_path):
    settings = {"strategy": {"name": "random"}}
    document = run_report(RecordedRun.read(write_journal(tmp_path, 16, settings=settings).parent))
    check_figures(document.figures)
    assert not {"reward-by-version", "entropy"} & set(names(document))
    assert {"reward-by-child", "early-and-late", "operations", "cell-1"} <= set(names(document))
    assert "This strategy records no log-probabilities" in text_of(document)


def test_a_front_is_drawn_with_its_hypervolume(tmp_path):
    settings = {"reward": {"name": "pareto", "worst_cost": 50_000}}
    document = run_report(RecordedRun.read(write_journal(tmp_path, 16, settings=settings).parent))
    check_figures(document.figures)
    assert names(document)[-2:] == ["accuracy-against-parameters", "hypervolume"]
    volume = re.search(r"hypervolume (0\.\d{4})\.$", document.lead)[1]
    assert 0 < float(volume) < 1
    assert f"at the end {volume}." in text_of(document)
    assert "| on the front |" in text_of(document)


def test_an_unfinished_run_says_so(tmp_path):
    document = run_report(RecordedRun.read(write_journal(tmp_path, 9, num_unfinished=4).parent))
    check_figures(document.figures)
    assert ": 5 of 9 children have ended; the run is unfinished." in document.lead
    assert "children that have not ended | 4" in text_of(document)


@pytest.mark.parametrize(("num_children", "num_unfinished"), [(1, 1), (1, 0), (2, 0)])
def test_a_run_may_be_tiny(tmp_path, num_children, num_unfinished):
    path = write_journal(tmp_path, num_children, num_unfinished=num_unfinished)
    check_figures(run_report(RecordedRun.read(path.parent)).figures)


def test_a_run_in_which_all_failed_has_its_reasons_and_no_best(tmp_path):
    document = run_report(RecordedRun.read(write_journal(tmp_path, 6, result=failed).parent))
    check_figures(document.figures)
    assert names(document) == ["operations"]
    assert "6 of 6 children have ended. None of them has a score yet." in document.lead
    assert "6 | the loss became nan in epoch N" in text_of(document)
    assert "The best cells" not in text_of(document)


def test_a_run_that_has_only_begun_is_a_report_too():
    document = run_report(RecordedRun(Path("one"), [started()]))
    assert document.figures == []
    assert "unknown data: 0 children have ended" in document.lead


@pytest.mark.parametrize(
    "config",
    [
        {"space": "nasnet", "strategy": 3, "reward": [], "data": None},
        {"space": {"name": "nobodys:Space"}, "reward": {"name": "pareto", "cost": "weight"}},
        {"space": {"name": "nasnet", "num_blocks": -1}, "children": "many", "seed": {"a": [1]}},
        {"space": {"num_blocks": 2}, "tracking": {"uri": "postgresql://me:secret@host/db"}},
    ],
)
def test_a_journal_that_was_changed_by_hand_is_reported_as_far_as_it_is_known(config):
    events = [started(config)]
    for child in range(14):
        info = {"policy_version": child // 7, "log_probs": [-1.0, "x"]}
        events.append(proposed(child, parameters=2**63 - 1, info=info))
        events.append(finished(child, at=child, accuracy=child / 20, reward=1e308 if child % 2 else -1e308))
    document = run_report(RecordedRun(Path("one"), events))
    check_figures(document.figures)
    assert "secret" not in text_of(document)
    assert "operations and cells are not drawn" in text_of(document)


def test_the_table_of_children_has_what_the_journal_has(tmp_path):
    run = RecordedRun.read(write_journal(tmp_path, 20, num_unfinished=2).parent)
    records = list(run.records.values())
    table = children_table(run)
    assert table.schema == SCHEMA
    rows = table.to_pylist()
    assert [row["child"] for row in rows] == [record.id for record in records]
    for row, record in zip(rows, records, strict=True):
        assert tuple(row["actions"]) == record.proposed.actions
        assert row["parameters"] == record.proposed.parameters
        assert row["status"] == (record.result.status if record.result else "unfinished")
        assert row["reward"] == record.reward
        assert row["log_prob"] == pytest.approx(sum(record.proposed.info["log_probs"]))
        if record.result is not None:
            assert row["accuracy"] == record.result.accuracy
            assert row["accuracy_by_epoch"] == [report.accuracy for report in record.result.curve]
            assert row["finished_at"].timestamp() == record.finished.time


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with one run below runs/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "one").mkdir(parents=True)
    write_journal(tmp_path / "runs" / "one", 6)
    return tmp_path


def test_the_report_is_written_beside_the_journal_also_while_the_run_goes_on(folder):
    path = folder / "runs" / "one" / "journal.jsonl"
    before = path.read_bytes()
    with Journal(path):
        code, out, _ = call()
    assert code == 0
    assert out.split() == [
        f"runs/one/report/{name}" for name in ("report.html", "report.md", "children.parquet")
    ]
    assert path.read_bytes() == before
    text = (folder / "runs/one/report/report.md").read_text()
    for picture in re.findall(r"\]\((.*)\)", text):
        assert (folder / "runs/one/report" / picture).is_file()
    assert pq.read_table(folder / "runs/one/report/children.parquet").schema == SCHEMA


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere holds no run"),
        (["--out", "."], ". is not empty, and is left as it is. Choose another folder."),
        (["--out", "runs/one/journal.jsonl"], "is a file. A report needs a folder"),
    ],
)
def test_a_mistake_ends_with_code_2_and_nothing_is_written(folder, arguments, message):
    before = sorted(folder.rglob("*"))
    code, _, error = call(*arguments)
    assert (code, message in error) == (2, True), error
    assert sorted(folder.rglob("*")) == before
