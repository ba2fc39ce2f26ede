import pytest

from masam_jax.data.builders.mimic.options import MimicOptions
from masam_jax.data.dataset_spec import parse_dataset, write_dataset


@pytest.mark.parametrize(
    "options,message",
    [
        ({"pairs": "all"}, "pairs is 'all'; it must be one of"),
        ({"split": "random"}, "split is 'random'; it must be one of"),
        ({"view": "LATERAL"}, "view is 'LATERAL'; it must be one of"),
        ({"fold": 5}, r"fold is 5; it must lie in 0\.\.4"),
        ({"fold": -1}, r"fold is -1; it must lie in 0\.\.4"),
        ({"xray_hours": 0}, "xray_hours is 0; it must be at least 1"),
        ({"limit": 0.0}, r"limit is 0\.0; it must be finite and > 0"),
        ({"limit": float("nan")}, "limit is nan; it must be finite and > 0"),
        ({"image_size": 0}, "image_size is 0; it must be at least 1"),
        ({"channels": 2}, "channels is 2; it must be 1 or 3"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        MimicOptions(**options)


def test_options_are_read_and_written():
    spec = "mimic_phenotype:pairs=partial,fold=3,view=frontal,xray_hours=none,limit=none,channels=1"
    name, options = parse_dataset(spec)
    assert name == "mimic_phenotype"
    assert options == MimicOptions(
        pairs="partial", fold=3, view="frontal", xray_hours=None, limit=None, channels=1
    )
    assert write_dataset(parse_dataset(spec)) == spec
