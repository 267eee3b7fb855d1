"""Named experiments: `widesym reproduce NAME`."""

from launch.recipes.digits_c4 import DigitsC4

RECIPES = {"digits-c4": DigitsC4}

__all__ = ["RECIPES", "DigitsC4"]
