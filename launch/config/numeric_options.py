"""Numbers of options, read as in files: `--seed 0042` and `seed: 0042` are the same, or refused alike."""

from typing import Any

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from widesym.launch.config.yaml import plain


def numbers_as_in_files() -> ConstructorRegistry:
    """Within, tyro reads whole and other numbers as files have them."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
        if info.type is int:
            return _spec("INT", whole_number, lambda value: type(value) is int)
        if info.type is float:
            return _spec("FLOAT", number, lambda value: type(value) in (int, float))
        return None

    return registry


def whole_number(text: str) -> int:
    """The whole number that an option's text stands for; raises ValueError for what is none."""
    value = plain(text)
    if type(value) is not int:
        raise ValueError(f"{text!r} is no whole number")
    return value


def number(text: str) -> float:
    """The number that an option's text stands for; raises ValueError for what is none."""
    value = plain(text)
    if type(value) not in (int, float):
        raise ValueError(f"{text!r} is no number; write such as 0.5, 1e-3 or .inf")
    return float(value)


def _spec(metavar: str, made: Any, holds: Any) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda texts: made(texts[0]),
        is_instance=holds,
        str_from_instance=lambda value: [str(value)],
    )
