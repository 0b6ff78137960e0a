"""The two kinds of error that the command line turns into exit codes."""


class UserError(ValueError):
    """The request cannot be served as it was put: exit code 2. The message says what to change."""


class RunFailure(RuntimeError):
    """The request was sound and failed on the way: exit code 1. What was finished is kept."""
