"""Published settings: the numbers, and that every network fits its data set."""

import dataclasses

import pytest

from masam_jax.cli.commands import Compare, Train, Tune, default_command
from masam_jax.config.published import settings_of
from masam_jax.data.builders.registry import BUILDERS, builder_class
from masam_jax.methods import get_method, parse_method
from masam_jax.training.classification_metrics import METRICS
from masam_jax.training.networks import build_network

PAPER = sorted(set(BUILDERS) - {"av_digits"})
# ρ, α, β.
FIRST, SECOND = (0.3, 0.8, 0.91), (0.5, 0.5, 0.9)
# Of ADNI the paper gives none: those that the release's quick-start commands run.
MASAM = {
    "adni": (0.3, 0.5, 0.9),
    **dict.fromkeys(("crema_d", "food101", "kinetics_sounds"), FIRST),
    **dict.fromkeys(("mimic_mortality", "mimic_phenotype", "ur_funny"), SECOND),
}


def test_every_published_data_set_has_settings_and_no_other():
    assert set(MASAM) == set(PAPER)
    for name in (*BUILDERS, "av_mnist", "leaves100"):
        settings = settings_of(name)
        assert settings.experiment.data.dataset == name
        assert settings_of(f"{name}:anything=1") is settings
    for name in ("mfeat", "synthetic", "nothing", ""):
        assert settings_of(name) is None


@pytest.mark.parametrize("name", PAPER)
def test_the_settings_of_the_paper(name):
    settings = settings_of(name)
    experiment = settings.experiment
    optimization, evaluation = experiment.optimization, experiment.evaluation
    assert (optimization.epochs, optimization.batch_size) == (200, 16)
    assert (optimization.learning_rate, optimization.weight_decay) == (1e-4, 0.0)
    assert (evaluation.patience, evaluation.min_epochs, evaluation.report) == (10, 4, "best")
    assert evaluation.evaluate_every is evaluation.checkpoint_every is None
    assert experiment.seeds.values == (0, 1, 2, 3)
    assert experiment.model.width == (256 if name.startswith("mimic") else 512)
    assert experiment.model.fusion == "concat"
    data = experiment.data
    assert data.train_size is data.validation_size is data.test_size is None
    options = parse_method("masam", settings.methods).options
    assert (options.rho, options.alpha, options.beta) == MASAM[name]
    # Each method that has a published number exists, and MASAM's is the best.
    for method, score in settings.published.items():
        assert get_method(method)
        assert 0 < score <= settings.published["masam"] < 1


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "mimic_phenotype"])
def test_the_network_fits_the_samples(tmp_path, name):
    builder = builder_class(name)(data_dir=tmp_path)
    assert builder.METRIC in METRICS
    model = settings_of(name).experiment.model
    network = build_network(
        builder.modalities, builder.num_classes, builder.MULTI_LABEL, model, model.fusion
    )
    assert network.modalities == tuple(sorted(builder.modalities))
    assert set(network.feature_sizes.values()) == {model.width}
    assert network.is_random == (model.dropout > 0)


def test_both_tasks_of_mimic_have_one_network():
    models = {settings_of(f"mimic_{task}").experiment.model for task in ("mortality", "phenotype")}
    assert len(models) == 1


def test_what_the_release_settles_is_the_default():
    models = {name: settings_of(name).experiment.model for name in PAPER}
    assert models["ur_funny"].depth == 4
    assert set(models["ur_funny"].encoders) == {
        f"{m}=conv_transformer:heads=8,pool=first" for m in ("audio", "text", "vision")
    }
    assert "image=resnet50" in models["food101"].encoders
    assert "cxr=resnet50" in models["mimic_mortality"].encoders
    assert (models["food101"].depth, models["food101"].dropout) == (1, 0.2)
    options = {name: builder_class(name).OPTIONS() for name in PAPER}
    for name in ("crema_d", "kinetics_sounds"):
        assert (options[name].frames, options[name].pick, options[name].crop) == (2, "any", "frame")
    assert options["crema_d"].audio == "fbank"
    assert (options["food101"].text, options["food101"].damaged) == ("bert", "grey")
    assert options["mimic_mortality"].outcome == "icu"
    assert options["ur_funny"].standardize == "sample"


def test_weights_that_cannot_be_shipped_are_asked_for():
    needs = {name: dict(settings_of(name).needs) for name in PAPER}
    assert {name: list(found) for name, found in needs.items() if found} == {
        "food101": ["image"],
        "mimic_mortality": ["cxr"],
        "mimic_phenotype": ["cxr"],
    }
    model = settings_of("food101").experiment.model
    (line,) = settings_of("food101").missing_weights(model)
    assert "ImageNet weights of ResNet-50" in line
    assert "--weights image=FILE.safetensors" in line
    given = dataclasses.replace(model, weights=("image=resnet50.safetensors",))
    assert settings_of("food101").missing_weights(given) == ()
    # Another encoder has other weights, or none.
    other = dataclasses.replace(model, encoders=("image=conv", *model.encoders[1:]))
    assert settings_of("food101").missing_weights(other) == ()


def test_the_demos_own_settings_did_not_move():
    experiment = Train().experiment
    assert experiment.optimization.weight_decay == 1e-4
    assert (experiment.evaluation.patience, experiment.evaluation.min_epochs) == (None, 0)
    assert settings_of("av_digits").experiment.optimization.weight_decay == 1e-4


def test_published_options_are_told_and_those_that_are_named_are_not():
    settings = settings_of("crema_d")
    specs = ("late_fusion", "masam", "ogm_ge", "ogm_ge:alpha=0.3", "pmr:alpha=1")
    bound = [parse_method(spec, settings.methods) for spec in specs]
    assert settings.options_told(bound) == (
        "ogm_ge: alpha=0.8, modulation_share=0.5, of its authors' release for these data.",
        "pmr: momentum=0, modulation_epochs=71, of its authors' release for these data.",
    )
    # What was published may be named too, and a run that is resumed took none of it.
    assert settings.options_told([parse_method("ogm_ge:alpha=0.8,modulation_share=0.5")]) == ()
    assert settings.options_told([parse_method("ogm_ge")]) == ()
    (told,) = settings_of("kinetics_sounds").options_told(
        [parse_method("ogm_ge", settings_of("kinetics_sounds").methods)]
    )
    assert "for VGGSound, the nearest data" in told
    mimic = settings_of("mimic_mortality")
    (told,) = mimic.options_told([parse_method("masam", mimic.methods)])
    assert told == "masam: rho=0.5, alpha=0.5, beta=0.9, as published for these data."


def test_every_published_option_is_one_of_its_method():
    for name in PAPER:
        settings = settings_of(name)
        for method in settings.methods:
            parse_method(method, settings.methods)
        assert set(settings.sources) <= set(settings.methods)


PUBLISHED = {"masam": {"rho": 0.5, "alpha": 0.5}, "sam": {"rho": 2.0}}


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("masam", "masam:rho=0.5,alpha=0.5"),
        ("masam:rho=2", "masam:rho=2,alpha=0.5"),
        ("masam:select=all", "masam:rho=0.5,alpha=0.5,select=all"),
        ("sam", "sam:rho=2"),
        ("late_fusion", "late_fusion"),
        ("late_fusion:weight=2", "late_fusion:weight=2"),
    ],
)
def test_published_options_give_way_to_those_that_are_asked_for(spec, expected):
    assert parse_method(spec, PUBLISHED).spec == expected


@pytest.mark.parametrize(
    "spec, message",
    [
        ("masam:rho", "'rho' is not of the form option=value"),
        ("masm", "unknown method 'masm'; did you mean 'masam'"),
        ("masam:roh=1", "unknown option 'roh'; did you mean 'rho'"),
    ],
)
def test_mistakes_are_named_with_published_options_too(spec, message):
    with pytest.raises(ValueError, match=message):
        parse_method(spec, PUBLISHED)


def test_commands_start_from_the_settings():
    settings = settings_of("mimic_phenotype")
    experiment = settings.experiment
    assert default_command(Train, settings) == Train(experiment=experiment)
    compare = default_command(Compare, settings)
    assert (compare.methods, compare.experiment) == (settings.compared, experiment)
    tune = default_command(Tune, settings)
    assert (tune.tune_seeds, tune.seed_offset) == (4, 100)
    tuned = tune.experiment
    for part in ("data", "model", "optimization", "corruption"):
        assert getattr(tuned, part) == getattr(experiment, part)
    assert tuned.seeds.values == (100, 101, 102, 103)
    assert tuned.evaluation.report_split == "validation"
    for name in ("log_every", "evaluate_every", "patience", "min_epochs", "report"):
        assert getattr(tuned.evaluation, name) == getattr(experiment.evaluation, name)
