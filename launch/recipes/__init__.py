"""Named experiments: `widesym reproduce NAME`."""

from launch.recipes.digits_c4 import DigitsC4
from launch.recipes.ntk_drift import NtkDrift

RECIPES = {"digits-c4": DigitsC4, "ntk-drift": NtkDrift}

__all__ = ["RECIPES", "DigitsC4", "NtkDrift"]
