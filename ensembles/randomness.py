"""Where members' random numbers come from, and so how ensembles depend on each other.

Member k draws all its numbers from fold_in(root, k). With randomness "own" an ensemble's root is the key of its seed
folded with a digest of what its members are, so that ensembles of one seed are independent unless they are the same.
With "shared" the root is the key of the seed alone: members of one number start from the same weights where the
architectures are the same, and see the same batches (common random numbers). Of other architectures they then have
*some* weights in common, which makes them neither the same nor independent.
"""

import hashlib
import json
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Int, Key, Shaped, UInt32

from widesym.ensembles.independence import Randomness, check_randomness
from widesym.models.description import describe, without_modules
from widesym.models.numerics import GENERATOR, fixed_numerics, key_of_seed

INITIALISATION = 0  # what a member's key is folded with for its parameters; ensembles/member.py has the others
WORDS = 4  # of 32 bits of the digest, that a key is folded with


def identity(randomness: Randomness, seed: int, architecture: Any, recipe: Any, data_fingerprint: str | None) -> str:
    """The same text for two ensembles if their members of one number draw from the same key, and else another.

    Architecture and recipe are specs, or descriptions of them (`describe`). Where members have hyperparameters of their
    own, ensembles are the same if all their members are, in their order. Raises ValueError as `member_digests`.
    """
    check_randomness(randomness)
    if randomness == "shared":
        return f"shared, seed {seed}"
    found = member_digests(architecture, recipe, data_fingerprint)
    return f"own, seed {seed}, {found[0] if len(set(found)) == 1 else _sha256(list(found))}"


def member_digests(architecture: Any, recipe: Any, data_fingerprint: str | None) -> tuple[str, ...]:
    """Of what members are: architecture, recipe and data. One for all members, or one for each where recipes have
    numbers for each; then of the member's own, so that it is the digest of an ensemble that has these numbers alone.

    Raises ValueError for specs that cannot be described.
    """
    try:
        of_all = {"architecture": _described(architecture), "data": data_fingerprint}
        recipes = _recipes(_described(recipe))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{error}. With randomness 'own' members' random numbers follow from what they are, so that all of it must "
            "be what can be written down; or take randomness='shared', and a seed of its own for each ensemble"
        ) from None
    known = {text: _sha256({**of_all, "recipe": json.loads(text)}) for text in dict.fromkeys(recipes)}
    return tuple(known[text] for text in recipes)


def _described(spec: Any) -> Any:
    """What numbers follow from: wherever a class of somebody's own is defined, they stay."""
    return without_modules(describe(spec))


def _recipes(recipe: dict[str, Any]) -> list[str]:
    """What is the recipe of one member, as text: of all, or of each."""
    optimizer = recipe["optimizer"]
    members = max(
        (len(value) for value in (recipe["learning_rate"], *optimizer.values()) if _several(value)), default=1
    )

    def own(value: Any, member: int) -> Any:
        return value[member] if _several(value) else value

    return [
        json.dumps(
            {
                **recipe,
                "learning_rate": own(recipe["learning_rate"], member),
                "optimizer": {name: own(value, member) for name, value in optimizer.items()},
            }
        )
        for member in range(members)
    ]


def _several(value: Any) -> bool:
    """Whether a hyperparameter's description has a number for each member."""
    return isinstance(value, list)


def _sha256(value: Any) -> str:
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """JSON values with one text for what is equal: 1.0 is 1."""
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def fingerprint(*arrays: Shaped[ArrayLike, "..."]) -> str:
    """Digest of numbers, float32 as members compute with them: a `data_fingerprint` of arrays that have none."""
    digest = hashlib.sha256()
    for array in (np.ascontiguousarray(array, np.float32) for array in arrays):
        digest.update(str(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:16]


def roots(
    randomness: Randomness, seed: int, architecture: Any, recipe: Any, data_fingerprint: str | None
) -> UInt32[np.ndarray, "member_or_1 words"]:
    """Data of the keys that members draw from: one for all, or one each. Raises ValueError as `member_digests`."""
    check_randomness(randomness)
    with jax.ensure_compile_time_eval(), fixed_numerics():  # also while shapes alone are asked for
        key = key_of_seed(seed)
        if randomness == "shared":
            return np.asarray(jax.random.key_data(key))[None]
        found = member_digests(architecture, recipe, data_fingerprint)
        different = list(dict.fromkeys(found))
        folded = jax.vmap(partial(_folded, key))(np.stack([_words(digest) for digest in different]))
        known = dict(zip(different, np.asarray(jax.random.key_data(folded)), strict=True))
        return np.stack([known[digest] for digest in found])


def own_key(seed: int, what: Any) -> Key[Array, ""]:
    """The key of a seed for one thing alone, that has this description (`describe`)."""
    return _folded(key_of_seed(seed), _words(_sha256(what)))


def _words(digest: str) -> UInt32[np.ndarray, " words"]:
    """The first ones of a digest."""
    return np.frombuffer(bytes.fromhex(digest), ">u4")[:WORDS].astype(np.uint32)


def _folded(key: Key[Array, ""], words: UInt32[ArrayLike, " words"]) -> Key[Array, ""]:
    """The key after folding in one word after the other."""
    for word in jnp.asarray(words):
        key = jax.random.fold_in(key, word)
    return key


def key_of(root: UInt32[Array, " words"], member: Int[ArrayLike, ""]) -> Key[Array, ""]:
    """Where all of a member's randomness comes from."""
    return jax.random.fold_in(jax.random.wrap_key_data(root, impl=GENERATOR), member)


def initial_key(root: UInt32[Array, " words"], member: Int[ArrayLike, ""]) -> Key[Array, ""]:
    """Where a member's parameters come from."""
    return jax.random.fold_in(key_of(root, member), INITIALISATION)
