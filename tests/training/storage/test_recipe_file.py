"""``recipe.json``, written and read back."""

import json

import pytest

from masam_jax.config.errors import RunError
from masam_jax.data.own.recipe import Ingredients, Recipe
from masam_jax.training.storage.recipe_file import save_recipe, saved_recipe

RECIPE = Recipe(
    ("species",),
    {
        "face": Ingredients("vector", ("face_x", "face_y")),
        "note": Ingredients("text", ("note",), {"length": 3, "words": ["[PAD]", "oak"]}),
    },
    key="id",
    classes=("ash", "oak"),
)


def test_what_is_written_is_read(tmp_path):
    save_recipe(tmp_path, RECIPE)
    assert saved_recipe(tmp_path) == RECIPE


def test_nothing_is_written_of_data_without_columns(tmp_path):
    save_recipe(tmp_path, None)
    assert saved_recipe(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"label": "species"},
        {"modalities": []},
        {"modalities": {"face": {"kind": "smell", "columns": ["a"], "settings": {}}}},
        {"modalities": {"face": {"kind": "vector", "columns": [], "settings": {}}}},
        {"modalities": {"face": {"kind": "vector", "columns": ["a"], "settings": 3}}},
        {"classes": [1, 2]},
    ],
)
def test_damage_is_named(tmp_path, change):
    save_recipe(tmp_path, RECIPE)
    path = tmp_path / "recipe.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **change}))
    with pytest.raises(RunError, match=r"recipe\.json is damaged"):
        saved_recipe(tmp_path)
    del content["sha256"]
    path.write_text(json.dumps({**content, **change}))
    with pytest.raises(RunError, match=r"recipe\.json is damaged"):
        saved_recipe(tmp_path)
