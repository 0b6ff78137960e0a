"""The order rule of everybody who holds a stock with a lead time: cover expected use, close a part of the gap."""


def order_quantity(target: float, position: float, expected_use: float, speed: float) -> float:
    """Return the order of a period: what will be used up or grown into, plus `speed` times the gap.

    `target`: stock wanted when the order arrives; `position`: stock plus what is on order. With `speed` 1 and
    no expected use it is the order-up-to rule (negative where the position is too high).
    """
    return expected_use + speed * (target - position)
