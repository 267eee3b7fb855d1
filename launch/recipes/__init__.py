"""Named experiments: `widesym reproduce NAME`."""

from widesym.launch.lazily import Lazily

RECIPES = {
    "digits-c4": Lazily("widesym.launch.recipes.digits_c4", "DigitsC4"),
    "kernel-convergence-c4": Lazily("widesym.launch.recipes.kernel_convergence", "KernelConvergenceC4"),
    "kernel-convergence-so3": Lazily("widesym.launch.recipes.kernel_convergence", "KernelConvergenceSO3"),
    "ntk-drift": Lazily("widesym.launch.recipes.ntk_drift", "NtkDrift"),
}
