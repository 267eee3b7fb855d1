"""Named experiments: `widesym reproduce NAME`."""

from launch.lazily import Lazily

RECIPES = {
    "digits-c4": Lazily("launch.recipes.digits_c4", "DigitsC4"),
    "kernel-convergence-c4": Lazily("launch.recipes.kernel_convergence", "KernelConvergenceC4"),
    "kernel-convergence-so3": Lazily("launch.recipes.kernel_convergence", "KernelConvergenceSO3"),
    "ntk-drift": Lazily("launch.recipes.ntk_drift", "NtkDrift"),
}
