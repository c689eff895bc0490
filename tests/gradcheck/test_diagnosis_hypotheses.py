"""Each hypothesis is needed: one planted bug loses its name when that hypothesis is taken away."""

import importlib
import inspect
import pkgutil
from contextlib import contextmanager

import pytest
from mutants import developed_on, named_causes

from minis2s.gradcheck import diagnosis

ROOT = f"{diagnosis.__name__}."
MODULES = {
    module.name.removeprefix(ROOT): importlib.import_module(module.name)
    for module in pkgutil.walk_packages(diagnosis.__path__, ROOT)
}

NEEDED_BY = {
    "blocks.of_blocks": "rms_norm_averages_over_the_batch",
    "contributions.one_of_several": "upsampling_reads_one_copy",
    "contributions.slope_alone": "leaky_relu_sets_its_slope",
    "contributions.upstream_shifted": "unpool_reads_the_next_place",
    "experiments.an_output_ignored": "attend_weights_are_only_looked_at",
    "experiments.at_the_output": "gelu_by_erf_at_its_output",
    "experiments.flipped_kernel": "signal_kernel_slides_unturned",
    "experiments.log_softmax_without_sum": "log_softmax_without_its_sum",
    "experiments.new_draw": "mask_drawn_from_its_seed_before_the_noise",
    "experiments.one_part_of_the_output": "group_norm_scale_of_the_last_image",
    "experiments.other_mask": "attention_of_all_words_on_the_way_back",
    "experiments.other_spread": "kl_sigma_for_logvar",
    "experiments.passed_on": "elu_straight_through",
    "experiments.shifted_ids": "language_model_target_not_shifted",
    "experiments.summed_otherwise": "conv_bias_as_if_the_maps_stood_last",
    "experiments.upstream_ignored": "policy_gradient_upstream_ignored",
    "experiments.upstream_moved": "gated_cell_reads_the_gradient_of_the_step_before",
    "fits.another_mask": "hidden_dropout_draws_again",
    "fits.factors_on_the_way": "hidden_dropout_scales_forward_alone",
    "fits.shares_of_the_uses": "dense_block_adds_its_skip_twice",
    "fits.where_excluded": "ratings_never_given_count_as_zero_stars",
    "numbers.block": "differences_last_entry_left",
    "numbers.factor": "mse_divided_by_the_batch",
    "numbers.permuted_axes": "flatten_meets_another_order",
    "numbers.permuted_blocks": "two_heads_joined_the_wrong_way_round",
    "numbers.reversed_axes": "conv_kernel_gradient_stored_from_its_end",
    "numbers.shifted": "embedding_counts_its_rows_from_one",
    "numbers.sign": "log_sigmoid_keeps_one_of_two_minuses",
    "numbers.single_precision": "linear_weight_in_single_precision",
    "numbers.summed_or_running": "log_cosh_of_all_items_goes_to_each",
    "numbers.swapped": "product_node_not_crossed",
    "numbers.transposed": "rnn_step_square_matrix_not_turned",
    "numbers.zero": "gated_module_forgets_a_bias",
    "places.of_assigning": "columns_are_painted_over_each_other",
    "places.of_ends": "grey_conv_way_back_ends_before_the_last_row",
    "places.of_painted": "enlarging_conv_forgets_its_stride",
    "places.of_painting": "dilated_conv_reads_neighbours",
    "places.of_reading": "dilated_signal_kernel_learns_from_neighbours",
    "spoils.edges.of_edges": "bidirectional_forward_only",
    "spoils.edges.of_recurrence": "simple_unit_forgets_the_next_cell",
    "spoils.gathers.of_copies": "grouped_queries_repeat_undone_as_tile",
    "spoils.gathers.of_gather": "embedding_fancy_plus",
    "spoils.gathers.of_largest": "max_pool_shares_with_all",
    "spoils.gathers.of_other_rows": "embedding_learns_the_word_before",
    "spoils.gathers.of_picked_maximum": "highest_of_a_sentence_is_everybody",
    "spoils.gathers.of_spread": "mean_pool_gives_to_the_corner",
    "spoils.gathers.of_windows": "conv_by_numbers_paints_without_its_stride",
    "spoils.layout.of_edge_of_picture": "dilated_signal_keeps_the_zeros_at_its_start",
    "spoils.layout.of_order": "patches_come_back_in_the_order_of_memory",
    "spoils.layout.of_shape": "pixels_shuffled_in_another_order",
    "spoils.matrices.of_einsum": "einsum_of_a_square_layer_with_its_letters_exchanged",
    "spoils.matrices.of_product": "energy_vector_forgotten_in_the_loop",
    "spoils.products.of_counts": "bag_of_words_is_divided_by_its_longest",
    "spoils.products.of_factor": "silu_forgets_the_input",
    "spoils.products.of_mask": "hidden_dropout_is_not_there_on_the_way_back",
    "spoils.products.of_overwriting": "dropout_pays_the_units_it_switched_off",
    "spoils.products.of_sign_within": "gated_skip_lets_back_one_plus_the_gate",
    "spoils.products.of_sum": "channel_scale_summed_too_far",
    "spoils.sigma.of_sigma": "vae_encoder_divergence_derived_on_paper_with_sigma",
    "spoils.slopes.of_log_sum_exp": "cross_entropy_softmax_of_softmax",
    "spoils.slopes.of_slope": "lstm_step_candidate_without_its_tanh",
    "spoils.together.of_all_like": "rnn_mask_the_other_way_round",
    "spoils.together.of_all_masks": "rnn_mask_the_other_way_round",
    "spoils.together.of_constants": "rotary_embedding_turned_further_instead_of_back",
    "spoils.together.of_exchanged": "swiglu_matrices_crossed_on_the_way_to_x",
    "spoils.together.of_inner_functions": "gelu_of_tanh_without_the_polynomial_inside",
    "spoils.together.of_parts": "gated_cell_joins_candidate_before_gate",
    "spoils.values.other_values": "lstm_carries_through_the_input_gate",
    "spoils.ways.of_arrivals": "gates_overwrite_the_gradient_of_their_layer",
    "spoils.ways.of_detours": "mean_code_penalty_outside_the_bracket",
    "spoils.ways.of_one_of_many": "translator_context_is_asked_at_the_first_word_only",
    "spoils.ways.of_two_ways": "peephole_lstm_old_cell_hears_nothing_from_the_gates",
    "spoils.ways.of_way_around": "residual_block_shortcut_goes_around_the_last_relu",
    "steps.of_loop": "rnn_loop_stops_before_the_first_step",
}
"""Hypotheses, and for each a bug that only it explains."""

FOR_OTHERS = {
    "contributions.contributions",
    "experiments.experiments",
    "experiments.judged",
    "fits.fits",
    "numbers.candidate",
    "numbers.numbers",
    "places.of_places",
    "spoils.of_group",
    "spoils.spoils",
    "structure.forgotten_together",
    "structure.held_against",
    "structure.structure",
}
"""What runs all hypotheses of a kind, or words what one has found."""


def hypotheses():
    """The public functions that yield candidates, or the mistakes that become candidates."""
    for module, space in MODULES.items():
        for name, function in inspect.getmembers(space, inspect.isfunction):
            made_here = function.__module__ == space.__name__ and not name.startswith("_")
            if made_here and function.__annotations__.get("return") in ("Iterator[Candidate]", "Iterator[Spoil]"):
                yield f"{module}.{name}"


def nothing(*_args, **_options):
    return iter(())


@contextmanager
def without(name):
    """The diagnosis with one hypothesis less, wherever it stands."""
    module, function = name.rsplit(".", 1)
    gone = getattr(MODULES[module], function)
    undo = []
    for space in map(vars, MODULES.values()):
        for owner, key, value in list(places_in(space)):
            if value is gone or (isinstance(value, tuple) and any(part is gone for part in value)):
                undo.append((owner, key, value))
                owner[key] = nothing if value is gone else tuple(nothing if part is gone else part for part in value)
    try:
        yield
    finally:
        for owner, key, value in undo:
            owner[key] = value


def places_in(space):
    """Names of a module and entries of its tables."""
    for key, value in space.items():
        yield space, key, value
        if isinstance(value, dict) and not key.startswith("__"):
            yield from ((value, inner, part) for inner, part in value.items())


def is_named(mutant):
    """Is the true cause the first one told?"""
    return named_causes(mutant.check())[0] in mutant.causes


def test_none_is_left_out():
    assert set(hypotheses()) - FOR_OTHERS == set(NEEDED_BY)


@pytest.mark.parametrize(("hypothesis", "name"), NEEDED_BY.items())
def test_without_the_hypothesis_the_cause_is_not_named(hypothesis, name):
    mutant = next(m for m in developed_on() if m.name == name)
    assert is_named(mutant)
    with without(hypothesis):
        assert not is_named(mutant)
