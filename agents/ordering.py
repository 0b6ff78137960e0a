"""The order rule of everybody who holds a stock with a lead time: cover expected use, close a part of the gap."""


def order_quantity(target: float, position: float, expected_use: float, speed: float) -> float:
    """Return the order of a period: what will be used up or grown into, plus `speed` times the rest of the gap.

    `target`: stock wanted when the order arrives plus what is used until then; `position`: stock plus what is on
    order. With `speed` 1 it is the order-up-to rule (negative where the position is too high); at rest, with a
    period's use ordered each period, the stock is the stock wanted at any speed.
    """
    return expected_use + speed * (target - expected_use - position)
