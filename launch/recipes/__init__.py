"""Named experiments: `widesym reproduce NAME`."""

from launch.recipes.digits_c4 import DigitsC4
from launch.recipes.kernel_convergence import KernelConvergenceC4, KernelConvergenceSO3
from launch.recipes.ntk_drift import NtkDrift

RECIPES = {
    "digits-c4": DigitsC4,
    "kernel-convergence-c4": KernelConvergenceC4,
    "kernel-convergence-so3": KernelConvergenceSO3,
    "ntk-drift": NtkDrift,
}

__all__ = ["RECIPES", "DigitsC4", "KernelConvergenceC4", "KernelConvergenceSO3", "NtkDrift"]
