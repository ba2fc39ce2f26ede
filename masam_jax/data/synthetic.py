r"""Synthetic multimodal data whose imbalance is known, because it is set.

Row $i$ has a class $y_i$; classes are as equally frequent as they can be. With a
latent dimension $k$, each class has a prototype that all modalities see and one that modality
$m$ alone sees, all drawn once: $\mu_c, \nu_{m,c} \sim \mathcal N(0, I_k)$. A row
departs from its prototypes by $e_i, f_{i,m} \sim \mathcal N(0, I_k)$:

$$
\begin{aligned}
h_i     &= \sqrt{1-v}\, \mu_{y_i} + \sqrt{v}\, e_i               && \text{shared factor} \\
p_{i,m} &= \sqrt{1-v}\, \nu_{m,y_i} + \sqrt{v}\, f_{i,m}         && \text{private signal} \\
z_{i,m} &= \sqrt{s}\, h_i + \sqrt{1-s}\, p_{i,m}                 && \text{latent} \\
x_{i,m} &= d_m A_m z_{i,m} + \sigma \xi_{i,m}                    && \text{observed}
\end{aligned}
$$

with noise $\xi \sim \mathcal N(0, I)$ and a fixed mixing matrix $A_m \in \mathbb
R^{D_m \times k}$ whose rows have unit length. Every coordinate of h, p, z and A z has unit variance
over the draw of prototypes, hence:

* the signal-to-noise ratio of each feature of modality m is $d_m^2 / \sigma^2$
  (``dominance`` $d_m$, ``noise`` $\sigma$), so the modality with the largest
  $d_m$ is the one a joint network learns first;
* $\mathrm{Cov}(z_{i,m}, z_{i,m'}) = s I$ for $m \neq m'$: ``shared`` is the fraction
  of the latent's variance that is common to all modalities. At s = 1 they are redundant, noisy
  views of one factor; at s = 0 they are independent given the class, and a weak modality still
  holds class information that no other has;
* ``within_class`` $v$ is the fraction of the variance that says nothing of the class: 0 makes
  the noise-free problem trivial, 1 makes it impossible.

``case`` draws something else in its place, for which the other options but ``samples`` and ``seed``
have no meaning; see `masam_jax.data.synthetic_cases`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np

from masam_jax.core.specs import Options, check_number, option
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.synthetic_cases import CASES


@dataclasses.dataclass(frozen=True)
class SyntheticConfig(Options):
    """What `make_synthetic` draws. The symbols are those of the module's documentation.

    Attributes:
      samples: number of rows N.
      num_classes: number of classes C.
      dominance: d_m, one signal amplitude for each modality; its length says how many there are.
      dims: shape of one sample, an integer D or a tuple such as ``(H, W, C)``: one for each
        modality, or a single one for all.
      noise: standard deviation σ of the observation noise.
      shared: fraction s of the latent variance that all modalities have in common.
      within_class: fraction v of the latent variance that is unrelated to the class.
      latent_dim: k.
      seed: the same configuration always draws the same data.
      case: ``gaussian``, the model above, or a name of ``synthetic_cases.CASES``.

    Raises:
      ValueError: for a value outside its range, named with what it accepts.
    """

    samples: int = 2000
    num_classes: int = option(4, "[2, inf)")
    dominance: tuple[float, ...] = (2.0, 1.0, 0.5)
    dims: tuple[int | tuple[int, ...], ...] = (16,)
    noise: float = option(1.0, "[0, inf)")
    shared: float = option(0.5, "[0, 1]")
    within_class: float = option(0.5, "[0, 1]")
    latent_dim: int = option(8, "[1, inf)")
    seed: int = option(0, "[0, inf)")
    case: Literal["gaussian", "competition", "xor", "pad"] = "gaussian"

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        self._check_case()
        num_classes = self._num_classes
        if self.samples < num_classes:
            raise ValueError(
                f"samples={self.samples} is out of range: expected at least one row for each of"
                f" the {num_classes} classes"
            )
        if not self.dominance:
            raise ValueError("dominance=() names no modality: expected a number for each")
        for amplitude in self.dominance:
            check_number("dominance", amplitude, "[0, inf)")
        sizes = [min(_shape(dim), default=0) for dim in self.dims]
        if len(sizes) not in (1, len(self.dominance)) or min(sizes) < 1:
            raise ValueError(
                f"dims={self.dims}: expected positive sizes, one for all or one for each of"
                f" {len(self.dominance)} modalities"
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """``m0, m1, …`` in the order of ``dominance``, which is their sorted order too.

        Of a case, its own.
        """
        if self.case != "gaussian":
            return CASES[self.case].modalities
        width = len(str(len(self.dominance) - 1))
        return tuple(f"m{index:0{width}d}" for index in range(len(self.dominance)))

    @property
    def _num_classes(self) -> int:
        return self.num_classes if self.case == "gaussian" else CASES[self.case].num_classes

    def _check_case(self) -> None:
        if self.case == "gaussian":
            return
        for field in dataclasses.fields(self):
            free = field.name in ("samples", "seed", "case")
            if not free and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"{field.name} is for case=gaussian; case={self.case} takes samples and seed"
                )


def make_synthetic(config: SyntheticConfig | None = None, /, **overrides: Any) -> MultimodalData:
    """Draw a data set; the model is in this module's documentation.

    Args:
      config: what to draw; the defaults of `SyntheticConfig` when omitted.
      **overrides: fields of `SyntheticConfig` to replace.

    Returns:
      `MultimodalData` named ``"synthetic"``, float32 features ``[N, *dims]`` for modalities
      ``m0, m1, …``, or those of the case. Each of ``m0, m1, …`` has its own random stream: adding
      one leaves the others and the labels as they were.

    Raises:
      ValueError: for a value out of range.
      TypeError: for an unknown field.

    Examples:
      >>> data = make_synthetic(samples=8, dominance=(2.0, 0.5), dims=(3,))
      >>> {m: features.shape for m, features in data.features.items()}
      {'m0': (8, 3), 'm1': (8, 3)}
    """
    config = dataclasses.replace(config or SyntheticConfig(), **overrides)
    rng = _stream(config, 0)
    num_classes = config._num_classes
    labels = rng.permutation(np.arange(config.samples, dtype=np.int32) % num_classes)
    if config.case != "gaussian":
        drawn = CASES[config.case].draw(_stream(config, 1), labels)
        features = {m: each.astype(np.float32) for m, each in drawn.items()}
        return MultimodalData("synthetic", features, labels, num_classes)
    factor = _class_signal(rng, labels, config)
    dims = config.dims * len(config.dominance) if len(config.dims) == 1 else config.dims
    features = {
        modality: _observe(_stream(config, index + 1), labels, factor, amplitude, dim, config)
        for index, (modality, amplitude, dim) in enumerate(
            zip(config.modalities, config.dominance, dims, strict=True)
        )
    }
    return MultimodalData("synthetic", features, labels, config.num_classes)


def _observe(
    rng: np.random.Generator,
    labels: np.ndarray,
    factor: np.ndarray,
    amplitude: float,
    dim: int | tuple[int, ...],
    config: SyntheticConfig,
) -> np.ndarray:
    shape = _shape(dim)
    private = _class_signal(rng, labels, config)
    latent = math.sqrt(config.shared) * factor + math.sqrt(1 - config.shared) * private
    mixing = rng.standard_normal((math.prod(shape), config.latent_dim))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    noise = rng.standard_normal((len(labels), math.prod(shape)))
    observed = amplitude * latent @ mixing.T + config.noise * noise
    return observed.astype(np.float32).reshape(len(labels), *shape)


def _class_signal(
    rng: np.random.Generator, labels: np.ndarray, config: SyntheticConfig
) -> np.ndarray:
    prototypes = rng.standard_normal((config.num_classes, config.latent_dim))
    departures = rng.standard_normal((len(labels), config.latent_dim))
    between = math.sqrt(1 - config.within_class)
    return between * prototypes[labels] + math.sqrt(config.within_class) * departures


def _stream(config: SyntheticConfig, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(index,)))


def _shape(dim: int | tuple[int, ...]) -> tuple[int, ...]:
    return (dim,) if isinstance(dim, int) else tuple(dim)
