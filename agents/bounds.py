"""Numbers kept within bounds: what `min` and `max` of two floats do, at a third of their time."""


def at_least(number: float, floor: float) -> float:
    """Return the number, or the floor where it is below it: `max(number, floor)`."""
    return floor if floor > number else number


def at_most(number: float, ceiling: float) -> float:
    """Return the number, or the ceiling where it is above it: `min(number, ceiling)`."""
    return ceiling if ceiling < number else number


def between(number: float, floor: float, ceiling: float) -> float:
    """Return the number within bounds: `min(max(number, floor), ceiling)`."""
    raised = floor if floor > number else number
    return ceiling if ceiling < raised else raised
