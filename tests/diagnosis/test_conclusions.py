"""What is concluded from numbers that are chosen; intervals as SciPy has them."""

import numpy as np
import pytest
import scipy.stats

from masam_jax.diagnosis.conclusions import conclude
from tests.diagnosis.made_up import observations, spread


def _interval(values, level):
    return scipy.stats.t.interval(
        level, len(values) - 1, loc=np.mean(values), scale=scipy.stats.sem(values)
    )


def test_nothing_is_found_where_nothing_is_wrong():
    found = conclude(observations())
    assert (found.drowned, found.dominant) == ((), None)
    assert found.informative == ("a", "b")
    assert not found.is_anything_wrong
    assert not found.fusion_is_worse


def test_intervals_are_students_and_hold_for_all_modalities_together():
    observed = observations(("a", "b", "c"))
    found = conclude(observed)
    for m, each in found.modalities.items():
        paired = observed.probe_joint[m] - observed.probe_alone[m]
        assert each.difference == pytest.approx(paired.mean(), abs=1e-12)
        assert each.interval == pytest.approx(_interval(paired, 1 - 2 * 0.05 / 3))
    fusion = found.fusion
    paired = observed.joint - observed.alone["a"]
    assert fusion.interval == pytest.approx(_interval(paired, 0.95))
    assert fusion.over_mean_interval == pytest.approx(
        _interval(observed.joint - observed.mean_of_alone, 0.95)
    )
    assert fusion.difference == pytest.approx(fusion.joint - fusion.best_alone)


@pytest.mark.parametrize(
    "probe, drowned",
    [(spread(0.7), ("b",)), (spread(0.775), ()), (spread(0.7, 0.3, 4), ()), (spread(0.95), ())],
    ids=["worse", "within the margin", "uncertain", "better"],
)
def test_drowned_is_worse_by_more_than_the_margin_for_certain(probe, drowned):
    found = conclude(observations(probe_joint={"a": spread(0.8), "b": probe}))
    assert found.drowned == drowned
    assert found.suspects == (("b",) if probe.std() > 0.1 else ())
    assert found.is_anything_wrong == bool(drowned)


def test_what_dominates_is_not_drowned():
    shares = {"a": spread(0.8), "b": spread(0.2)}
    found = conclude(
        observations(probe_joint={"a": spread(0.7), "b": spread(0.7)}, answer_share=shares)
    )
    assert (found.dominant, found.drowned, found.suspects) == ("a", ("b",), ())


def test_a_larger_share_is_dominance_only_where_another_modality_has_less_than_its_say():
    shares = {"a": spread(0.8), "b": spread(0.2)}
    assert conclude(observations(answer_share=shares)).dominant is None
    silent = {"a": spread(0.8), "b": spread(0.25)}
    found = conclude(observations(answer_share=shares, alone=silent, probe_alone=silent))
    assert found.dominant == "a"
    worse = {"a": spread(0.8), "b": spread(0.7, 0.3, 4)}
    assert conclude(observations(answer_share=shares, probe_joint=worse)).dominant == "a"


def test_what_says_nothing_alone_is_not_drowned():
    noise = {"a": spread(0.8), "b": spread(0.26)}
    changes = {"alone": noise, "probe_alone": noise, "alone_validation": noise}
    worse = {"a": spread(0.8), "b": spread(0.2)}
    found = conclude(observations(probe_joint=worse, **changes))
    assert found.drowned == ()
    assert found.informative == ("a",)


def test_the_best_modality_is_chosen_on_the_validation_samples():
    validation = {"a": spread(0.7), "b": spread(0.8)}
    found = conclude(
        observations(alone={"a": spread(0.85), "b": spread(0.8)}, alone_validation=validation)
    )
    assert (found.fusion.best, found.fusion.best_alone) == ("b", pytest.approx(0.8))


def test_fusion_below_its_best_modality_or_the_average_is_worse():
    assert conclude(observations(joint=spread(0.7))).fusion_is_worse
    assert conclude(observations(mean_of_alone=spread(0.95))).fusion_is_worse
    assert not conclude(observations(mean_of_alone=spread(0.91))).fusion_is_worse


def test_a_share_that_stands_out_is_dominant():
    worse = {"a": spread(0.8), "b": spread(0.6)}
    shares = {"a": spread(0.8), "b": spread(0.2)}
    assert conclude(observations(answer_share=shares, probe_joint=worse)).dominant == "a"
    for share in (spread(0.55), spread(0.65, 0.5), np.full(8, np.nan)):
        shares = {"a": share, "b": 1 - share}
        assert conclude(observations(answer_share=shares, probe_joint=worse)).dominant is None


def test_one_seed_or_none_concludes_nothing():
    def first(count):
        whole = observations()
        return {
            name: {m: each[:count] for m, each in value.items()}
            if isinstance(value, dict)
            else value[:count]
            if isinstance(value, np.ndarray)
            else value
            for name, value in vars(whole).items()
        }

    one = conclude(observations(**first(1) | {"seeds": (0,)}))
    assert one.drowned == ()
    assert one.fusion.interval is None
    none = conclude(observations(**first(0) | {"seeds": (), "diverged": (0, 1)}))
    assert none.drowned == ()
    assert none.is_anything_wrong
