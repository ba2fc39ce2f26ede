"""Comparison and run directories as training leaves them, without training."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MODALITIES = ("fou", "pix", "zer")
# Spec, title, test score, and whether MASAM's state was logged.
METHODS = (
    ("late_fusion", "Late fusion", 0.931, False),
    ("sam:rho=0.5", "SAM ρ=0.5", 0.922, False),
    ("masam:rho=12", "MASAM ρ=12", 0.939, True),
)

# As many methods as a comparison of the whole zoo has, with titles of all lengths.
ZOO = (
    ("late_fusion", "Late fusion", 0.931, False),
    ("fusion_only", "Fusion loss alone", 0.918, False),
    ("sam:rho=0.5", "SAM ρ=0.5", 0.933, False),
    ("asam:rho=0.5", "ASAM ρ=0.5", 0.932, False),
    ("m_sam:rho=0.3", "M-SAM ρ=0.3", 0.935, False),
    ("g_blend", "G-Blend", 0.929, False),
    ("ogm_ge:alpha=0.3", "OGM-GE α=0.3", 0.924, False),
    ("ogm_ge:alpha=0.3,noise=false", "OGM-GE α=0.3, no noise", 0.927, False),
    ("agm", "AGM α=1", 0.922, False),
    ("pmr", "PMR α=1, μ=0.2", 0.919, False),
    ("mla", "MLA", 0.909, False),
    ("mmpareto", "MMPareto γ=1.5", 0.936, False),
    ("info_reg", "InfoReg β=0.95", 0.930, False),
    ("aug", "AUG merge=0.4", 0.915, False),
    ("masam:rho=12", "MASAM ρ=12", 0.940, True),
    ("masam:rho=12,select=all", "MASAM ρ=12, select=all", 0.938, True),
    ("masam:rho=12,select=random", "MASAM ρ=12, select=random", 0.937, True),
    (
        "masam:rho=12,scale_by_alignment=false,alignment=per_tensor",
        "MASAM ρ=12, scale_by_alignment=false, alignment=per_tensor",
        0.934,
        True,
    ),
)


def fake_result(
    spec: str,
    title: str,
    scores: Sequence[float],
    *,
    metric: str = "accuracy",
    modalities: Sequence[str] = MODALITIES,
    steps: int = 40,
) -> dict[str, Any]:
    """What `result.json` holds, with encoders that get worse from one modality to the next.

    The scores are of `metric`. Where that is another than accuracy, the accuracy falls where they
    rise, so that whoever takes one for the other is found out.
    """
    values = [float(score) for score in scores]
    judged = {}
    if metric != "accuracy":
        judged = _judged(metric, values, modalities)
        values = [1.3 - score for score in values]
    metrics = {
        "accuracy": values,
        "macro_f1": [a - 0.001 for a in values],
        "balanced_accuracy": [a - 0.002 for a in values],
        "micro_f1": [a - 0.003 for a in values],
        "weighted_f1": [a - 0.004 for a in values],
        "fusion_loss": [2.0 * (1.0 - a) for a in values],
        "unimodal_accuracy": {
            m: [a - 0.1 * (i + 1) for a in values] for i, m in enumerate(modalities)
        },
        "probe_accuracy": {
            m: [a - 0.05 * (i + 1) for a in values] for i, m in enumerate(modalities)
        },
        **judged,
    }
    named = {"metric": metric} if metric != "accuracy" else {}
    return {
        "spec": spec,
        **named,
        "slug": "".join(c if c.isalnum() else "-" for c in spec),
        "title": title,
        "seeds": list(range(len(values))),
        "steps": steps,
        "test": metrics,
        "validation": metrics,
        "seconds": 12.3,
        "compile_seconds": 4.5,
        "steps_per_second": 128.0,
        "flops_per_step": 2.5e7,
    }


def _judged(metric: str, values: Sequence[float], modalities: Sequence[str]) -> dict[str, Any]:
    heads = {m: [v * (1 - 0.2 * (i + 1)) for v in values] for i, m in enumerate(modalities)}
    return {metric: list(values), f"unimodal_{metric}": heads}


def fake_metrics(
    result: dict[str, Any],
    *,
    traced: bool,
    modalities: Sequence[str] = MODALITIES,
    every: int = 5,
    noise: float = 0.01,
) -> list[dict[str, Any]]:
    """Records of `metrics.jsonl`: a training and a validation line every few steps."""
    rng = np.random.default_rng(len(result["spec"]))
    metric = result.get("metric", "accuracy")
    final = np.array(result["test"][metric])
    records: list[dict[str, Any]] = []
    for step in range(0, result["steps"] + 1, every):
        done = 1 - math.exp(-8 * step / result["steps"])

        def noisy(level: Any, scale: float = noise) -> list[float]:
            return (level + scale * rng.standard_normal(final.size)).tolist()

        record = {
            "step": step,
            "split": "train",
            "total_loss": np.exp(noisy(-5.0 * done, 0.2)).tolist(),
            "fusion_loss": np.exp(noisy(-6.0 * done, 0.2)).tolist(),
            "accuracy": noisy(0.1 + 0.9 * done),
            "unimodal_loss": {m: noisy(2.3 - 2 * done) for m in modalities},
        }
        if traced:
            waves = {m: 0.4 + 0.1 * i for i, m in enumerate(modalities)}
            shares = np.linspace(1, 3, len(modalities))
            shares /= shares.sum()
            record |= {
                "score": {m: noisy(0.8 * (1 - done) + 0.2 * w, 0.05) for m, w in waves.items()},
                "alignment": {m: noisy(w, 0.1) for m, w in waves.items()},
                "decay": {m: noisy(0.5 * (1 - done), 0.02) for m in modalities},
                "ma_loss": {m: noisy(2.3 - 2 * done) for m in modalities},
                "dominant_share": {
                    m: noisy(share, 0.002)
                    for m, share in zip(modalities, shares.tolist(), strict=True)
                },
            }
        level = 0.1 + (final - 0.1) * done
        validation = {
            "step": step,
            "split": "validation",
            "accuracy": noisy(level, noise / 2),
            "macro_f1": noisy(level, noise / 2),
            "fusion_loss": noisy(2.3 - 2 * done),
            "unimodal_accuracy": {
                m: noisy(level - 0.03 * (i + 1) * done, noise / 2) for i, m in enumerate(modalities)
            },
        }
        if metric != "accuracy":
            validation |= _judged(metric, validation["accuracy"], modalities)
            validation["accuracy"] = noisy(1.3 - level, noise / 2)
        records += [record, validation]
    return records


def write_run(
    directory: Path,
    result: dict[str, Any],
    metrics: Sequence[dict[str, Any]],
    *,
    alone: bool = True,
) -> Path:
    """One method's directory; `alone` adds what only a run of its own has."""
    directory.mkdir(parents=True)
    config = {"dataset": "mfeat", "method": result["spec"], "optimizer": {"learning_rate": 0.005}}
    write_json(directory / "config.json", config)
    write_json(directory / "result.json", result)
    lines = "".join(json.dumps(record) + "\n" for record in metrics)
    (directory / "metrics.jsonl").write_text(lines, encoding="utf-8")
    if alone:
        _write_surroundings(directory, result["seeds"])
    return directory


def write_comparison(
    directory: Path,
    *,
    seeds: int = 4,
    methods: Sequence[tuple[str, str, float, bool]] = METHODS,
    modalities: Sequence[str] = MODALITIES,
    steps: int = 40,
    every: int = 5,
    spread: float = 0.005,
    metric: str = "accuracy",
) -> Path:
    """A comparison whose first method is the baseline; test samples number 1000."""
    rng = np.random.default_rng(0)
    luck = spread * rng.standard_normal(seeds)
    results = []
    for spec, title, score, traced in methods:
        values = np.round(score + luck + 0.6 * spread * rng.standard_normal(seeds), 3)
        result = fake_result(
            spec, title, values.tolist(), metric=metric, modalities=modalities, steps=steps
        )
        metrics = fake_metrics(result, traced=traced, modalities=modalities, every=every)
        write_run(directory / "methods" / result["slug"], result, metrics, alone=False)
        results.append(result)
    write_json(
        directory / "results.json",
        {
            "dataset": "mfeat",
            "baseline": methods[0][0],
            **({"metric": metric} if metric != "accuracy" else {}),
            "modalities": list(modalities),
            "seeds": list(range(seeds)),
            "methods": results,
        },
    )
    config = {"dataset": "mfeat", "batch_size": 16, "optimizer": {"learning_rate": 0.005}}
    write_json(directory / "config.json", config)
    _write_surroundings(directory, range(seeds))
    return directory


def write_counts(
    directory: Path, classes: int, *, multi_label: bool = False, names: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Gives every method of a comparison its ``confusion.json``; returns the counts of each."""
    rng = np.random.default_rng(classes)
    results = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    found = []
    for result in results["methods"]:
        seeds = len(result["seeds"])
        if multi_label:
            counts = rng.integers(1, 90, (seeds, classes, 2, 2))
        else:
            counts = rng.integers(0, 9, (seeds, classes, classes)) + 80 * np.eye(classes, dtype=int)
        content = {"split": "test", "seeds": result["seeds"], "counts": counts.tolist()}
        write_json(directory / "methods" / result["slug"] / "confusion.json", content)
        found.append(counts)
    if names is not None:
        modality = {"kind": "vector", "shape": [3], "dtype": "float32", "vocabulary_size": None}
        modality["normalization"] = {"rule": "none", "mean": [], "std": []}
        facts = {"name": "mfeat", "classes": list(names), "multi_label": multi_label}
        facts |= {"metric": "accuracy", "has_missing": False, "modalities": {"a": modality}}
        write_json(directory / "data.json", facts)
    return found


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _write_surroundings(directory: Path, seeds: Sequence[int]) -> None:
    write_json(
        directory / "environment.json",
        {
            "python": "3.11.7",
            "packages": {"masam-jax": "0.1.0", "jax": "0.10.2", "scipy": None},
            "git_commit": "0123abc",
            "devices": ["cpu:0", "cpu:1"],
            "command": f"masam compare --seeds {len(seeds)} masam:rho=12,select=all",
        },
    )
    write_json(
        directory / "splits.json",
        {"rule": "stratified by label", "seeds": {str(s): f"{s:064x}" for s in seeds}},
    )
