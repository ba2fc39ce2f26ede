"""Compilation for functions that run once or twice, where compiling is all that costs."""

from functools import partial

import jax

# Half the time of compiling for speed, on CPU.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
