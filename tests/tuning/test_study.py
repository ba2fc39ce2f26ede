"""The trials of one method: budget, pruning, and that a killed session changes nothing."""

import errno

import optuna
import pytest
import sqlalchemy.exc

from masam_jax.config.errors import RunError
from masam_jax.methods import Choice, LogUniform, parse_method, registry
from masam_jax.tuning.search_space import search_space
from masam_jax.tuning.study import MethodStudy, open_storage
from tests.tuning.tunable import make_method, tunable  # noqa: F401

STEPS, TRIALS = 12, 8


class _Killed(Exception):
    """Stands for whatever ends a session."""


class _Training:
    """Trains nothing; two seeds, and a score that falls with the distance from count 6."""

    def __init__(self, kill_at=None):
        self.specs = []
        self.last_steps = []
        self._calls = 0
        self._kill_at = kill_at

    def __call__(self, method, on_evaluation):
        self.specs.append(method.spec)
        self.last_steps.append(0)
        options = method.options
        final = 0.9 - 0.05 * abs(options.count - 6) - 0.1 * options.share
        for step in range(3, STEPS + 1, 3):
            self._calls += 1
            if self._calls == self._kill_at:
                raise _Killed
            self.last_steps[-1] = step
            on_evaluation(step, final * step / STEPS)
        return [final - 0.01, final + 0.01]


def _advance(path, train, spec="tunable", trials=TRIALS):
    """Runs trials until the budget is spent; what a session does."""
    with open_storage(path) as storage:
        study = MethodStudy(storage, search_space(parse_method(spec)), trials=trials, steps=STEPS)
        while study.advance(train) is not None:
            pass
        return study.outcomes, study.best


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.db"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The outcomes of one session, its training, and the best outcome."""
    train = _Training()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._METHODS, "tunable", make_method())
        outcomes, best = _advance(tmp_path_factory.mktemp("whole") / "study.db", train)
    return outcomes, train, best


@pytest.mark.usefixtures("tunable")
class TestMethodStudy:
    def test_budget_counts_pruned_trials(self, undisturbed):
        outcomes, train, _ = undisturbed
        assert len(outcomes) == len(train.specs) == TRIALS
        pruned = [outcome for outcome in outcomes if outcome.score is None]
        assert 0 < len(pruned) <= TRIALS - 4
        assert [o.spec for o in outcomes] == train.specs
        assert [o.step for o in outcomes] == train.last_steps
        assert all(STEPS / 3 <= outcome.step < STEPS for outcome in pruned)
        assert all(outcome.score is not None for outcome in outcomes[:4])

    def test_the_first_trial_has_the_defaults(self, undisturbed):
        outcomes, _, best = undisturbed
        assert outcomes[0].spec == "tunable"
        assert outcomes[0].score == pytest.approx((0.69, 0.71))
        assert best.mean == max(outcome.mean for outcome in outcomes) > outcomes[0].mean
        assert len({outcome.spec for outcome in outcomes}) == TRIALS

    def test_the_earlier_trial_wins_a_tie(self, path):
        outcomes, best = _advance(path, lambda spec, on_evaluation: [0.5, 0.5], trials=3)
        assert best == outcomes[0]

    def test_a_method_without_a_search_gets_one_trial(self, path, tunable):  # noqa: F811
        tunable(search={})
        outcomes, best = _advance(path, _Training())
        assert [outcome.spec for outcome in outcomes] == ["tunable"] == [best.spec]

    def test_named_options_stay(self, path):
        outcomes, _ = _advance(path, _Training(), "tunable:count=6,loud=true", trials=3)
        options = [parse_method(outcome.spec).options for outcome in outcomes]
        assert all(each.count == 6 and each.loud for each in options)
        assert len({each.share for each in options}) == 3

    def test_defaults_outside_of_the_search_are_tried_first(self, path, tunable):  # noqa: F811
        tunable(search={"rate": LogUniform(0.2, 1.0), "mode": Choice(("fast", "faster"))})
        _, best = _advance(path, _Training(), trials=1)
        assert best.spec == "tunable"

    def test_an_equal_trial_is_not_trained_again(self, path, tunable):  # noqa: F811
        tunable(search={"loud": Choice((False, True))})
        train = _Training()
        outcomes, _ = _advance(path, train, trials=3)
        assert sorted(train.specs) == ["tunable", "tunable:loud=true"]
        assert len(outcomes) == 3

    def test_studies_of_one_file_do_not_meet(self, path, undisturbed):
        _advance(path, _Training(), "tunable:mode=fast", trials=2)
        outcomes, _ = _advance(path, _Training(), trials=3)
        assert outcomes == undisturbed[0][:3]
        assert len(_advance(path, _Training(), "tunable:mode=fast", trials=2)[0]) == 2

    @pytest.mark.parametrize("kill_at", [1, 6, 19])
    def test_a_killed_session_changes_nothing(self, path, kill_at, undisturbed):
        first, second = _Training(kill_at), _Training()
        with pytest.raises(_Killed):
            _advance(path, first)
        resumed, _ = _advance(path, second)
        assert resumed == undisturbed[0]
        assert second.specs[0] == first.specs[-1]
        assert first.specs + second.specs[1:] == [outcome.spec for outcome in resumed]

    def test_a_session_killed_again_and_again_changes_nothing(self, path, undisturbed):
        for kill_at in (1, 2, 7, 1, 1):
            with pytest.raises(_Killed):
                _advance(path, _Training(kill_at), trials=6)
        assert _advance(path, _Training(), trials=6)[0] == undisturbed[0][:6]

    def test_an_unfinished_trial_is_marked_and_repeated(self, path, monkeypatch):
        first, second = _Training(kill_at=6), _Training()
        with pytest.raises(_Killed):
            _advance(path, first, trials=3)
        # As another version of the sampler would draw other options.
        monkeypatch.setattr("zlib.crc32", lambda text: 1)
        _advance(path, second, trials=3)
        assert second.specs[0] == first.specs[-1]
        with open_storage(path) as storage:
            study = optuna.load_study(study_name="tunable", storage=storage)
            states = [trial.state.name for trial in study.get_trials()]
        assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]

    def test_a_trial_is_not_pruned_at_its_end(self, path):
        def train(spec, on_evaluation):
            for step in (STEPS // 2, STEPS):
                # Every trial ends below those before it, and was as good until then.
                on_evaluation(step, 0.5 if step < STEPS else 0.9 - 0.1 * len(specs))
            specs.append(spec)
            return [0.9 - 0.1 * len(specs)] * 2

        specs = []
        outcomes, _ = _advance(path, train, trials=7)
        assert all(outcome.score is not None for outcome in outcomes)

    def test_killed_before_a_trial_starts_changes_nothing(self, path, monkeypatch, undisturbed):
        def killed(*_):
            raise _Killed

        with monkeypatch.context() as patch:
            patch.setattr("optuna.Study.ask", killed)
            for _ in range(2):
                with pytest.raises(_Killed):
                    _advance(path, _Training(), trials=2)
        assert _advance(path, _Training(), trials=2)[0] == undisturbed[0][:2]


def test_damaged_file_is_named(path):
    path.write_bytes(b"not a database" * 100)
    message = r"study.db is damaged or cannot be used \(.*not a database"
    with pytest.raises(RunError, match=message), open_storage(path):
        pass


def test_full_disk_is_an_error_of_the_system(path):
    full = sqlalchemy.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))
    with pytest.raises(OSError) as raised, open_storage(path):
        raise full
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(path)
