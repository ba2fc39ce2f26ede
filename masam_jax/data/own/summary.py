"""What was taken for what, in a few sentences."""

from __future__ import annotations

from masam_jax.data.drawn_parts import TEST_SHARE, VALIDATION_SHARE
from masam_jax.data.own.opening import OwnData
from masam_jax.data.own.recipe import RANDOM, Recipe


def in_words(found: OwnData) -> str:
    """Label, parts and groups; then what is doubtful, a line each."""
    if found.recipe is None:
        return "A function made them."
    recipe = found.recipe
    kind = "Targets" if recipe.task == "regression" else "Classes"
    lines = [
        f"{kind} are in {_listed(recipe.label)}.",
        f"Parts: {_parts(recipe)}.",
    ]
    if recipe.group is not None:
        lines.append(f"Rows of one {recipe.group} stay together.")
    if recipe.key is not None:
        lines.append(f"Rows are called by {recipe.key}.")
    text = " ".join(lines)
    return "\n".join([text, *(f"Unsure: {doubt}." for doubt in found.doubts)])


def _parts(recipe: Recipe) -> str:
    if recipe.split not in (None, RANDOM):
        fold = "" if recipe.fold is None else f", fold {recipe.fold} to test on"
        return f"as column {recipe.split} says{fold}"
    validation = _size(VALIDATION_SHARE if recipe.validation is None else recipe.validation)
    if recipe.folds is not None:
        return f"fold {recipe.fold or 0} of {recipe.folds} to test on, {validation} to validate on"
    test = _size(TEST_SHARE if recipe.test is None else recipe.test)
    return f"{test} to test on, {validation} to validate on, drawn"


def _size(size: float) -> str:
    return f"{100 * size:g} %" if size < 1 else f"{size:g} samples"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
