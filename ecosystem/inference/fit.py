"""Fit the efficiencies: `python -m ecosystem.inference.fit` rewrites `ecosystem/data/efficiencies.toml`.

Robust least squares on log time per output token, over the fit half of the shipped measurements, with a
log-normal
prior around each textbook value. Wide expert-parallel points and the DeepSeek day are never used.
"""

from pathlib import Path

import numpy as np

from ecosystem.inference.batching import Floats
from ecosystem.inference.cards import DATA
from ecosystem.inference.efficiencies import Efficiencies, Parameter, parameters
from ecosystem.inference.measurements import Measurements, shipped_measurements
from ecosystem.inference.validation import predict_tpot_ms, score

OUTLIER_SCALE = 0.10
"""Log error beyond which a row pulls linearly, not quadratically: the spread of repeated runs."""
PRIOR_WEIGHT = 3.0
"""Rows come in correlated families, so each prior weighs as much as nine independent rows at its width."""
HEADER = """# Efficiencies of the inference-cost kernel, written by `python -m ecosystem.inference.fit`.
# A fitted entry starts at `prior` with a log-normal width `log_sd`; an entry with fitted = false stays at
# its prior.
"""


def fit(rows: Measurements) -> Efficiencies:
    """Efficiencies that fit the rows best under the priors."""
    from scipy.optimize import least_squares  # deferred: half a second to import

    entries = parameters()
    free = [p for p in entries if p.fitted]
    fixed = {p.name: p.prior for p in entries}
    centre = np.log([p.prior for p in free])
    width = np.array([p.log_sd for p in free])
    measured = np.log(rows.tpot_ms)

    def efficiencies(logs: Floats) -> Efficiencies:
        return Efficiencies(**fixed | dict(zip((p.name for p in free), np.exp(logs).tolist(), strict=True)))

    def residuals(logs: Floats) -> Floats:
        error = (np.log(predict_tpot_ms(rows, efficiencies(logs))) - measured) / OUTLIER_SCALE
        robust = np.sign(error) * np.sqrt(2.0 * (np.sqrt(1.0 + error**2) - 1.0))  # pseudo-Huber (soft L1)
        return np.concatenate([robust, PRIOR_WEIGHT * (logs - centre) / width])

    bounds = (np.log([p.lower for p in free]), np.log([p.upper for p in free]))
    return efficiencies(least_squares(residuals, centre, bounds=bounds).x)


def fit_half(rows: Measurements) -> Measurements:
    """The rows that may be fitted on."""
    return rows.subset(rows.fit_half & np.isfinite(rows.tpot_ms))


def _entry(parameter: Parameter, value: float) -> str:
    lines = [f"[{parameter.name}]", f"value = {value:.4g}"]
    for key in ("prior", "log_sd", "lower", "upper"):
        lines.append(f"{key} = {float(getattr(parameter, key))!r}")
    lines += [f"fitted = {str(parameter.fitted).lower()}", f'unit = "{parameter.unit}"']
    return "\n".join([*lines, f'meaning = "{parameter.meaning}"'])


def write(eff: Efficiencies, path: Path) -> None:
    """Write the efficiencies file."""
    entries = [_entry(p, getattr(eff, p.name)) for p in parameters()]
    path.write_text(HEADER + "\n" + "\n\n".join(entries) + "\n", encoding="utf-8")


def main() -> None:
    """Fit, write the shipped file, and print what came out."""
    rows = shipped_measurements()
    eff = fit(fit_half(rows))
    write(eff, Path(str(DATA / "efficiencies.toml")))
    for p in parameters():
        kept = "" if p.fitted else " (not fitted)"
        print(f"{p.name:22s} prior {p.prior:8.4g}  value {getattr(eff, p.name):8.4g} {p.unit}{kept}")
    predicted = predict_tpot_ms(rows, eff)
    for name, half in (("fit half", rows.fit_half), ("report half", ~rows.fit_half)):
        result = score(name, predicted[half], rows.tpot_ms[half])
        errors = f"median {result.median:.1%}, p90 {result.p90:.1%}, bias {result.bias:+.1%}"
        print(f"{name}: n {result.count}, {errors}")


if __name__ == "__main__":
    main()
