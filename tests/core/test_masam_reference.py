"""The library against the NumPy reference, over whole trajectories, to 1e-10 in 64 bits."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad, sam
from masam_jax.methods.recommended import RECOMMENDED
from tests.core.networks import labels_of, late_fusion, loss_fn
from tests.core.optimizers import lenient
from tests.core.reference import Adam, Base, MasamReference, Momentum, Record, SamReference
from tests.core.reference_network import Batch, Parameters, draw_batches, initialise, nested

STEPS = 60
TOLERANCE = 1e-10
# Out of sorted order, so that an order of arrival would show.
NAMES = ("text", "audio", "video", "depth", "imu")
# By number of modalities: seeds whose trajectories perturb modalities in conflict with the fusion
# loss too.
SEEDS = {1: 3, 2: 8, 3: 11, 5: 19}


@dataclass(frozen=True)
class Case:
    """One trajectory: everything but how the library is asked to compute it."""

    count: int
    base: str = "momentum"
    scheduled: bool = False
    weighted: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    missing: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return NAMES[: self.count]

    @property
    def weights(self) -> dict[str, float] | None:
        return {m: 0.4 + 0.3 * i for i, m in enumerate(self.names)} if self.weighted else None

    def __str__(self) -> str:
        words = [f"M{self.count}", self.base]
        words += ["scheduled"] * self.scheduled + ["weighted"] * self.weighted
        words += [f"{name}={value}" for name, value in self.options]
        return "-".join(words + ["missing"] * self.missing)


def _rho(t: Any) -> Any:
    return 0.9 * 0.8 ** (t / 10)


def _base(name: str) -> Base:
    return Momentum(0.03, 0.9) if name == "momentum" else Adam(0.006)


def _optimizer(name: str) -> optax.GradientTransformation:
    return lenient(optax.sgd(0.03, momentum=0.9) if name == "momentum" else optax.adam(0.006))


def _problem(case: Case) -> tuple[Parameters, list[Batch], list[dict[str, bool]] | None]:
    dimensions = {m: 2 + i for i, m in enumerate(case.names)}
    seed = SEEDS[case.count]
    present = None
    if case.missing:
        draws = np.random.default_rng(seed).random((STEPS, case.count)) < 0.6
        draws[0, 0] = False  # a modality whose first loss comes late
        draws[7] = False  # a step that nobody attends
        present = [dict(zip(case.names, map(bool, row), strict=True)) for row in draws]
    return (
        initialise(seed, dimensions),
        draw_batches(seed + 10, dimensions, steps=STEPS),
        present,
    )


@functools.cache
def _expected(case: Case) -> tuple[list[Parameters], list[Record]]:
    parameters, batches, present = _problem(case)
    reference = MasamReference(
        _base(case.base),
        **{
            "rho": _rho if case.scheduled else 0.5,
            "alpha": 0.6,
            "beta": 0.8,
            "weights": case.weights,
            **dict(case.options),
        },
    )
    trajectory, records = [], []
    for t, batch in enumerate(batches):
        parameters, record = reference.step(parameters, batch, present[t] if present else None)
        trajectory.append(parameters)
        records.append(record)
    return trajectory, records


Update = Callable[..., tuple[Any, Any]]


def _jitted(value_and_grad: Callable[..., Any], tx: optax.GradientTransformation) -> Update:
    """The whole step in one compiled function."""

    @jax.jit
    def step(params: Any, state: Any, batch: Batch, extra: Mapping[str, Any]) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals, **extra)
        return optax.apply_updates(params, updates), state

    return step


def _from_python(value_and_grad: Callable[..., Any], tx: optax.GradientTransformation) -> Update:
    """The gradients compiled and the update not, so that the dominant modality is concrete."""
    value_and_grad = jax.jit(value_and_grad)

    def step(params: Any, state: Any, batch: Batch, extra: Mapping[str, Any]) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals, **extra)
        return optax.apply_updates(params, updates), state

    return step


def _compare(
    case: Case,
    tx: optax.GradientTransformation,
    *,
    path: str,
    make_step: Callable[..., Update],
    microbatches: int = 1,
) -> None:
    """Runs the library on the case's problem, asserting at every step."""
    parameters, batches, present = _problem(case)
    trajectory, records = _expected(case)
    value_and_grad = multimodal_value_and_grad(
        loss_fn if path == "plain" else late_fusion(case.names),
        loss_weights=case.weights,
        microbatches=microbatches,
    )
    params = jax.tree.map(jnp.asarray, nested(parameters))
    state = tx.init(params)
    step = make_step(value_and_grad, tx)
    for t, batch in enumerate(batches):
        extra = {} if present is None else {"present": present[t]}
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch), extra)
        _assert_step(t, params, state, trajectory[t], records[t], case)


def _assert_close(got: Any, want: Any, name: str, t: int) -> None:
    np.testing.assert_allclose(
        got, want, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"{name} at step {t}"
    )


def _assert_step(
    t: int, params: Any, state: Any, expected: Parameters, record: Record, case: Case
) -> None:
    metrics = masam_metrics(state)
    for name, values in [
        ("alignment", record.alignment),
        ("decay", record.decay),
        ("score", record.score),
        ("ma_loss", record.average),
    ]:
        # An absent modality's average is compared too: it must stay. The others say nothing then.
        for m in case.names if name == "ma_loss" else record.present:
            if m in values:
                _assert_close(metrics[f"{name}/{m}"], values[m], f"{name}/{m}", t)
    if dict(case.options).get("select", "dominant") == "dominant" and record.perturbed:
        assert (metrics["dominant"],) == record.perturbed, f"dominant at step {t}"
    jax.tree.map_with_path(
        lambda path, got, want: _assert_close(got, want, jax.tree_util.keystr(path), t),
        params,
        nested(expected),
    )


def _masam(case: Case, **options: Any) -> optax.GradientTransformation:
    arguments: dict[str, Any] = {
        # Optax's own schedules compute in 32 bits.
        "rho": (lambda count: _rho(count.astype(jnp.float64))) if case.scheduled else 0.5,
        "alpha": 0.6,
        "beta": 0.8,
        **dict(case.options),
        **options,
    }
    return optax.chain(masam(labels_of, **arguments), _optimizer(case.base))


@pytest.fixture(autouse=True)
def _64_bits(x64: None) -> None:
    return


MAIN = [
    Case(1, "momentum", scheduled=False, weighted=False),
    Case(1, "adam", scheduled=True, weighted=True),
    Case(2, "momentum", scheduled=True, weighted=True),
    Case(2, "adam", scheduled=False, weighted=False),
    Case(3, "momentum", scheduled=False, weighted=True),
    Case(3, "adam", scheduled=True, weighted=False),
    Case(5, "momentum", scheduled=True, weighted=False),
    Case(5, "adam", scheduled=False, weighted=True),
]


@pytest.mark.parametrize("case", MAIN, ids=str)
def test_trajectories_are_worth_comparing(case: Case) -> None:
    _, records = _expected(case)
    dominant = [record.perturbed[0] for record in records]
    changes = sum(a != b for a, b in itertools.pairwise(dominant))
    assert changes >= (0 if case.count == 1 else 5)
    assert set(dominant) == set(case.names)
    assert any(record.alignment[m] < 0 for record, m in zip(records, dominant, strict=True)), (
        "no conflicting modality was perturbed"
    )
    assert any(record.decay[m] > 0 for record in records for m in case.names)


# Between its two bases every number of modalities meets all four.
WAYS = {
    "momentum": [("dense", "plain"), ("switch", "late_fusion")],
    "adam": [("dense", "late_fusion"), ("switch", "plain")],
}


@pytest.mark.parametrize(
    "case, dispatch, path", [(case, *way) for case in MAIN for way in WAYS[case.base]], ids=str
)
def test_masam_compiled(case: Case, dispatch: str, path: str) -> None:
    _compare(case, _masam(case, dispatch=dispatch), path=path, make_step=_jitted)


@pytest.mark.parametrize("case, path", [(MAIN[2], "late_fusion"), (MAIN[5], "plain")], ids=str)
def test_masam_dispatched_from_python(case: Case, path: str) -> None:
    _compare(case, _masam(case, dispatch="host"), path=path, make_step=_from_python)


OPTIONS: list[dict[str, Any]] = [
    {"select": "all"},
    {"select": "all", "scale_by_alignment": False, "clip_negative": True},
    {"select": "audio"},
    {"scale_by_alignment": False},
    {"clip_negative": True},
    {"alignment": "per_tensor"},
    {"alpha": 0.0, "beta": 0.0},
    {"alpha": 1.0, "beta": 0.5},
    {"radius": "relative", "rho": 0.2},
    {"radius": "filter", "rho": 0.4},
    {"radius": "filter", "eta": 0.3, "select": "all", "direction": "total"},
    {"fit_exponent": 1.5},
    {"fit_exponent": 0.7, "radius": "filter", "select": "all", "direction": "total"},
    {"correct_other": True},
    {"direction": "total"},
    RECOMMENDED,
    {"select": "audio", "radius": "relative", "correct_other": True, "direction": "total"},
]


def _ids(value: Any) -> str | None:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None


@pytest.mark.parametrize("options", OPTIONS, ids=_ids)
def test_masam_options(options: dict[str, Any]) -> None:
    case = Case(3, "momentum", weighted=True, options=tuple(options.items()))
    _compare(case, _masam(case), path="plain", make_step=_jitted)


LOOKING_AHEAD = {"radius": "relative", "rho": 0.2, "correct_other": True, "direction": "total"}


@pytest.mark.parametrize(
    "dispatch, path",
    [
        ("dense", "late_fusion"),
        ("switch", "late_fusion"),
        ("switch", "plain"),
        ("host", "late_fusion"),
        ("auto", "plain"),
    ],
)
def test_masam_options_of_the_perturbation_under_every_dispatch(dispatch: str, path: str) -> None:
    case = Case(3, "adam", weighted=True, options=tuple(LOOKING_AHEAD.items()), missing=True)
    make_step = _from_python if dispatch == "host" else _jitted
    _compare(case, _masam(case, dispatch=dispatch), path=path, make_step=make_step)


def test_masam_options_over_microbatches() -> None:
    case = Case(3, "momentum", weighted=True, options=tuple(LOOKING_AHEAD.items()))
    _compare(case, _masam(case), path="late_fusion", make_step=_jitted, microbatches=3)


@pytest.mark.parametrize(
    "count, options, way",
    [
        (1, {}, ("dense", "plain", _jitted)),
        (3, {}, ("switch", "late_fusion", _jitted)),
        (3, {}, ("host", "late_fusion", _from_python)),
        (3, {"select": "all"}, ("dense", "late_fusion", _jitted)),
        (3, {"select": "audio", "scale_by_alignment": False}, ("auto", "plain", _jitted)),
    ],
    ids=_ids,
)
def test_masam_missing_modalities(
    count: int, options: dict[str, Any], way: tuple[str, str, Callable[..., Update]]
) -> None:
    dispatch, path, make_step = way
    case = Case(count, "adam", options=tuple(options.items()), missing=True)
    _compare(case, _masam(case, dispatch=dispatch), path=path, make_step=make_step)


@pytest.mark.parametrize("path", ["plain", "late_fusion"])
def test_masam_accumulated_over_microbatches(path: str) -> None:
    case = Case(3, "momentum", weighted=True)
    _compare(case, _masam(case), path=path, make_step=_jitted, microbatches=3)


@pytest.mark.parametrize(
    "count, base, path",
    [(1, "adam", "plain"), (2, "momentum", "late_fusion"), (5, "adam", "plain")],
)
def test_sam(count: int, base: str, path: str) -> None:
    case = Case(count, base, weighted=True)
    parameters, batches, _ = _problem(case)
    reference = SamReference(_base(base), rho=0.3, weights=case.weights)
    tx = optax.chain(sam(rho=0.3), _optimizer(base))
    value_and_grad = multimodal_value_and_grad(
        loss_fn if path == "plain" else late_fusion(case.names), loss_weights=case.weights
    )
    step = _jitted(value_and_grad, tx)
    params = jax.tree.map(jnp.asarray, nested(parameters))
    state = tx.init(params)
    for batch in batches:
        parameters = reference.step(parameters, batch)
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch), {})
        chex.assert_trees_all_close(params, nested(parameters), rtol=TOLERANCE, atol=TOLERANCE)
