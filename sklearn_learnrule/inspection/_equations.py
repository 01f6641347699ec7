"""A rule in few terms, written as equations: in text and in LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..utils.texts import number
from ._candidates import REWARD, Term, as_latex, as_text, policy_input, weight

DIGITS = 2  # of a coefficient
OF_EACH = "of each choice, w and dw less their mean over choices"
AS_SEEN = "as the pipeline transforms it"


def equations_as_text(
    equations: Mapping[str, Mapping[Term, float]],
    transformed: Sequence[str] = (),
    n_choices: int = 2,
) -> str:
    """Write the update of each weight in a line.

    In the last, which stimuli are transformed, and that the equations are of each of many choices.
    """
    lines = [
        f"d{weight(name).text} = {_written(terms, as_text, ' ')}"
        for name, terms in equations.items()
    ]
    if transformed:
        lines.append(f"with {', '.join(policy_input(x).text for x in transformed)} {AS_SEEN}")
    if n_choices > 2:
        lines.append(OF_EACH)
    return "\n".join(lines)


def equations_as_latex(
    equations: Mapping[str, Mapping[Term, float]],
    transformed: Sequence[str] = (),
    n_choices: int = 2,
) -> str:
    """Write the same as an ``aligned`` environment."""
    sums = {name: _written(terms, as_latex, r"\,") for name, terms in equations.items()}
    lines = [rf"\Delta {weight(name).latex} &= {terms}" for name, terms in sums.items()]
    if transformed:
        stimuli = r",\,".join(policy_input(x).latex for x in transformed)
        lines.append(rf"&\text{{with }}{stimuli}\text{{ {AS_SEEN}}}")
    if n_choices > 2:
        lines.append(rf"&\text{{{OF_EACH}}}")
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}"])


def _written(terms: Mapping[Term, float], write: Callable[[Term], str], between: str) -> str:
    """Write a sum of terms, (r - b) before what there is with the reward and without."""
    text = ""
    for coefficient, parts in _collect(terms, write):
        sign = "-" if coefficient < 0 else "+" if text else ""
        parts = [_plain(coefficient), *parts]
        text += f" {sign} {between.join(parts)}" if text else sign + between.join(parts)
    return text or "0"


def _collect(
    terms: Mapping[Term, float], write: Callable[[Term], str]
) -> Iterator[tuple[float, list[str]]]:
    """Yield coefficients and what they multiply."""
    left = dict(terms)
    for term in terms:
        with_reward, without = _pair(term)
        if term not in left:
            continue
        if with_reward in left and without in left:
            rate, offset = left.pop(with_reward), left.pop(without)
            sign = "-" if offset / rate < 0 else "+"
            baseline = f"({write((REWARD,))} {sign} {_plain(offset / rate)})"
            yield rate, [baseline, *([write(without)] if without else [])]
        else:
            yield left.pop(term), [write(term)] if term else []


def _pair(term: Term) -> tuple[Term, Term]:
    """Return the term with the reward, which stands first, and without it."""
    if term[:1] == (REWARD,):
        return term, term[1:]
    return (REWARD, *term), term


def _plain(value: float) -> str:
    return number(abs(value), DIGITS).replace("−", "-")
