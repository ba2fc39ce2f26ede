"""Networks of other projects that train with MASAM: how labels, losses and steps are written.

``medfuse_network`` (Flax NNX) and ``drfuse_network`` (Flax Linen) are written as their owners
would write them, without a line of ``masam_jax``; ``medfuse_like`` and ``drfuse_like`` integrate
them, and are commands. ``docs/integration.md`` explains the steps.
"""
