"""MASAM as a gradient transformation: a correction on the total gradient."""

import functools
from typing import Any, Literal

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.choice import BY_VALUE, SELECTIONS, initial_memory
from masam_jax.core.decision import StaticUpdate
from masam_jax.core.masam_step import MasamState as MasamState
from masam_jax.core.masam_step import check_dominant, check_signals, take_step
from masam_jax.core.numerics import accumulation_dtype, is_traced
from masam_jax.core.partition import Labels, Partition, resolve_partition
from masam_jax.core.perturbed_parameters import no_radii
from masam_jax.core.point_dtype import PointDtype, check_point_dtype
from masam_jax.core.random_keys import raw_key
from masam_jax.core.refresh import Refresh, check_refresh, refresh_cycle
from masam_jax.core.reuse import Reuse, nothing_to_reuse
from masam_jax.core.route import CLEAN
from masam_jax.core.rule_options import Hyperparameters, RuleOptions
from masam_jax.core.scores import initial_scores
from masam_jax.core.specs import check_choice, check_flag, check_number, check_radius

Dispatch = Literal["auto", "switch", "dense", "host"]


def masam(
    labels: Labels,
    *,
    rho: chex.Numeric | optax.Schedule = 0.3,
    alpha: chex.Numeric = 0.8,
    beta: chex.Numeric = 0.91,
    select: str = "dominant",
    scale_by_alignment: bool = True,
    alignment: Literal["partition", "per_tensor", "features"] = "partition",
    clip_negative: bool = False,
    decay: Literal["absolute", "relative", "standardized"] = "absolute",
    score_smoothing: chex.Numeric | None = None,
    hysteresis: chex.Numeric | None = None,
    temperature: chex.Numeric = 0.1,
    radius: Literal["absolute", "relative", "filter"] = "absolute",
    eta: chex.Numeric = 0.01,
    fit_exponent: chex.Numeric | None = None,
    correct_other: bool = False,
    direction: Literal["fusion", "total"] = "fusion",
    perturbed_dtype: PointDtype = "auto",
    dispatch: Dispatch = "auto",
    perturb_every: int | None = None,
    score_every: int | None = None,
    reuse: Reuse = "orthogonal",
    other: str = "other",
    key: chex.PRNGKey | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Multimodal adaptive sharpness-aware minimization, as a correction on the total gradient.

    With $m^* = \arg\max_m \alpha Decay_m + (1 - \alpha) \gamma_m$ (APS) and
    $\epsilon = \rho_t \gamma_{m^*} \nabla_{\theta_{m^*}} L_{fuse} / \|\cdot\|_2$ (MDPS),

    $$
    u_{m^*} \leftarrow u_{m^*} + \nabla L_{fuse}(\theta + \epsilon) - \nabla L_{fuse}(\theta)
    $$

    and every other update stays, bit for bit: it needs nothing of the base optimizer, and stands
    anywhere in a chain. These options change the equations:

    - ``radius="relative"``: $\epsilon = \rho_t \|\theta_m\|_2 \gamma_m \hat g_m$, so that one
      ρ serves networks of every size and scale;
    - ``radius="filter"``: $\epsilon = \rho_t \gamma_m T^2 g_m / \|T g_m\|_2$ with ASAM's diagonal
      operator within the modality: T is $\|f\|_2 + \eta$ for every weight of a filter f (all axes
      of a leaf but the last) and $|w| + \eta$ in leaves of fewer than two axes;
    - ``fit_exponent=κ``: every ρ above times $e^{-\kappa \max(L_m, 0)}$, a power of the mean
      probability (geometric, for cross-entropies) that the modality's own head gives what is right.
      So nothing is perturbed that fits next to nothing: at initialisation a perturbation delays how
      soon training leaves its plateau;
    - ``correct_other=True``: the leaves of no modality, such as the fusion head, take
      $u + \nabla L_{fuse}(\theta + \epsilon) - \nabla L_{fuse}(\theta)$ too, on steps that
      perturb something;
    - ``direction="total"``: $\hat g_m$ is the direction of $\nabla_{\theta_m} L_{total}$.

    Others change the choice, which goes by $S_m = APS_m$ without them:

    - ``decay="relative"``: $\alpha Decay_m / |MA_m| + (1 - \alpha) \gamma_m$, the learning speed as
      a share of the loss; ``"standardized"``: $Decay_m / \sqrt{V_{Decay}}$ and
      $\gamma_m / \sqrt{V_\gamma}$ take the places of $Decay_m$ and $\gamma_m$, V a running mean
      square over modalities and steps, smoothed by β, so that α weighs terms of one size;
    - ``score_smoothing=κ``: $S_m(t) = \kappa S_m(t-1) + (1 - \kappa) APS_m(t)$, and $APS_m$ the
      first time;
    - ``hysteresis=h``: the modality that was chosen last stays chosen while it is present and no
      other one's value exceeds its own by more than h;
    - ``select="soft"``: every modality at once as with "all", but its radius times
      $w_m = \exp((S_m - \max_j S_j) / \tau)$: for τ → 0 "dominant", for τ → ∞ "all";
    - ``select="weakest"``: $\arg\min_m S_m$; ``"lowest_loss"``, ``"highest_loss"``: the least or
      largest $L_m$ of the batch;
    - ``select="held_out"``: $\arg\min_m L^V_m$, the modality that generalises best by the signal
      ``held_out_losses``; see below.

    Two more approximate it, so that a step costs less. With ``perturb_every=k`` the perturbed
    gradient is taken at the steps t = 0, k, 2k, …, and those between reuse a component of that
    correction $c$, as LookSAM reuses its own, at the length of their own gradient:

    $$
    u_{m^*} \leftarrow u_{m^*} + \|g_t\| \, v, \quad
    v = (c - \langle c, \hat g_s \rangle \hat g_s) / \|g_s\|, \quad
    g_t = \nabla_{\theta_{m^*}} L_{total}(\theta_t), \quad s = k \lfloor t / k \rfloor
    $$

    (``reuse="whole"``: $v = c / \|g_s\|$; ``reuse="none"``: v = 0, clean steps; ``reuse="lazy"``:
    clean steps too, and the step that measures c adds $k\,c$, so that the corrections of a cycle
    sum to what they would at every step, as lazy regularization has it). LookSAM's α, the
    length of v against the gradient's, is what it was when measured, and no option. With
    ``score_every=j`` γ is measured at the steps 0, j, 2j, … and stands between them, while the
    moving averages, whose losses cost nothing, follow every step. Steps that measure neither cost
    what late fusion costs where it is known while tracing which they are, see ``refresh``.

    ``update`` takes the signals of `multimodal_value_and_grad`, and ignores extra arguments
    that it does not know. Beside them it understands

    - ``present={modality: bool}``: a modality absent from the batch is neither chosen nor
      perturbed, and its average stays. So is one whose loss is not finite, or whose loss and
      gradient are exactly zero (a mean over no samples). With none present the step is clean.
    - ``dominant=int``, static: the caller's choice (an index into the sorted names, -1: none), so
      that one branch alone is traced; `masam_jax.training.make_train_step` dispatches from the host
      with it.
    - ``refresh``, static: what this step measures, an entry of
      `masam_jax.refresh_cycle(perturb_every, score_every)`, whose entry ``t % len(cycle)`` is step
      t's. Left out, the state's own count decides, in a branch that has the second pullback's cost
      on every step, and under ``vmap`` all of it.
    - ``held_out_losses={modality: scalar}``, which ``select="held_out"`` needs: $L^V_m$, each
      modality's own loss on samples that are not trained on, as the caller measured it last. One
      that is not finite is not known: its modality is not chosen. With none finite, among those
      present, the step is clean.
    - ``per_modality_grads``: see ``shared_parameters`` of `multimodal_value_and_grad`.

    Gradients are accumulated with ``multimodal_value_and_grad(..., microbatches=k)``:
    ``optax.MultiSteps`` would keep the last micro-batch's perturbed gradient only.

    Args:
      labels: the modality of each parameter: a tree of strings, a prefix of it, or a callable of
        params, as ``optax.multi_transform`` takes them; see `label_by_path`.
      rho: the radius ρ ≥ 0, in the units of the parameters or in norms of them (see ``radius``), or
        a schedule of it over steps.
      alpha: the weight α in [0, 1] of the learning speed in the score.
      beta: the smoothing β in [0, 1] of the unimodal losses' moving average.
      select: "dominant" by score; "all": every modality at once, each along its own gradient; a
        modality's name; "random". The last three are the paper's ablation "w/o APS". "soft",
        "weakest", "lowest_loss", "highest_loss", "held_out": see above.
      scale_by_alignment: whether γ scales the radius; False is the ablation "w/o MDPS".
      alignment: γ over the "partition" as one vector, or the mean of "per_tensor" cosines as in
        the authors' release. "features" approximates it: the cosine of the gradients at the
        encoder's features, over the batch as one vector. It needs a `LateFusion`, and its scores no
        second pullback through the encoders: under ``switch`` that of the fusion loss is then taken
        in the dominant modality's branch alone, and a step costs (3M + 5) / (3M) × late fusion.
      clip_negative: whether a negative γ counts as 0 instead of perturbing downhill.
      decay: the learning speed in the score; `masam_metrics` has Decay as it was measured.
      score_smoothing: κ in [0, 1); None, and the score is not smoothed.
      hysteresis: h ≥ 0, in units of what the choice goes by (a score or a loss); None, and the
        largest is always chosen.
      temperature: τ > 0 of ``select="soft"``, in units of the score.
      radius: whether ρ is "absolute", or "relative" to the norm of the modality's parameters, or
        to those of each "filter", accumulated in float32 or wider; with a norm of 0 the modality is
        not perturbed.
      eta: η ≥ 0 of ``radius="filter"``, so that weights near zero move too.
      fit_exponent: κ ≥ 0; None, and the fit of the batch does not scale the radius.
      correct_other: whether leaves labelled ``other`` take the fusion gradient at the perturbed
        point as well, which the pass computes anyway (encoders of a `LateFusion` that read such
        leaves all run again for it).
      direction: along which gradient ε goes: that of the "fusion" loss, or that of the "total"
        loss (the signal ``total_grads``, or the incoming updates without it). γ stays as it is.
      perturbed_dtype: the dtype of perturbed parameters of fewer than 32 bits, whose own rounds a
        small ε away. "float32" keeps ε; "parameters" rounds; "auto" is "float32" where the loss
        can be traced with it. See docs/integration.md.
      dispatch: how the perturbed gradient is taken. "switch" runs the dominant modality's branch
        alone; "dense" has no control flow, which ``vmap`` and convolutions on the CPU want; "host"
        picks a jitted branch from Python and needs an untraced step; "auto" is "host" where the
        step is not traced, else "dense" where the program is compiled for CPUs and "switch" where
        it is for others. All give the same numbers.
      perturb_every: steps k from one gradient at the perturbed point to the next; 1 when None.
      score_every: steps from one γ to the next; as ``perturb_every`` when None.
      reuse: what of a correction the k − 1 steps after it take: the component "orthogonal" to the
        total gradient, "whole" or "none"; "lazy" takes none, and k times the correction when it is
        measured.
      other: the label of the leaves that belong to no modality.
      key: the PRNG key of ``select="random"``; ``jax.random.key(0)`` when None.

    Returns:
      The transformation, with a `MasamState`.

    Raises:
      ValueError: an argument is out of range, the labels name no modality or do not fit the
        parameters, a modality has the name of another selection, ``select`` is unknown, parameters
        are complex or no floating numbers, a signal is missing, or a modality has no loss.

    References:
      Zijie Chen, Kejing Yin, Wenfang Yao, William K. Cheung, Jing Qin. MASAM: Multimodal Adaptive
      Sharpness-Aware Minimization for Heterogeneous Data Fusion. ICLR 2026.
      https://openreview.net/forum?id=AUKeDukcUi

      Yong Liu, Siqi Mai, Xiangning Chen, Cho-Jui Hsieh, Yang You. Towards Efficient and Scalable
      Sharpness-Aware Minimization (LookSAM). CVPR 2022. https://arxiv.org/abs/2203.02714

      Tero Karras, Samuli Laine, Miika Aittala, Janne Hellsten, Jaakko Lehtinen, Timo Aila.
      Analyzing and Improving the Image Quality of StyleGAN (lazy regularization). CVPR 2020.
      https://arxiv.org/abs/1912.04958

      Jungmin Kwon, Jeongseop Kim, Hyunseo Park, In Kwon Choi. ASAM: Adaptive Sharpness-Aware
      Minimization for Scale-Invariant Learning of Deep Neural Networks. ICML 2021 (the filter-wise
      operator). https://arxiv.org/abs/2102.11600

    Examples:
      >>> import optax
      >>> from masam_jax import masam_metrics, multimodal_value_and_grad
      >>> params = {"audio": 1.0, "video": 2.0, "head": 0.5}
      >>> def loss_fn(p):
      ...     fused = (p["head"] * (p["audio"] + p["video"]) - 1.0) ** 2
      ...     return fused, {m: p[m] ** 2 for m in ("audio", "video")}
      >>> labels = {"audio": "audio", "video": "video", "head": "other"}
      >>> tx = optax.chain(masam(labels, rho=0.1), optax.sgd(0.1))
      >>> opt_state = tx.init(params)
      >>> losses, grads, signals = multimodal_value_and_grad(loss_fn)(params)
      >>> updates, opt_state = tx.update(grads, opt_state, params, **signals)
      >>> masam_metrics(opt_state)["dominant"]
      'audio'
    """
    check_radius(rho)
    check_number("alpha", alpha, "[0, 1]")
    check_number("beta", beta, "[0, 1]")
    if not isinstance(select, str) or select == other:
        raise ValueError(f"select must be one of {list(SELECTIONS)} or a modality, got {select!r}")
    check_flag("scale_by_alignment", scale_by_alignment)
    check_flag("clip_negative", clip_negative)
    check_choice("alignment", alignment, ("partition", "per_tensor", "features"))
    check_choice("decay", decay, ("absolute", "relative", "standardized"))
    if score_smoothing is not None:
        check_number("score_smoothing", score_smoothing, "[0, 1)")
    if hysteresis is not None:
        check_number("hysteresis", hysteresis, "[0, inf)")
    check_number("temperature", temperature, "(0, inf)")
    check_flag("correct_other", correct_other)
    check_choice("radius", radius, ("absolute", "relative", "filter"))
    check_number("eta", eta, "[0, inf)")
    if fit_exponent is not None:
        check_number("fit_exponent", fit_exponent, "[0, inf)")
    check_choice("direction", direction, ("fusion", "total"))
    check_point_dtype(perturbed_dtype)
    check_choice("dispatch", dispatch, ("auto", "switch", "dense", "host"))
    # None, for optax.inject_hyperparams makes arrays of numbers.
    perturb_every = 1 if perturb_every is None else perturb_every
    cycle = refresh_cycle(perturb_every, score_every)
    check_choice("reuse", reuse, ("orthogonal", "whole", "none", "lazy"))
    settings = RuleOptions(
        select=select,
        decay=decay,
        scale_by_alignment=scale_by_alignment,
        alignment=alignment,
        clip_negative=clip_negative,
        radius=radius,
        correct_other=correct_other,
        along_total=direction == "total",
        point_dtype=perturbed_dtype,
        dispatch=dispatch,
        reuse=reuse if perturb_every > 1 and reuse != "lazy" else "none",
        times=perturb_every if reuse == "lazy" else 1,
    )

    def resolve(params: optax.Params) -> Partition:
        partition = resolve_partition(labels, params, other)
        ambiguous = sorted(set(SELECTIONS) & set(partition.modalities))
        if ambiguous:
            raise ValueError(
                f"labels name the modalities {ambiguous}, which select= could not tell from its own"
                f" words {list(SELECTIONS)}: rename them"
            )
        accepted = (*SELECTIONS, *partition.modalities)
        if select not in accepted:
            raise ValueError(f"select must be one of {list(accepted)}, got {select!r}")
        return partition

    def init_fn(params: optax.Params) -> MasamState:
        partition = resolve(params)
        dtype = accumulation_dtype(params)
        return MasamState(
            count=jnp.zeros((), jnp.int32),
            scores=initial_scores(partition.modalities, dtype),
            dominant=jnp.full((), CLEAN, jnp.int32),
            key=raw_key(key),
            radius=no_radii(params, partition, dtype),
            component=nothing_to_reuse(params) if settings.reuses else None,
            memory=initial_memory(
                partition.modalities,
                dtype,
                standardized=decay == "standardized",
                smoothed=score_smoothing is not None,
                hysteresis=hysteresis is not None and select in BY_VALUE,
            ),
        )

    def update_fn(
        updates: optax.Updates,
        state: MasamState,
        params: optax.Params | None = None,
        **signals: Any,
    ) -> tuple[Any, MasamState]:
        if params is None:
            raise ValueError("masam needs params: tx.update(grads, opt_state, params, **signals)")
        partition = resolve(params)
        check_signals(signals, partition, updates, params, alignment=alignment, select=select)
        check_refresh(signals.get("refresh"))
        chosen = check_dominant(signals.get("dominant"), partition)
        hyperparameters = Hyperparameters(
            rho(state.count) if callable(rho) else rho,
            alpha,
            beta,
            eta=eta if radius == "filter" else None,
            fit_exponent=fit_exponent,
            temperature=temperature if select == "soft" else None,
            smoothing=score_smoothing,
            hysteresis=hysteresis,
        )

        def advance(refresh: Refresh) -> tuple[Any, MasamState]:
            step = StaticUpdate(settings, partition, chosen, refresh)
            return take_step(step, updates, state, params, signals, hyperparameters)

        refresh = signals.get("refresh")
        if refresh is None and (len(cycle) == 1 or not is_traced(state.count)):
            refresh = cycle[0] if len(cycle) == 1 else cycle[int(state.count) % len(cycle)]
        if refresh is not None:
            return advance(refresh)
        kinds = tuple(dict.fromkeys(cycle))
        places = jnp.asarray([kinds.index(each) for each in cycle], jnp.int32)
        branches = [functools.partial(advance, kind) for kind in kinds]
        return jax.lax.switch(places[state.count % len(cycle)], branches)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)
