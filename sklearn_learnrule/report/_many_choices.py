"""What a report says of more than two choices."""

from __future__ import annotations

CAPTIONS = {
    "update": (
        "How one trial changes a weight: of each choice, less their mean, a panel for the "
        "choice that was made. Points are filled after a correct choice, open after an error (if "
        "these are paid by chance, after the higher reward and the lower, as the key says); "
        "of one stimulus of six values or more there are lines, solid and dashed, with dots at "
        "what animals met. What no animal met is faint."
    ),
    "equation": (
        "The same in few terms, of each choice's weights less their mean over choices: those whose "
        "sum comes nearest to the inferred updates on the trials that the animals lived through, "
        "as many as animals left out call for. w are the weights, x the stimuli, y is 1 where this "
        "choice was made, p its probability, r the reward, z is 1 where it was correct (p_z is the "
        "correct one's probability), c is y less its share of all choices alike; _prev is of the "
        "trial before. Left, the share of the variance that so many terms explain (blue: those "
        "taken); right, their coefficients with 95% intervals, which of one fit take the rule as "
        "it is. Where a term is rarely selected without some animals, another would do as well."
    ),
    "asymmetry": (
        "Over the trials that the animals lived through: the mean change of each choice's "
        "weights per trial, less that of all, and its learning rate, the slope of that change "
        "on the policy's gradient; after correct choices and errors, after each choice, and "
        "after runs of four rewarded or unrewarded trials. In brackets 95% intervals: of "
        "several fits over these; of one over bootstrapped animals, which take the fitted rule "
        "as it is."
    ),
    "history": (
        "The update of the weight of the choice made, less the mean over choices, after a run "
        "of rewarded trials (large, blue) and of unrewarded ones (small, red), with the weights "
        "held at 0. Where these part, the rule remembers. Below, a run of four lies farther and "
        "farther back."
    ),
    "trajectories": (
        "The policy's weights before each trial of each animal: of each choice, less their "
        "mean, how much a stimulus speaks for it, and its bias. Ticks at the foot open "
        "sessions."
    ),
    "psychometric": (
        "How often each choice is made: points are the animals' choices with 95% intervals, "
        "lines or dashes what the models predict on the same trials, one step ahead. Grey is "
        "chance."
    ),
}
"""How to read exhibits that show more otherwise, by name."""
