"""What an app learns about its own users: an elasticity estimated from its own small experiments."""


class ResponseEstimate:
    """Recursive least squares of one response (log outcome on a lever), with forgetting and a prior."""

    __slots__ = ("_covariance", "forgetting", "slope")

    def __init__(self, prior: float, uncertainty: float, forgetting: float = 0.98) -> None:
        self.slope = prior
        self._covariance = uncertainty * uncertainty
        self.forgetting = forgetting

    def observe(self, change: float, response: float, noise: float) -> None:
        """Take in one experiment: the lever moved by `change`, the log outcome by `response` (sd `noise`)."""
        gain = self._covariance * change / (self.forgetting * noise * noise + change * change * self._covariance)
        self.slope += gain * (response - self.slope * change)
        self._covariance = (1.0 - gain * change) * self._covariance / self.forgetting
