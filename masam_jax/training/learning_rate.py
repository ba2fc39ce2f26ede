"""The learning rate of a run, step by step."""

import optax

from masam_jax.config import OptimizationConfig


def learning_rate(
    config: OptimizationConfig, steps: int, updates_per_step: int = 1
) -> float | optax.Schedule:
    """The learning rate η of update t, counted from 0; a number where it never changes.

    With w steps of warm-up it is ``η (t + 1) / w`` in the first w, and η at step w. Of the T steps
    in all, "cosine" then is ``η (1 + cos(π (t - w) / (T - w))) / 2``, "linear" is
    ``η (1 - (t - w) / (T - w))``, and "step" is η, and η / 10 from ``t - w >= .7 (T - w)`` on, as
    the releases of OGM-GE and its followers have it (epoch 70 of 100).

    Args:
      config: the height η, the warm-up and the schedule.
      steps: T.
      updates_per_step: of what the rate is for, where modalities take turns within a step.

    Raises:
      ValueError: the warm-up is not over before the last step.
    """
    rate, warmup = config.learning_rate, config.warmup
    if config.schedule == "constant" and not warmup:
        return rate
    if warmup >= steps:
        raise ValueError(
            f"warmup={warmup} is out of range: the run has {steps} steps, it needs less"
        )
    schedule = _after_warmup(config.schedule, rate, steps - warmup)
    if warmup:
        rising = optax.linear_schedule(rate / warmup, rate, warmup - 1)
        schedule = optax.join_schedules([rising, schedule], [warmup])
    if updates_per_step == 1:
        return schedule
    return lambda count: schedule(count // updates_per_step)


def _after_warmup(name: str, rate: float, steps: int) -> optax.Schedule:
    if name == "cosine":
        return optax.cosine_decay_schedule(rate, steps)
    if name == "linear":
        return optax.linear_schedule(rate, 0.0, steps)
    if name == "step":
        return optax.piecewise_constant_schedule(rate, {-(-7 * steps // 10): 0.1})
    return optax.constant_schedule(rate)
