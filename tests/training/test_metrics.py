import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics as sk

from masam_jax.training.metrics import METRICS, all_scores, score, title

NAN = float("nan")


def _softmax(rng, rows, classes, *, steps=None):
    """Probabilities [n, C] in float32; coarse ones, with ties, where ``steps`` is given."""
    logits = rng.normal(size=(rows, classes)) * 2
    if steps:
        logits = np.round(logits * steps) / steps
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(1, keepdims=True)).astype(np.float32)


def _sigmoid(rng, rows, labels, *, steps=None):
    found = rng.random((rows, labels))
    return (np.round(found * steps) / steps if steps else found).astype(np.float32)


# Definitions, in float64 NumPy: of one class, truth [n] of 0 and 1 and its scores [n].


def _ranking_auroc(truth, scores):
    """P(score of a positive > score of a negative) + P(equal) / 2, over all pairs."""
    positive, negative = scores[truth == 1], scores[truth == 0]
    if not (positive.size and negative.size):
        return NAN
    above = positive[:, None] > negative[None]
    equal = positive[:, None] == negative[None]
    return float(np.mean(above + 0.5 * equal))


def _average_precision(truth, scores):
    """sum_n (R_n - R_{n-1}) P_n over the distinct scores, falling."""
    if not truth.sum():
        return NAN
    total, recall = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        chosen = scores >= threshold
        hits = truth[chosen].sum()
        total += (hits / truth.sum() - recall) * hits / chosen.sum()
        recall = hits / truth.sum()
    return float(total)


def _f1(truth, found):
    hits = np.sum((truth == 1) & (found == 1))
    either = truth.sum() + found.sum()
    return 2 * hits / either if either else NAN


def _mean(values):
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else NAN


def _defined(labels, probabilities):
    """Every metric by its definition."""
    scores = probabilities.astype(np.float64)
    if labels.ndim == 1:
        classes = np.arange(scores.shape[1])
        truth = (labels[:, None] == classes).astype(int)
        found = (scores.argmax(1)[:, None] == classes).astype(int) if len(labels) else truth
        accuracy = _mean((truth * found).sum(1))
    else:
        truth, found = labels.astype(int), (scores >= 0.5).astype(int)
        accuracy = _mean((truth == found).mean(0)) if len(labels) else NAN
    occurs = truth.any(0)
    mixed = occurs & ~truth.all(0)
    columns = range(scores.shape[1])
    auprc = _mean([_average_precision(truth[:, k], scores[:, k]) for k in columns])
    return {
        "accuracy": accuracy,
        "macro_f1": _mean([_f1(truth[:, k], found[:, k]) for k in columns]),
        "auroc": _mean([_ranking_auroc(truth[:, k], scores[:, k]) for k in columns]),
        "micro_auroc": _ranking_auroc(truth[:, mixed].ravel(), scores[:, mixed].ravel()),
        "auprc": auprc,
        "micro_auprc": _average_precision(truth[:, occurs].ravel(), scores[:, occurs].ravel()),
        "map": auprc,
    }


def _agree(labels, probabilities):
    found = all_scores(labels, probabilities)
    wanted = _defined(labels, probabilities)
    assert list(found) == list(METRICS)
    assert all(type(value) is float for value in found.values())
    for name in METRICS:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12, atol=1e-12, err_msg=name)
        np.testing.assert_array_equal(score(name, labels, probabilities), found[name])


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    rows=st.integers(0, 12),
    classes=st.integers(2, 4),
    steps=st.sampled_from([None, 1]),
    seed=st.integers(0, 2**32),
)
def test_classes_by_the_definitions(rows, classes, steps, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, classes + 1), rows)
    _agree(labels, _softmax(rng, rows, classes, steps=steps))


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    rows=st.integers(0, 12),
    count=st.integers(1, 4),
    steps=st.sampled_from([None, 2]),
    seed=st.integers(0, 2**32),
)
def test_many_labels_by_the_definitions(rows, count, steps, seed):
    rng = np.random.default_rng(seed)
    # Rates of 0 and 1 give labels without positives, and without negatives.
    labels = (rng.random((rows, count)) < rng.choice([0.0, 0.3, 1.0], count)).astype(np.float32)
    _agree(labels, _sigmoid(rng, rows, count, steps=steps))


@pytest.mark.parametrize("classes", [3, 6, 31])
def test_classes_as_scikit_learn_has_them(classes):
    rng = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 300)])
    probabilities = _softmax(rng, len(labels), classes)
    scores, found = probabilities.astype(np.float64), probabilities.argmax(1)
    wanted = {
        "accuracy": sk.accuracy_score(labels, found),
        "macro_f1": sk.f1_score(labels, found, average="macro", zero_division=0),
        "auroc": sk.roc_auc_score(labels, scores, multi_class="ovr", average="macro"),
        "micro_auroc": sk.roc_auc_score(labels, scores, multi_class="ovr", average="micro"),
        "auprc": sk.average_precision_score(labels, scores, average="macro"),
        "micro_auprc": sk.average_precision_score(labels, scores, average="micro"),
    }
    found_scores = all_scores(labels.astype(np.int32), probabilities)
    assert found_scores == pytest.approx(wanted | {"map": wanted["auprc"]}, abs=1e-12)


@pytest.mark.parametrize("count", [2, 25])
def test_many_labels_as_scikit_learn_has_them(count):
    rng = np.random.default_rng(count)
    probabilities = _sigmoid(rng, 200, count)
    labels = (rng.random((200, count)) < 0.2 + 0.4 * probabilities).astype(np.float32)
    found = (probabilities >= 0.5).astype(int)
    wanted = {
        "accuracy": np.mean([sk.accuracy_score(labels[:, k], found[:, k]) for k in range(count)]),
        "macro_f1": sk.f1_score(labels, found, average="macro", zero_division=0),
        "auroc": sk.roc_auc_score(labels, probabilities, average="macro"),
        "micro_auroc": sk.roc_auc_score(labels, probabilities, average="micro"),
        "auprc": sk.average_precision_score(labels, probabilities, average="macro"),
        "micro_auprc": sk.average_precision_score(labels, probabilities, average="micro"),
    }
    found_scores = all_scores(labels, probabilities)
    assert found_scores == pytest.approx(wanted | {"map": wanted["auprc"]}, abs=1e-12)


def test_one_binary_question_as_scikit_learn_has_it():
    rng = np.random.default_rng(0)
    probabilities = _sigmoid(rng, 100, 1)
    labels = (rng.random((100, 1)) < probabilities).astype(np.int32)
    truth, scores = labels[:, 0], probabilities[:, 0]
    auroc, auprc = sk.roc_auc_score(truth, scores), sk.average_precision_score(truth, scores)
    wanted = {
        "accuracy": sk.accuracy_score(truth, scores >= 0.5),
        "macro_f1": sk.f1_score(truth, scores >= 0.5),
        "auroc": auroc,
        "micro_auroc": auroc,
        "auprc": auprc,
        "micro_auprc": auprc,
        "map": auprc,
    }
    assert all_scores(labels, probabilities) == pytest.approx(wanted, abs=1e-12)


def test_known_values():
    labels = np.array([0, 1, 1, 0])
    positive = np.array([0.1, 0.4, 0.8, 0.6])
    # Ranked 1 0 1 0: three of the four pairs are in order; AP = 1/2 * 1 + 1/2 * 2/3.
    scores = all_scores(labels[:, None], positive[:, None])
    assert scores["auroc"] == pytest.approx(3 / 4)
    assert scores["auprc"] == pytest.approx(5 / 6)
    assert scores["accuracy"] == pytest.approx(1 / 2)
    assert scores["macro_f1"] == pytest.approx(1 / 2)
    two = all_scores(labels, np.stack([1 - positive, positive], axis=1))
    assert two["auroc"] == pytest.approx(3 / 4)
    # The other class ranks 1 0 1 0 as well.
    assert two["auprc"] == pytest.approx(5 / 6)


def test_what_is_not_defined_is_nan():
    one_class = all_scores(np.zeros(3, np.int64), np.full((3, 2), 0.5))
    assert np.isnan([one_class["auroc"], one_class["micro_auroc"]]).all()
    assert one_class["accuracy"] == one_class["auprc"] == 1.0
    no_positive = all_scores(np.zeros((3, 2)), np.full((3, 2), 0.1))
    assert no_positive.pop("accuracy") == 1.0
    assert np.isnan(list(no_positive.values())).all()
    for labels in (np.zeros(0, np.int64), np.zeros((0, 2))):
        assert np.isnan(list(all_scores(labels, np.zeros((0, 2))).values())).all()


def test_a_threshold_of_a_half_is_positive_and_the_first_of_ties_is_predicted():
    assert score("accuracy", np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])) == 0.5
    assert score("accuracy", np.array([0, 1]), np.full((2, 2), 0.5)) == 0.5


def test_classes_that_do_not_occur_are_left_out():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 40)
    probabilities = _softmax(rng, 40, 3)
    wider = np.concatenate([probabilities, np.zeros((40, 2), np.float32)], axis=1)
    assert all_scores(labels, wider) == all_scores(labels, probabilities)


def test_titles_are_words_for_tables():
    titles = [title(name) for name in METRICS]
    assert len(set(titles)) == len(METRICS)
    assert title("macro_f1") == "Macro-F1"
    assert title("micro_auprc") == "AUPRC (micro)"


@pytest.mark.parametrize(
    "labels, probabilities, message",
    [
        ([0, 1], [[0.5, 0.5], [NAN, 0.5]], r"1 non-finite values, .*\(nan\) in row 1, column 0"),
        ([0, 1], [[0.5, float("inf")], [0.5, NAN]], r"2 non-finite .*\(inf\) in row 0, column 1"),
        ([0, 1], [[-3.0, 2.0], [0.5, 0.5]], "run from -3 to 2; .*after softmax or sigmoid"),
        ([0, 1], [[0.5, 0.5]], r"labels have shape \(2,\) and probabilities \(1, 2\)"),
        ([0, 1], [0.5, 0.5], r"probabilities \(2,\)"),
        ([[0, 1]], [[0.5]], r"labels have shape \(1, 2\) and probabilities \(1, 1\)"),
        (0, [[0.5]], r"labels have shape \(\)"),
        ([0, 2], [[0.5, 0.5]] * 2, r"labels run from 0 to 2; with 2 columns .*0\.\.1"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, "labels have dtype float64"),
        ([[0, 2]], [[0.5, 0.5]], r"labels \[n, K\] hold 1 values other than 0 and 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        all_scores(np.array(labels), np.array(probabilities))
    with pytest.raises(ValueError, match=message):
        score("accuracy", np.array(labels), np.array(probabilities))


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    for call in (title, lambda name: score(name, np.array([0, 1]), np.full((2, 2), 0.5))):
        with pytest.raises(ValueError, match=r"'aurok' is no metric \(did you mean 'auroc'\?\)"):
            call("aurok")
