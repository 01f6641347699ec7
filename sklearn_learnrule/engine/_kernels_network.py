"""The steps of the network rules, compiled: see ``_steps``; a filter's are in ``_kernels_points``.

A row holds everything that one trial computes: the network's inputs, the memory, the gates, each
layer's output before and after its activation, each in a slot padded to ``LANES``. A row of
*deltas* holds the loss's gradient with respect to the same slots. The parameters' gradients are
added up as products of rows and deltas, a block of them at a time.

A network that learns of all choices alike has several such rows of a trial, one after another: see
``_kernels_alike``. What a rule adds that a network goes around, ``_kernels_around`` says.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from ._kernels_alike import apart_back, class_of, fill_apart, has_all, join_updates, part_updates
from ._kernels_around import add_around, around_back, context_of, move_around, set_pace
from ._kernels_gru import fill_memories, gru, gru_back, new_memory, old_memory
from ._kernels_layers import (
    INPUT,
    N_COLUMNS,
    OUTPUT,
    WIDTH,
    activate,
    activate_back,
    add_gradient,
    linear,
    linear_back,
    linear_back_to,
    linear_rows,
    transpose,
)
from ._kernels_state import kernel
from ._kernels_vector import at_address, copy, pointer, shift


class Network(NamedTuple):
    """A network rule's shape: the first numbers of its layout, before the table of its layers."""

    n_layers: int
    n_weights: int
    memory_width: int
    """M padded to LANES; 0 for a rule without memory."""
    activation: int
    session_input: int
    answer_input: int
    row_size: int
    transposed: int
    """The place of the transposed layers among the parameters."""
    n_sided: int
    """As of the rule."""
    handed_on: int
    """Inside the filter, the place in a row of the update, and after it of the new memory; where
    choices are alike, in a delta also that of the weights' adjoint."""
    n_effects: int
    """How many of a subject's own numbers are inputs, too."""
    rate_column: int
    """As of the rule."""
    context_width: int
    known_input: int
    misses_input: int
    n_sets: int
    """Of weights: the number of choices less one."""
    n_views: int
    """The rows of a trial: 1 or, where choices are alike, one of each, see ``_kernels_alike``."""
    alike: int
    """As of the rule."""
    n_features: int
    """As of the rule."""
    around: int
    """The address of the step of the rule that it goes around; 0: there is none."""
    around_back: int
    """That of its way back."""
    of_around: int
    """The place of that rule's parameters among all."""
    around_row: int
    """The place of its row, and of its delta, in the network's."""
    n_points: int
    """At how many weights a filter asks of each trial: see ``_kernels_points``; else 1."""


N_NUMBERS = len(Network._fields)


@njit
def read(layout):
    """Return a network's shape and the table of its layers."""
    network = Network(
        layout[0], layout[1], layout[2], layout[3], layout[4], layout[5], layout[6], layout[7],
        layout[8], layout[9], layout[10], layout[11], layout[12], layout[13], layout[14],
        layout[15], layout[16], layout[17], layout[18], layout[19], layout[20], layout[21],
        layout[22], layout[23],
    )  # fmt: skip
    return network, shift(layout, N_NUMBERS)


@njit
def is_turned(network, fields, trial, row):
    """Whether a symmetric network sees a trial from the first choice's side, see ``DNNRule``."""
    return network.n_sided >= 0 and at_address(fields[1], row)[trial] < 0.5


@njit
def turn(network, weights):
    """Change the signs of the biases' weights, or of their updates."""
    for k in range(network.n_sided, network.n_weights):
        weights[k] = -weights[k]


@njit
def fill_choice(n_sets, choice, inputs):
    """Of two choices, the choice, or how sure it is; of more, 1 for it, but for the first."""
    for c in range(n_sets):
        if n_sets == 1:
            inputs[c] = choice
        else:
            inputs[c] = 1 if choice == c + 1 else 0


@njit
def fill_inputs(network, fields, subject, trial, weights, row):
    """[w, x, y, r] and, unless switched off, session start, correct choice, own numbers."""
    if network.alike:
        fill_inputs_alike(network, fields, subject, trial, weights, row)
        return
    n_weights, n_sets = network.n_weights, network.n_sets
    n_features = network.n_features
    features = shift(at_address(fields[0], row), trial * n_features)
    copy(weights, row, n_weights)
    copy(features, shift(row, n_weights), n_features)
    outcome = shift(row, n_weights + n_features)
    fill_choice(n_sets, at_address(fields[1], row)[trial], outcome)
    turned = is_turned(network, fields, trial, row)
    if turned:
        turn(network, row)
        for k in range(network.n_sided):
            row[n_weights + k] = -features[k]
        outcome[0] = 1
    outcome = fill_outcome(network, fields, trial, shift(outcome, n_sets))
    if network.answer_input:
        answer = at_address(fields[3], row)[trial]
        fill_choice(n_sets, 1 - answer if turned else answer, outcome)
    fill_further(network, fields, subject, trial, shift(outcome, n_sets * network.answer_input))


@njit
def fill_inputs_alike(network, fields, subject, trial, weights, row):
    """[w - w of y, p, p of y, x] of each view, and further as in ``NetworkRule``."""
    n_features = network.n_features
    features = shift(at_address(fields[0], row), trial * n_features)
    made = int(at_address(fields[1], row)[trial])
    fill_apart(network, weights, features, made, row)
    for view in range(network.n_views):
        outcome, c = shift(row, view * network.row_size), class_of(network, made, view)
        outcome = shift(outcome, 2 * n_features + 2)
        if has_all(network):
            outcome[0] = 1 if c == made else 0
            outcome = shift(outcome, 1)
        outcome = fill_outcome(network, fields, trial, outcome)
        if network.answer_input:
            answer = at_address(fields[3], row)[trial]
            outcome[0] = 1 if answer == made else 0
            outcome[1] = 1 if answer == c else 0
        fill_further(network, fields, subject, trial, shift(outcome, 2 * network.answer_input))


@njit
def fill_outcome(network, fields, trial, outcome):
    """Fill in reward and session start, and return the place after them."""
    outcome[0] = at_address(fields[2], outcome)[trial]
    if network.session_input:
        outcome[1] = at_address(fields[4], outcome)[trial]
    return shift(outcome, 1 + network.session_input)


@njit
def fill_further(network, fields, subject, trial, further):
    """Fill in what comes last: whether the reward is known, misses, own numbers."""
    own = context_of(network, fields, subject, further)
    if network.known_input:
        further[0] = at_address(fields[6], further)[trial]
    if network.misses_input:
        misses = at_address(fields[7], further)[trial]
        further[network.known_input] = misses / (1 + misses)
    copy(own, shift(further, network.known_input + network.misses_input), network.n_effects)


@njit
def first_layer(network):
    """Return the number of the first layer after the memory."""
    return 2 if network.memory_width else 0


@njit
def activate_below(network, layer, row):
    """Fill a layer's input slot from the output slot of the layer below."""
    below = shift(layer, -N_COLUMNS)
    x, y = shift(row, below[OUTPUT]), shift(row, layer[INPUT])
    activate(network.activation, x, y, below[WIDTH])


@njit
def activate_below_back(network, layer, row, delta):
    below = shift(layer, -N_COLUMNS)
    x, y = shift(row, below[OUTPUT]), shift(row, layer[INPUT])
    delta_x, delta_y = shift(delta, below[OUTPUT]), shift(delta, layer[INPUT])
    activate_back(network.activation, x, y, delta_x, delta_y, below[WIDTH])


@njit(forceinline=True)
def fill_row(network, layers, parameters, fields, subject, trial, weights, memory, row):
    """Fill a row from the weights, the trial, and the old memory."""
    fill_inputs(network, fields, subject, trial, weights, row)
    for _ in range(network.n_views):
        linear(layers, parameters, row)
        first = first_layer(network)
        if network.memory_width:
            copy(memory, old_memory(layers, row), network.memory_width)
            memory = shift(memory, network.memory_width)
            gru(network, layers, parameters, row)
            linear(shift(layers, first * N_COLUMNS), parameters, row)
        for number in range(first + 1, network.n_layers):
            layer = shift(layers, number * N_COLUMNS)
            activate_below(network, layer, row)
            linear(layer, parameters, row)
        row = shift(row, network.row_size)


@njit
def hand_on(network, layers, fields, subject, trial, row, update, memory):
    """Fill in the network's update and the new memory, as they look from no side."""
    outputs = last_output(network, layers, row)
    if network.alike:
        join_updates(network, int(at_address(fields[1], row)[trial]), outputs, update)
    else:
        copy(outputs, update, network.n_weights)
    set_pace(network, fields, subject, row, network.n_weights, update)
    if network.memory_width:
        for view in range(network.n_views):
            of_view = new_memory(layers, shift(row, view * network.row_size))
            copy(of_view, shift(memory, view * network.memory_width), network.memory_width)
    if is_turned(network, fields, trial, row):
        turn(network, update)


def advance_block(
    layout, parameters, fields, subject, start, n_trials, weights, width, memory, row
):
    """Advance over many trials, which is faster than one by one; ``memory`` goes along."""
    network, layers = read(layout)
    for trial in range(start, start + n_trials):
        later = shift(weights, width)
        fill_row(network, layers, parameters, fields, subject, trial, weights, memory, row)
        hand_on(network, layers, fields, subject, trial, row, later, memory)
        move_around(network, layout, parameters, fields, subject, trial, weights, row, later)
        for k in range(network.n_weights):
            later[k] = weights[k] + later[k]
        weights = later


@njit
def last_output(network, layers, row):
    return shift(row, shift(layers, (network.n_layers - 1) * N_COLUMNS)[OUTPUT])


@njit(forceinline=True)
def fill_deltas(network, layers, parameters, row, delta, adjoint):
    """Fill a row of deltas from its last output, down to the weights in its inputs."""
    transposed = shift(parameters, network.transposed)
    first = first_layer(network)
    for number in range(network.n_layers - 1, first, -1):
        layer = shift(layers, number * N_COLUMNS)
        linear_back(layer, transposed, delta)
        activate_below_back(network, layer, row, delta)
    if network.memory_width:
        linear_back(shift(layers, first * N_COLUMNS), transposed, delta)
        gru_back(network, layers, transposed, row, delta, adjoint)
    linear_back_to(layers, n_of_weights(network), parameters, delta)


@njit
def n_of_weights(network):
    """Return how many of the first inputs hang on the weights."""
    return network.n_features + 2 if network.alike else network.n_weights


@njit(forceinline=True)
def take_back(
    network, layers, parameters, fields, subject, trial, row, delta, of_update, of_memory
):
    """Return the weights' adjoint from those of what was handed on; the memory's goes along."""
    size, m = network.row_size, network.memory_width
    hand_back(network, layers, fields, subject, trial, row, delta, of_update)
    for view in range(network.n_views):
        row_here, delta_here = shift(row, view * size), shift(delta, view * size)
        fill_deltas(network, layers, parameters, row_here, delta_here, shift(of_memory, view * m))
    return weights_back(network, fields, trial, row, delta)


@njit
def hand_back(network, layers, fields, subject, trial, row, delta, of_update):
    """Fill the deltas of the last outputs, of all views, from the adjoint of the update."""
    outputs, size = last_output(network, layers, delta), network.row_size
    if network.alike:
        part_updates(network, int(at_address(fields[1], row)[trial]), of_update, outputs)
        for view in range(network.n_views):
            of_view = shift(outputs, view * size)
            set_pace(network, fields, subject, row, network.n_features, of_view)
    else:
        copy(of_update, outputs, network.n_weights)
        set_pace(network, fields, subject, row, network.n_weights, outputs)
    if is_turned(network, fields, trial, row):
        turn(network, outputs)


@njit
def weights_back(network, fields, trial, row, delta):
    """Return the weights' adjoint, once the deltas of what hangs on them are filled in."""
    if network.alike:
        adjoint, made = shift(delta, network.handed_on), int(at_address(fields[1], row)[trial])
        apart_back(network, made, row, delta, adjoint)
        return adjoint
    if is_turned(network, fields, trial, row):
        turn(network, delta)
    return delta


def retreat(
    layout, parameters, fields, subject, trial, weights, memory, row, delta, adjoint, above,
    gradient,
):  # fmt: skip
    network, layers = read(layout)
    k = network.n_weights
    of_memory = shift(adjoint, k)
    around_back(
        network, layout, parameters, fields, subject, trial, weights, row, delta, adjoint, gradient
    )
    of_weights = take_back(
        network, layers, parameters, fields, subject, trial, row, delta, adjoint, of_memory
    )
    add_around(network, delta, of_weights)
    for i in range(k):
        adjoint[i] = adjoint[i] + of_weights[i] + above[i]


def fill_rows(layout, parameters, fields, subject, start, n_rows, weights, width, memory, rows):
    """Compute a block's rows again, but for the last layer's output, which no slope needs.

    The trials' weights are known, so that only the memory needs one trial after another.
    """
    network, layers = read(layout)
    size = network.row_size
    for i in range(n_rows):
        weights_now, views = shift(weights, i * width), shift(rows, i * network.n_views * size)
        fill_inputs(network, fields, subject, start + i, weights_now, views)
    n_rows = n_rows * network.n_views
    if network.memory_width:
        linear_rows(layers, parameters, rows, n_rows, size)
        fill_memories(network, layers, parameters, memory, network.n_views, n_rows, rows)
    fill_hidden(network, layers, parameters, rows, n_rows)


@njit
def fill_hidden(network, layers, parameters, rows, n_rows):
    """Fill many rows from the layer after the memory to the input of the last."""
    for number in range(first_layer(network), network.n_layers - 1):
        layer = shift(layers, number * N_COLUMNS)
        linear_rows(layer, parameters, rows, n_rows, network.row_size)
        for i in range(n_rows):
            row = shift(rows, i * network.row_size)
            activate_below(network, shift(layer, N_COLUMNS), row)


def add_gradients(layout, parameters, fields, rows, deltas, n_rows, gradient):
    network, layers = read(layout)
    n_views, size = network.n_views, network.row_size
    for number in range(network.n_layers):
        layer = shift(layers, number * N_COLUMNS)
        if number == 1 and network.memory_width and network.n_points > 1:  # who share it
            n_trials, size_of_trial = n_rows // network.n_points, network.n_points * n_views * size
            for view in range(n_views):
                of_view = shift(rows, view * size), shift(deltas, view * size)
                add_gradient(layer, gradient, *of_view, n_trials, size_of_trial)
        else:
            add_gradient(layer, gradient, rows, deltas, n_rows * n_views, size)


@kernel
def transpose_layers(layout, parameters):
    """Fill in the transposed layers after the others."""
    network, layers = read(pointer(layout))
    start = pointer(parameters)
    transpose(network.n_layers, layers, start, shift(start, network.transposed))
