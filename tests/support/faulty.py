"""Functions that fail at a moment of a test's choice."""


def raising(function, error, call, before):
    """The function, but raising in its n-th call: before it does anything, or after it has done everything."""
    calls = 0

    def wrapped(*arguments):
        nonlocal calls
        calls += 1
        if before and calls == call:
            raise error
        result = function(*arguments)
        if calls == call:
            raise error
        return result

    return wrapped
