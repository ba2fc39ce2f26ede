"""What ``masam tune`` does."""

from rich.console import Console

from masam_jax.analysis.tuning_table import tuning_to_markdown, tuning_to_rich
from masam_jax.api.method_list import expand_methods, recorded_methods
from masam_jax.cli.commands import Tune
from masam_jax.cli.printing import counted, print_plain
from masam_jax.config.engine import parse_engine
from masam_jax.config.errors import RunError
from masam_jax.config.published import settings_of
from masam_jax.core.extras import install_extras
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.storage.atomic_files import write_text


def execute_tune(
    command: Tune, console: Console, line: list[str], interrupt: InterruptRequest | None = None
) -> None:
    """Tunes, and shows what came out; arguments and errors as those of `execute_train`."""
    try:
        from masam_jax.tuning.tune import execute_tuning, plan_tuning
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("optuna", "sqlalchemy"):
            raise
        raise RunError(f"masam tune needs {error.name}: {install_extras('tune')}") from error

    engine = parse_engine(command.engine)

    def announce(text: str) -> None:
        print_plain(console, text)

    settings = settings_of(command.experiment.data.dataset)
    published = None if settings is None else settings.methods
    methods = expand_methods(command.methods, published, recorded_methods(command.output))
    plan = plan_tuning(methods, command.trials, command.experiment, command.inputs)
    for told in settings.options_told(methods) if settings else ():
        announce(told)
    announce(
        f"{plan.problem.data.name}: {counted(len(plan.spaces), 'method')},"
        f" {counted(plan.trials, 'trial')} each, {counted(len(plan.problem.splits), 'seed')}"
        f" -> {command.output.output}"
    )
    path, best = execute_tuning(plan, command.output, line, announce, interrupt, engine)
    console.print(tuning_to_rich(best))
    write_text(path / "tuning.md", tuning_to_markdown(best))
    announce(f"written: {path / 'tuning.md'}. Compare the methods with --methods @{path}")
