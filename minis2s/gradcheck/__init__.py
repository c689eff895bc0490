"""Is this backward the derivative of its forward? Numeric gradients that can be trusted, and the contract.

from minis2s.gradcheck import check
print(check(my_lstm_step, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh))
"""

from minis2s.gradcheck.checker import check, check_pair
from minis2s.gradcheck.library import check_file, format_table, run_library
from minis2s.gradcheck.report import Diagnosis, Gradient, Problem, Report, Weakness

__all__ = [
    "Diagnosis",
    "Gradient",
    "Problem",
    "Report",
    "Weakness",
    "check",
    "check_file",
    "check_pair",
    "format_table",
    "run_library",
]
