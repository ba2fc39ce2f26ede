"""Scores of classes: against scikit-learn, and against a computation of their own."""

import csv
import json

import numpy as np
import pytest
import sklearn.metrics

from masam_jax.analysis.class_scores import ClassCounts, read_class_counts
from masam_jax.analysis.class_tables import MOST_CLASSES, matrix, pair_cells, score_cells
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.table_files import save_tables
from masam_jax.training.class_counts import count_classes
from tests.analysis.fake_directories import (
    fake_metrics,
    fake_result,
    write_comparison,
    write_counts,
    write_json,
    write_run,
)


def _by_hand(labels, found, k):
    """Precision, recall, F1 and support of a class, float64, from pairs of one seed."""
    pairs = list(zip(labels.tolist(), found.tolist(), strict=True))
    hits = sum(t == k and p == k for t, p in pairs)
    support, predicted = sum(t == k for t, _ in pairs), sum(p == k for _, p in pairs)
    precision = hits / predicted if predicted else (0.0 if support else None)
    recall = hits / support if support else None
    f1 = 2 * hits / (support + predicted) if support + predicted else None
    return precision, recall, f1, support


def _mean_and_std(values):
    values = [v for v in values if v is not None]
    if not values:
        return None, None
    mean = sum(values) / len(values)
    if len(values) == 1:
        return mean, None
    return mean, (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5


@pytest.mark.parametrize(("classes", "seeds"), [(2, 1), (3, 4), (7, 2), (30, 3)])
def test_scores_are_those_of_a_computation_by_hand(classes, seeds):
    rng = np.random.default_rng(classes)
    # Some classes do not occur, some are never predicted.
    labels = rng.integers(0, max(2, classes - 1), (seeds, 40))
    found = np.where(rng.random((seeds, 40)) < 0.6, labels, rng.integers(0, classes, (seeds, 40)))
    found[found == 1] = 0
    scores = ClassCounts(
        tuple(map(str, range(classes))), count_classes(labels, found, classes)
    ).scores()
    for k, score in enumerate(scores):
        expected = [_by_hand(labels[s], found[s], k) for s in range(seeds)]
        for position, summary in enumerate((score.precision, score.recall, score.f1)):
            mean, std = _mean_and_std([line[position] for line in expected])
            assert summary.mean == (None if mean is None else pytest.approx(mean, abs=1e-12))
            assert summary.std == (None if std is None else pytest.approx(std, abs=1e-12))
        assert score.support == sum(line[3] for line in expected)


def test_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 5, (2, 1, 300))
    counts = ClassCounts(tuple("abcde"), count_classes(labels, found, 5))
    expected = sklearn.metrics.precision_recall_fscore_support(labels[0], found[0])
    for k, score in enumerate(counts.scores()):
        ours = (score.precision.mean, score.recall.mean, score.f1.mean, score.support)
        np.testing.assert_allclose(ours, [column[k] for column in expected], rtol=1e-12)
    np.testing.assert_array_equal(
        counts.pooled, sklearn.metrics.confusion_matrix(labels[0], found[0])
    )


def test_scores_of_several_labels_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 2, (2, 1, 100, 4))
    counts = ClassCounts(tuple("abcd"), count_classes(labels, found, 4))
    assert counts.multi_label
    expected = sklearn.metrics.precision_recall_fscore_support(labels[0], found[0])
    for k, score in enumerate(counts.scores()):
        ours = (score.precision.mean, score.recall.mean, score.f1.mean, score.support)
        np.testing.assert_allclose(ours, [column[k] for column in expected], rtol=1e-12)
    np.testing.assert_array_equal(
        counts.pooled, sklearn.metrics.multilabel_confusion_matrix(labels[0], found[0])
    )
    assert counts.confused_pairs() == []
    assert matrix(counts) is None


def test_the_most_confused_pairs_come_first():
    counts = ClassCounts(("a", "b", "c"), np.array([[[5, 3, 0], [1, 5, 0], [0, 7, 1]]] * 2))
    assert counts.confused_pairs() == [
        ("c", "b", 14, 14 / 16),
        ("a", "b", 6, 6 / 16),
        ("b", "a", 2, 2 / 12),
    ]


def test_many_classes_are_cut_to_what_can_be_read():
    few, many = (
        ClassCounts(tuple(map(str, range(n))), np.ones((1, n, n), int)) for n in (MOST_CLASSES, 101)
    )
    lines, left_out = score_cells(few)
    assert (len(lines), left_out) == (MOST_CLASSES, 0)
    assert len(matrix(few)["lines"]) == MOST_CLASSES
    lines, left_out = score_cells(many)
    assert (len(lines), left_out) == (15, 86)
    assert matrix(many) is None
    assert len(pair_cells(many)) == 15


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_files_hold_everything(tmp_path, multi_label):
    directory = write_comparison(tmp_path / "c", seeds=3)
    names = ["=a", *(f"class {k}" for k in range(1, 25))]
    counts = write_counts(directory, 25, multi_label=multi_label, names=names)
    names[0] = "'=a"  # No formula.
    assert [p.name for p in save_tables(directory)][3:] == ["classes.csv", "confusion.csv"]
    with (directory / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == names * 3
    table = counts[1]
    of_class = table[:, 4] if multi_label else None
    hits = of_class[:, 1, 1] if multi_label else table[:, 4, 4]
    support = of_class[:, 1].sum(axis=1) if multi_label else table[:, 4].sum(axis=1)
    row = rows[25 + 4]
    assert row["spec"] == "sam:rho=0.5"
    assert float(row["recall_mean"]) == pytest.approx(np.mean(hits / support), rel=1e-12)
    assert float(row["recall_std"]) == pytest.approx(np.std(hits / support, ddof=1), rel=1e-12)
    assert int(row["support"]) == support.sum()
    with (directory / "confusion.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    found = np.array([int(line["samples"]) for line in lines])
    np.testing.assert_array_equal(found, np.concatenate([c.sum(axis=0).ravel() for c in counts]))
    if multi_label:
        assert lines[1] == {
            "method": "Late fusion",
            "spec": "late_fusion",
            "label": names[0],
            "true": "0",
            "predicted": "1",
            "samples": str(counts[0].sum(axis=0)[0, 0, 1]),
        }
    else:
        assert (lines[1]["true"], lines[1]["predicted"]) == (names[0], names[1])


def test_a_single_run_has_its_classes_too(tmp_path):
    result = fake_result("masam", "MASAM", [0.9, 0.91])
    directory = write_run(tmp_path / "run", result, fake_metrics(result, traced=True))
    content = {"split": "test", "seeds": [0, 1], "counts": [[[3, 1], [0, 4]]] * 2}
    write_json(directory / "confusion.json", content)
    ((title, spec, counts),) = read_class_counts(read_directory(directory))
    assert (title, spec, counts.names) == ("MASAM", "masam", ("0", "1"))


def test_runs_without_counts_or_with_those_of_another_split_have_no_classes(tmp_path):
    directory = write_comparison(tmp_path / "c", seeds=2)
    assert read_class_counts(read_directory(directory)) == []
    assert len(save_tables(directory)) == 3
    write_counts(directory, 3)
    for file in directory.glob("methods/*/confusion.json"):
        write_json(file, json.loads(file.read_text()) | {"split": "validation"})
    assert read_class_counts(read_directory(directory)) == []


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[" * 10_000,
        "[]",
        '{"split": "test"}',
        '{"split": "test", "counts": []}',
        '{"split": "test", "counts": [[[1, 2], [3]], [[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[[1, 2], [3, -4]], [[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[[1, 2], [3, 0.5]], [[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[["a", 2], [3, 4]], [[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[[1e400, 2], [3, 4]], [[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[[99999999999999999999, 2], [3, 4]], [[1, 2], [3, 4]]]}',
        '{"split": "test", "counts": [[], []]}',
    ],
)
def test_damaged_counts_are_an_error_that_names_the_file(tmp_path, content):
    directory = write_comparison(tmp_path / "c", seeds=2)
    (directory / "methods" / "sam-rho-0-5" / "confusion.json").write_text(content)
    with pytest.raises(ValueError, match=r"sam-rho-0-5.confusion\.json is damaged"):
        save_tables(directory)


def test_names_that_are_damaged_are_an_error(tmp_path):
    directory = write_comparison(tmp_path / "c", seeds=2)
    write_counts(directory, 3, names=["a", "b", "c"])
    (directory / "data.json").write_text('{"classes": 3}')
    with pytest.raises(ValueError, match=r"data\.json is damaged"):
        save_tables(directory)


def test_names_are_one_line_without_signs_that_steer(tmp_path):
    directory = write_comparison(tmp_path / "c", seeds=2)
    write_counts(directory, 3, names=["a\nb", "\u202ec", "d"])
    assert read_class_counts(read_directory(directory))[0][2].names == ("a b", "c", "d")
