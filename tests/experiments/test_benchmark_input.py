"""The benchmark of the input pipeline measures what it says, and prints it."""

import dataclasses
import io
import json

import jax
import numpy as np
import pytest
from rich.console import Console

from experiments import benchmark_delivery, benchmark_input
from experiments.benchmark_consumption import Consumption, measure_consumption
from experiments.benchmark_input import InputSettings, measure_input, print_report
from experiments.benchmark_media import FRAME_RATE, SOUND_RATE, make_media
from experiments.benchmark_zoo import make_zoo_problem
from masam_jax.config.published.crema_d import CREMA_D
from masam_jax.data.batch import Batch
from masam_jax.data.streaming import ReadAhead
from masam_jax.data.transforms.audio_clip import read_wave
from masam_jax.data.transforms.video_frames import read_frames
from tests.experiments.input_report import REPORT


def printed(report):
    text = io.StringIO()
    print_report(report, Console(file=text, width=80))
    return text.getvalue()


def samples(value):
    return Batch({"audio": np.full((1, 2, 3), value, np.float32)}, {"audio": np.ones((1, 2), bool)})


def test_media_have_the_length_and_size_asked_for(tmp_path):
    make_media(tmp_path, train=2, test=1, seconds=1.2, frame_size=(48, 64))
    waves = sorted((tmp_path / "AudioWAV").iterdir())
    films = sorted((tmp_path / "VideoFlash").iterdir())
    assert [path.stem for path in waves] == [path.stem for path in films]
    assert len(waves) == 3
    waveform, rate = read_wave(waves[0])
    assert (len(waveform), rate) == (round(1.2 * SOUND_RATE), SOUND_RATE)
    assert 0.4 < np.abs(waveform).max() < 0.6
    frames = read_frames(films[0], rate=FRAME_RATE, limit=100)
    assert len(frames) == round(1.2 * FRAME_RATE)
    assert frames[0].shape == (48, 64, 3)
    # Neither blank nor still, or decoding it would be too easy.
    assert frames[0].std() > 10
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 5
    assert (tmp_path / "test.csv").read_text() == "1003_DFA_SAD_XX,SAD\n"


def test_media_of_a_number_are_the_same_and_of_others_differ(tmp_path):
    for name in ("one", "other"):
        make_media(tmp_path / name, train=2, test=1, seconds=0.2, frame_size=(32, 32))
    for path in (tmp_path / "one").rglob("*.*"):
        same = tmp_path / "other" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == same.read_bytes()
    contents = {path.read_bytes() for path in (tmp_path / "one" / "VideoFlash").iterdir()}
    assert len(contents) == 3


def test_benchmark_of_small_clips(monkeypatch):
    asked = []

    def consumption(problem, method, steps, workers=()):
        shapes = {m: spec.shape for m, spec in problem.data.modality_specs.items()}
        asked.append((method, steps, workers))
        assert shapes == {"audio": (257, 188, 1), "video": (1, 16, 16, 3)}
        assert problem.experiment.model == CREMA_D.experiment.model
        return Consumption(method, 1.0, 4.0, dict.fromkeys(workers, 0.0))

    monkeypatch.setattr(benchmark_input, "measure_consumption", consumption)
    settings = InputSettings(
        clips=24, batch_size=4, image_size=16, workers=(0,), seconds=0.0, steps=1
    )
    report = measure_input(settings, Console(quiet=True), frame_size=(32, 48))
    assert asked == [("late_fusion", 1, (0,)), ("masam", 1, ())]
    assert [(stage.name, stage.threads) for stage in report.stages] == [
        ("prepare: WAV and FLV", 1),
        ("prepare: WAV and FLV", 2),
        ("read alone", 1),
        ("read, decode, augment", 1),
    ]
    assert all(stage.per_second > 0 for stage in report.stages)
    assert [(row.workers, row.threads) for row in report.delivery] == [(0, 1), (0, 2)]
    assert all(min(row.decoded, row.kept, row.first_batch) > 0 for row in report.delivery)
    assert json.loads(json.dumps(dataclasses.asdict(report)))["delivery"][0]["workers"] == 0
    assert "batches, samples/s" in printed(report)


@pytest.mark.parametrize("method,workers", [("late_fusion", (0,)), ("masam", ())])
def test_consumption_is_of_whole_steps(method, workers):
    problem = make_zoo_problem("mlp", 2, 8)
    # optax.adamw mixes its step count with floats.
    with jax.numpy_dtype_promotion("standard"):
        found = measure_consumption(problem, method, 2, workers)
    assert found.method == method
    assert found.seconds > 0
    assert found.per_second == pytest.approx(8 / found.seconds)
    assert tuple(found.waiting) == workers
    assert all(wait >= 0 for wait in found.waiting.values())


def test_tables_say_rates_and_ratios():
    lines = printed(REPORT).splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [
        ["prepare", "2", "40"],
        ["read alone", "1", "500"],
        ["late_fusion", "4000", "4.0", "1.0", "2.5"],
        ["masam", "8000", "2.0", "", ""],
        ["0", "2", "250", "62.5", "125.0", "9000", "0.1"],
        ["1", "2", "200", "50.0", "100.0", "1000", "1.5"],
    ]
    # The least of all: with a worker, by late fusion.
    assert "at least × 50.0 as fast as taken (workers=1, threads=2; late_fusion)" in " ".join(lines)
    assert max(map(len, lines)) <= 80


def test_batches_that_differ_are_told():
    ahead = ReadAhead(2, 1)
    benchmark_delivery._check_same([samples(1.0)], [samples(1.0)], ahead)
    with pytest.raises(RuntimeError, match="batch 1 with 2 workers and 1 threads differs"):
        benchmark_delivery._check_same(
            [samples(1.0), samples(2.0)], [samples(1.0), samples(3.0)], ahead
        )


def test_kept_samples_are_the_rows():
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    kept = benchmark_delivery._Kept(Batch({"audio": values}, {"audio": np.arange(4) > 1}))
    found = kept(np.array([3, 0, 3]))
    np.testing.assert_array_equal(found.inputs["audio"], values[[3, 0, 3]])
    np.testing.assert_array_equal(found.present["audio"], [True, False, True])


@pytest.mark.parametrize(
    "wrong",
    [
        {"clips": 5},
        {"batch_size": 0},
        {"image_size": 0},
        {"steps": 0},
        {"seconds": -1.0},
        {"workers": ()},
        {"workers": (-1,)},
        {"threads": (0,)},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        InputSettings(**wrong)
