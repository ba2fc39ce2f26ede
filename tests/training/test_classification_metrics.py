import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.exceptions import UndefinedMetricWarning

from masam_jax.training.classification_metrics import METRICS, score
from masam_jax.training.metric_names import title

NAN = float("nan")


def all_scores(labels, probabilities):
    return {name: score(name, labels, probabilities) for name in METRICS}


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


def _weighted_f1(truth, found):
    each = [(_f1(t, f), t.sum()) for t, f in zip(truth.T, found.T, strict=True) if t.sum()]
    return sum(f1 * n for f1, n in each) / sum(n for _, n in each) if each else NAN


def _balanced(truth, found):
    """Mean recall of the values that occur in truth [n]."""
    return _mean([np.mean(found[truth == value] == value) for value in np.unique(truth)])


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
        balanced = _balanced(labels, found.argmax(1))
    else:
        truth, found = labels.astype(int), (scores >= 0.5).astype(int)
        accuracy = _mean((truth == found).mean(0)) if len(labels) else NAN
        balanced = _mean([_balanced(t, f) for t, f in zip(truth.T, found.T, strict=True)])
    columns = range(scores.shape[1])
    auprc = _mean([_average_precision(truth[:, k], scores[:, k]) for k in columns])
    return {
        "accuracy": accuracy,
        "balanced_accuracy": balanced,
        "micro_f1": _f1(truth.ravel(), found.ravel()),
        "weighted_f1": _weighted_f1(truth, found),
        "macro_f1": _mean([_f1(truth[:, k], found[:, k]) for k in columns]),
        "auroc": _mean([_ranking_auroc(truth[:, k], scores[:, k]) for k in columns]),
        "micro_auroc": _ranking_auroc(truth.ravel(), scores.ravel()),
        "auprc": auprc,
        "micro_auprc": _average_precision(truth.ravel(), scores.ravel()),
        "map": auprc,
    }


def _by_scikit_learn(labels, probabilities):
    """Every metric by scikit-learn; a class that it warns of or gives NaN is left out of means."""
    scores = probabilities.astype(np.float64)
    if not len(labels):
        return dict.fromkeys(METRICS, NAN)
    if labels.ndim == 1:
        truth, found = np.eye(scores.shape[1], dtype=int)[labels], scores.argmax(1)
        accuracy = sk.accuracy_score(labels, found)
        macro_f1 = sk.f1_score(labels, found, average="macro")
        micro_f1 = sk.f1_score(labels, found, average="micro")
        weighted_f1 = sk.f1_score(labels, found, average="weighted")
        balanced = _quiet_balanced(labels, found)
    else:
        truth, found = labels.astype(int), (scores >= 0.5).astype(int)
        accuracy = 1 - sk.hamming_loss(truth, found)
        columns = zip(truth.T, found.T, strict=True)
        macro_f1 = _mean([sk.f1_score(*column, zero_division=NAN) for column in columns])
        micro_f1 = sk.f1_score(truth.ravel(), found.ravel(), zero_division=NAN)
        weighted_f1 = NAN
        if truth.any():
            kept = truth.any(axis=0)
            weighted_f1 = sk.f1_score(truth[:, kept], found[:, kept], average="weighted")
            if kept.sum() == 1:  # To scikit-learn a binary question then, of two classes.
                weighted_f1 = sk.f1_score(truth[:, kept][:, 0], found[:, kept][:, 0])
        balanced = _mean([_quiet_balanced(t, f) for t, f in zip(truth.T, found.T, strict=True)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        columns = list(zip(truth.T, scores.T, strict=True))
        auroc = _mean([sk.roc_auc_score(*column) for column in columns])
        auprc = _mean([sk.average_precision_score(t, s) for t, s in columns if t.any()])
        # [n, 1] is no indicator matrix to scikit-learn, and needs no pool.
        pool = (truth, scores) if truth.shape[1] > 1 else (truth[:, 0], scores[:, 0])
        micro_auroc = sk.roc_auc_score(*pool, average="micro")
        micro_auprc = sk.average_precision_score(*pool, average="micro") if truth.any() else NAN
    return {
        "accuracy": accuracy,
        "balanced_accuracy": balanced,
        "macro_f1": macro_f1,
        "micro_f1": micro_f1,
        "weighted_f1": weighted_f1,
        "auroc": auroc,
        "micro_auroc": micro_auroc,
        "auprc": auprc,
        "micro_auprc": micro_auprc,
        "map": auprc,
    }


def _quiet_balanced(labels, found):
    with warnings.catch_warnings():
        # Of predictions that are no label.
        warnings.simplefilter("ignore", UserWarning)
        return sk.balanced_accuracy_score(labels, found)


def assert_agreement(labels, probabilities):
    found = all_scores(labels, probabilities)
    assert list(found) == list(METRICS)
    assert all(type(value) is float for value in found.values())
    for oracle in (_defined, _by_scikit_learn):
        wanted = oracle(labels, probabilities)
        for name in METRICS:
            message = f"{name}, {oracle.__name__}"
            np.testing.assert_allclose(found[name], wanted[name], 1e-12, 1e-12, err_msg=message)
    for name in METRICS:
        np.testing.assert_array_equal(score(name, labels, probabilities), found[name])


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    rows=st.integers(0, 12),
    classes=st.integers(2, 4),
    steps=st.sampled_from([None, 1]),
    seed=st.integers(0, 2**32),
)
def test_classes_are_scored_as_defined_and_as_scikit_learn_does(rows, classes, steps, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, classes + 1), rows)
    assert_agreement(labels, _softmax(rng, rows, classes, steps=steps))


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    rows=st.integers(0, 12),
    count=st.integers(1, 4),
    steps=st.sampled_from([None, 2]),
    seed=st.integers(0, 2**32),
)
def test_many_labels_are_scored_as_defined_and_as_scikit_learn_does(rows, count, steps, seed):
    rng = np.random.default_rng(seed)
    # Rates of 0 and 1 give labels without positives, and without negatives.
    labels = (rng.random((rows, count)) < rng.choice([0.0, 0.3, 1.0], count)).astype(np.float32)
    assert_agreement(labels, _sigmoid(rng, rows, count, steps=steps))


@pytest.mark.parametrize("classes", [3, 31])
def test_one_call_of_scikit_learn_says_the_same_of_classes(classes):
    rng = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 300)])
    probabilities = _softmax(rng, len(labels), classes)
    scores, found = probabilities.astype(np.float64), probabilities.argmax(1)
    wanted = {
        "accuracy": sk.accuracy_score(labels, found),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, found),
        "micro_f1": sk.f1_score(labels, found, average="micro"),
        "weighted_f1": sk.f1_score(labels, found, average="weighted"),
        "macro_f1": sk.f1_score(labels, found, average="macro", zero_division=0),
        "auroc": sk.roc_auc_score(labels, scores, multi_class="ovr", average="macro"),
        "micro_auroc": sk.roc_auc_score(labels, scores, multi_class="ovr", average="micro"),
        "auprc": sk.average_precision_score(labels, scores, average="macro"),
        "micro_auprc": sk.average_precision_score(labels, scores, average="micro"),
    }
    found_scores = all_scores(labels.astype(np.int32), probabilities)
    assert found_scores == pytest.approx(wanted | {"map": wanted["auprc"]}, abs=1e-12)


@pytest.mark.parametrize("count", [2, 25])
def test_one_call_of_scikit_learn_says_the_same_of_many_labels(count):
    rng = np.random.default_rng(count)
    probabilities = _sigmoid(rng, 200, count)
    labels = (rng.random((200, count)) < 0.2 + 0.4 * probabilities).astype(np.float32)
    found = (probabilities >= 0.5).astype(int)
    wanted = {
        "accuracy": 1 - sk.hamming_loss(labels, found),
        "balanced_accuracy": np.mean(
            [sk.balanced_accuracy_score(*c) for c in zip(labels.T, found.T, strict=True)]
        ),
        "micro_f1": sk.f1_score(labels, found, average="micro"),
        "weighted_f1": sk.f1_score(labels, found, average="weighted"),
        "macro_f1": sk.f1_score(labels, found, average="macro", zero_division=0),
        "auroc": sk.roc_auc_score(labels, probabilities, average="macro"),
        "micro_auroc": sk.roc_auc_score(labels, probabilities, average="micro"),
        "auprc": sk.average_precision_score(labels, probabilities, average="macro"),
        "micro_auprc": sk.average_precision_score(labels, probabilities, average="micro"),
    }
    found_scores = all_scores(labels, probabilities)
    assert found_scores == pytest.approx(wanted | {"map": wanted["auprc"]}, abs=1e-12)


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
    assert np.isnan(one_class["auroc"])
    assert one_class["micro_auroc"] == 0.5
    assert one_class["accuracy"] == one_class["auprc"] == 1.0
    no_positive = all_scores(np.zeros((3, 2)), np.full((3, 2), 0.1))
    assert no_positive.pop("accuracy") == no_positive.pop("balanced_accuracy") == 1.0
    assert np.isnan(list(no_positive.values())).all()
    for labels in (np.zeros(0, np.int64), np.zeros((0, 2))):
        assert np.isnan(list(all_scores(labels, np.zeros((0, 2))).values())).all()


def test_a_threshold_of_a_half_is_positive_and_the_first_of_ties_is_predicted():
    assert score("accuracy", np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])) == 0.5
    assert score("accuracy", np.array([0, 1]), np.full((2, 2), 0.5)) == 0.5


def test_classes_that_do_not_occur_are_left_out_of_means_alone():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 40)
    probabilities = _softmax(rng, 40, 3)
    wider = np.concatenate([probabilities, np.full((40, 2), 0.3, np.float32)], axis=1)
    one, other = all_scores(labels, probabilities), all_scores(labels, wider)
    for name in ("auroc", "auprc", "map"):
        assert other[name] == one[name]
    for name in ("micro_auroc", "micro_auprc"):
        assert other[name] < one[name]


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
        with pytest.raises(ValueError, match=r"unknown metric 'aurok'; did you mean 'auroc'\?"):
            call("aurok")
