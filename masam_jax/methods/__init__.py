"""The zoo: methods of balanced multimodal learning behind one protocol.

Each method is a file that registers itself; importing this package imports every file in it.
"""

import importlib
import pkgutil

from masam_jax.methods.method import BoundMethod, Context, Method
from masam_jax.methods.objective import Network, Objective, Outcome
from masam_jax.methods.registry import (
    get_method,
    method_names,
    parse_method,
    register,
)
from masam_jax.methods.report import Report, Reporting, method_report
from masam_jax.methods.schedule import Probe, Schedule
from masam_jax.methods.search import Choice, Integers, LogUniform, Search, Uniform

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "BoundMethod",
    "Choice",
    "Context",
    "Integers",
    "LogUniform",
    "Method",
    "Network",
    "Objective",
    "Outcome",
    "Probe",
    "Report",
    "Reporting",
    "Schedule",
    "Search",
    "Uniform",
    "get_method",
    "method_names",
    "method_report",
    "parse_method",
    "register",
]
