"""The one base of all errors that are meant for people."""


class UserError(ValueError):
    """Something that its user can put right: the message says what is wrong, the value, what is allowed, what to do."""
