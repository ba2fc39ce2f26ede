"""Checkpoints: exact, few, and refused where they do not belong."""

import collections
import dataclasses
import errno
import json
import shutil

import jax
import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method
from masam_jax.training.problem import build_problem
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage import checkpoints
from masam_jax.training.storage.checkpoints import Checkpoints, DamagedCheckpoint, RunProgress
from masam_jax.training.task import Task

CONFIG = {"method": "masam", "optimization": {"steps": 6, "learning_rate": 0.005}}


@pytest.fixture
def problem(make_problem):
    return make_problem(2)


@pytest.fixture
def saved(tmp_path, problem):
    """A directory with one checkpoint, and the state in it."""
    state = init_state(Task(problem, parse_method("masam")))
    with Checkpoints(tmp_path / "checkpoints", CONFIG) as checkpoints:
        checkpoints.save(state, RunProgress(4, 1.5, 0.5), 0.5)
    return tmp_path / "checkpoints", jax.device_get(state)


def _restore(directory, problem, method="masam", config=CONFIG):
    with Checkpoints(directory, config) as checkpoints:
        return checkpoints.restore(abstract_state(Task(problem, parse_method(method))))


def test_round_trip_is_exact(saved, problem):
    directory, state = saved
    restored, progress = _restore(directory, problem)
    assert progress == RunProgress(4, 1.5, 0.5)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for new, old in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)


def test_a_state_without_a_field_that_is_none_is_of_an_older_version(saved, tmp_path, problem):
    _, state = saved
    older = collections.namedtuple("Older", [f for f in state._fields if f != "average"])
    before = jax.tree.map(jax.numpy.asarray, older(*(getattr(state, f) for f in older._fields)))
    with Checkpoints(tmp_path / "older", CONFIG) as checkpoints:
        checkpoints.save(before, RunProgress(4), 0.5)
    restored, _ = _restore(tmp_path / "older", problem)
    assert restored.average is None
    assert jax.tree.all(jax.tree.map(np.array_equal, restored.params, before.params))


def test_saving_does_not_hold_the_buffers(tmp_path, problem):
    """The next step donates the state while the save is still going on."""
    state = init_state(Task(problem, parse_method("late_fusion")))
    expected = jax.device_get(state.params)
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        checkpoints.save(state, RunProgress(1), 0.0)
        overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x * 0 - 1, tree), donate_argnums=0)
        overwrite(state.params)
    restored, _ = _restore(tmp_path / "c", problem, "late_fusion")
    assert jax.tree.all(jax.tree.map(np.array_equal, restored.params, expected))


def test_last_and_best_are_kept(tmp_path, problem):
    state = init_state(Task(problem, parse_method("late_fusion")))
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        for step, accuracy in ((1, 0.3), (2, 0.9), (3, 0.5), (4, 0.6)):
            checkpoints.save(state, RunProgress(step), accuracy)
        checkpoints.wait()
        assert checkpoints.latest_step == 4
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["2", "4"]


def test_the_last_is_not_alone_where_it_is_the_best(tmp_path, problem):
    state = init_state(Task(problem, parse_method("late_fusion")))
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        for step, accuracy in ((1, 0.3), (2, 0.2), (3, 0.4), (4, 0.5)):
            checkpoints.save(state, RunProgress(step), accuracy)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["3", "4"]


def test_no_checkpoint(tmp_path, problem):
    with pytest.raises(RunError, match="holds no checkpoint"):
        _restore(tmp_path / "c", problem)


def test_another_configuration_is_named(saved, problem):
    """More steps alone are not: a run may be made longer."""
    config = {**CONFIG, "optimization": {"steps": 4, "learning_rate": 0.005}}
    with pytest.raises(RunError, match=r"optimization\.steps: 6 -> 4$"):
        _restore(saved[0], problem, config=config)
    config = {**CONFIG, "optimization": {"steps": 8, "learning_rate": 0.01}}
    with pytest.raises(RunError, match=r"optimization\.learning_rate: 0\.005 -> 0\.01"):
        _restore(saved[0], problem, config=config)


def test_another_model_is_named(saved, make_problem):
    problem = make_problem(2)
    wider = dataclasses.replace(problem.experiment.model, width=5)
    experiment = dataclasses.replace(problem.experiment, model=wider)
    other = build_problem(experiment, lambda *sizes: problem.placement, problem.data)
    with pytest.raises(RunError, match=r"another model: .*bias: 'float32\[2, 4\]' -> 'float32\[2"):
        _restore(saved[0], other)


def test_another_method_is_named(saved, problem):
    with pytest.raises(RunError, match="another model"):
        _restore(saved[0], problem, "late_fusion")


def test_foreign_checkpoint_is_refused(tmp_path, problem):
    import orbax.checkpoint as ocp

    with ocp.CheckpointManager(tmp_path / "c") as manager:
        manager.save(
            3,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave({"w": np.ones(3)}),
                progress=ocp.args.JsonSave({"epoch": 3}),
            ),
        )
    with pytest.raises(RunError, match="is not a checkpoint of masam_jax"):
        _restore(tmp_path / "c", problem)


def test_a_checkpoint_of_another_version_is_told_so(saved, problem, monkeypatch):
    monkeypatch.setattr(checkpoints, "_FORMAT", "masam_jax checkpoint 9")
    with pytest.raises(RunError, match=r"is a 'masam_jax checkpoint 5'; this version reads .* 9'"):
        _restore(saved[0], problem)


@pytest.mark.parametrize("damage", ["arrays", "arrays truncated", "progress", "progress garbled"])
def test_damaged_checkpoint_is_named(saved, problem, damage):
    step = saved[0] / "4"
    if damage == "arrays":
        shutil.rmtree(step / "state")
    elif damage == "arrays truncated":
        for path in (step / "state").rglob("*"):
            if path.is_file():
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "progress":
        shutil.rmtree(step / "progress")
    else:
        (step / "progress" / "metadata").write_text("{")
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint .*/4 is damaged: .* is (missing|not)"):
        _restore(saved[0], problem)


def _flip(path, position):
    """Turns one bit of a file over."""
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << position % 8
    path.write_bytes(content)


def test_one_bit_in_any_file_is_noticed_and_the_file_named(saved, problem):
    directory, _ = saved
    files = [path for path in (directory / "4").rglob("*") if path.is_file()]
    # Arrays, what describes them, the progress, Orbax's own notes, and the digests themselves.
    assert len(files) > 6
    for file in files:
        before = file.read_bytes()
        for position in (0, len(before) // 2, len(before) - 1):
            _flip(file, position)
            with pytest.raises(DamagedCheckpoint) as raised:
                _restore(directory, problem)
            assert f"/4 is damaged: {file.relative_to(directory / '4')} was changed" in str(
                raised.value
            )
            assert "no other is whole: --overwrite starts the run again" in str(raised.value)
            file.write_bytes(before)
    _restore(directory, problem)


def _arrays_of(directory, step):
    """The largest file of arrays."""
    files = [path for path in (directory / str(step) / "state").rglob("d/*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)


@pytest.fixture
def three(tmp_path, problem):
    """Checkpoints 2 (the best) and 6 (the last), whose states differ by their scores."""
    state = init_state(Task(problem, parse_method("masam")))
    with Checkpoints(tmp_path / "c", CONFIG) as checkpoints:
        for step, score in ((2, 0.9), (4, 0.1), (6, 0.5)):
            marked = state._replace(score=state.score + np.float32(step))
            checkpoints.save(marked, RunProgress(step), score)
    return tmp_path / "c"


def test_the_last_whole_checkpoint_is_offered_and_taken_when_asked(three, problem):
    _flip(_arrays_of(three, 6), 40)
    with pytest.raises(DamagedCheckpoint, match=r"the one of step 2 is whole: --fall-back takes"):
        _restore(three, problem)
    like = abstract_state(Task(problem, parse_method("masam")))
    with Checkpoints(three, CONFIG, read_only=True) as checkpoints:
        state, progress = checkpoints.restore(like, fall_back=True)
        parts = checkpoints.restore_parts(_like(problem, "score"), fall_back=True)
    assert progress.step == 2
    assert np.array_equal(state.score, [1, 1])
    assert np.array_equal(parts["score"], [1, 1])
    assert (three / "6").is_dir(), "who reads alone removes nothing"
    with Checkpoints(three, CONFIG) as checkpoints:
        _, progress = checkpoints.restore(like, fall_back=True)
        assert (progress.step, checkpoints.latest_step) == (2, 2)
    assert [path.name for path in three.iterdir()] == ["2"]


def test_no_checkpoint_is_whole(three, problem):
    for step in (2, 6):
        _flip(_arrays_of(three, step), 40)
    like = abstract_state(Task(problem, parse_method("masam")))
    with (
        Checkpoints(three, CONFIG) as checkpoints,
        pytest.raises(DamagedCheckpoint, match="no other is whole: --overwrite starts"),
    ):
        checkpoints.restore(like, fall_back=True)
    assert sorted(path.name for path in three.iterdir()) == ["2", "6"]


def test_a_whole_last_checkpoint_is_taken_although_an_earlier_one_is_damaged(three, problem):
    _flip(_arrays_of(three, 2), 40)
    assert _restore(three, problem)[1].step == 6


def test_sessions_that_were_killed_leave_last_and_best(tmp_path, problem):
    """Scores outlive the session; so does what is neither the last nor the best any more."""
    state = init_state(Task(problem, parse_method("late_fusion")))
    directory = tmp_path / "c"
    like = abstract_state(Task(problem, parse_method("late_fusion")))
    for step, score in enumerate((0.3, 0.9, 0.5, 0.6, 0.2, 0.1), start=1):
        with Checkpoints(directory, CONFIG) as checkpoints:
            if checkpoints.latest_step is not None:
                checkpoints.restore(like)
            checkpoints.save(state, RunProgress(step), score)
    assert sorted(path.name for path in directory.iterdir()) == ["2", "6"]
    # Killed after the rename, before others were removed; and while one was.
    shutil.copytree(directory / "2", directory / "3")
    shutil.copytree(directory / "2", directory / "4.removed")
    shutil.copytree(directory / "2", directory / "5.unfinished.orbax-checkpoint-tmp")
    content = json.loads((directory / "3" / "progress" / "metadata").read_text())
    (directory / "3" / "progress" / "metadata").write_text(json.dumps(content | {"score": 0.5}))
    with Checkpoints(directory, CONFIG) as checkpoints:
        checkpoints.restore(like)
    assert sorted(path.name for path in directory.iterdir()) == ["2", "6"]


def test_a_checkpoint_is_none_before_its_digests_are_there(saved, problem, monkeypatch):
    """As after a kill at that moment."""
    directory, _ = saved
    seen = []

    def stop(folder):
        seen.append(sorted(path.name for path in folder.iterdir()))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_digests", stop)
    with (
        pytest.raises(OSError, match="No space left"),
        Checkpoints(directory, CONFIG) as opened,
    ):
        opened.save(init_state(Task(problem, parse_method("masam"))), RunProgress(9), 0.5)
    assert {"state", "progress"} <= set(seen[0])
    assert not (directory / "9").exists()
    assert _restore(directory, problem)[1].step == 4


def test_a_disk_without_room_is_named_before_anything_is_written(saved, problem, monkeypatch):
    directory, state = saved
    usage = shutil.disk_usage(directory)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    fresh = init_state(Task(problem, parse_method("masam")))
    with Checkpoints(directory, CONFIG) as checkpoints:
        with pytest.raises(OSError, match="No space left") as raised:
            checkpoints.save(fresh, RunProgress(5), 0.5)
        assert raised.value.errno == errno.ENOSPC
        assert checkpoints.latest_step == 4
    restored, _ = _restore(directory, problem)
    assert jax.tree.all(jax.tree.map(np.array_equal, restored, state))


def _like(problem, *names):
    state = abstract_state(Task(problem, parse_method("masam")))
    return {name: getattr(state, name) for name in names}


def test_some_fields_alone_are_restored(saved, problem):
    directory, state = saved
    wanted = _like(problem, "best_params", "method_state", "statistics")
    with Checkpoints(directory, CONFIG, read_only=True) as checkpoints:
        parts = checkpoints.restore_parts(wanted)
    assert parts.keys() == wanted.keys()
    assert jax.tree.all(jax.tree.map(np.array_equal, parts["best_params"], state.best_params))
    # These have no arrays.
    assert (parts["method_state"], parts["statistics"]) == (state.method_state, state.statistics)


def test_fields_of_another_shape_are_refused(saved, problem):
    directory, _ = saved
    wanted = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((*x.shape, 2), x.dtype), _like(problem, "params")
    )
    with (
        Checkpoints(directory, CONFIG, read_only=True) as checkpoints,
        pytest.raises(RunError, match=r"of another model: params/\S+: '.*]' -> '.*, 2]'"),
    ):
        checkpoints.restore_parts(wanted)


def test_reading_leaves_the_directory_alone(saved, problem):
    """Another process may be saving there; its unfinished checkpoint has such a name."""
    directory, _ = saved
    unfinished = directory / "8.orbax-checkpoint-tmp"
    unfinished.mkdir()
    with Checkpoints(directory, CONFIG, read_only=True) as checkpoints:
        assert checkpoints.latest_step == 4
        checkpoints.restore_parts(_like(problem, "params"))
    assert unfinished.is_dir()
    _restore(directory, problem)
    assert not unfinished.exists()


@pytest.mark.parametrize("which", ["checkpoint", "run", "both"])
def test_a_checkpoint_of_an_earlier_version_is_read(tmp_path, problem, which):
    older = {**CONFIG, "evaluation": {"patience": 3}}
    now = {**CONFIG, "evaluation": {"patience": 3, "min_epochs": 0}}
    state = init_state(Task(problem, parse_method("masam")))
    with Checkpoints(tmp_path / "c", now if which == "run" else older) as checkpoints:
        checkpoints.save(state, RunProgress(4, 1.5, 0.5), 0.5)
    _restore(tmp_path / "c", problem, config=now if which == "checkpoint" else older)
    other = {**CONFIG, "evaluation": {"patience": 3, "min_epochs": 4}}
    with pytest.raises(RunError, match=r"of another configuration: evaluation\.min_epochs: 0 -> 4"):
        _restore(tmp_path / "c", problem, config=other)
