// What a batch shows and what its prompts say of it, for lesions with three phases, with fewer, and with the delayed
// one.
#include "model/image/vocabulary.h"
#include "model/text/prompts.h"
#include "model/train/views_torch.hh"

#include <torch/torch.h>

#include <array>
#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <random>

extern "C" {
#include <cmocka.h>
}

namespace {

constexpr int64_t kSide = LVN_CROP_SIDE;
constexpr size_t kSamples = 96;
constexpr std::array<int, LVN_PHASE_COUNT> kHu = {0, 60, 120, 180}; // of every pixel of a phase

struct Kind {
  int64_t present;
  bool delayed;
};

// One slice for each lesion; a phase that is missing has the crop's padding.
lvn::TrainingData make_data(const std::vector<Kind> &kinds) {
  lvn::TrainingData data;
  const auto count = static_cast<int64_t>(kinds.size());
  data.hounsfield = torch::full({count, LVN_PHASE_NETWORK_COUNT, kSide, kSide}, -1000, torch::kInt16);
  data.delayed = torch::full({count, 1, kSide, kSide}, -1000, torch::kInt16);
  for (int64_t i = 0; i < count; i++) {
    const Kind &kind = kinds[static_cast<size_t>(i)];
    for (int64_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      if ((kind.present >> phase & 1) != 0) {
        data.hounsfield[i][phase].fill_(kHu[static_cast<size_t>(phase)]);
      }
    }
    if (kind.delayed) {
      data.delayed[i].fill_(kHu[LVN_PHASE_DL]);
    }
    data.lesions.push_back(
        {"lesion", "patient", i, i, 1, 0, 0, "", kind.present, kind.delayed, lvn::Role::kTraining, {}});
  }
  return data;
}

lvn_recipe plain_recipe(double fourth_phase, double phase_dropout) {
  lvn_recipe recipe = {};
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  recipe.fourth_phase = fourth_phase;
  recipe.phase_dropout = phase_dropout;
  return recipe;
}

lvn::Batch draw(const lvn::TrainingData &data, int64_t lesion, int64_t order, const lvn_recipe &recipe, uint64_t seed) {
  std::mt19937_64 random(seed);
  const std::vector<lvn::Sample> samples(kSamples, lvn::Sample{lesion, lesion, order});
  return lvn::make_batch(data, samples.data(), samples.size(), 32, recipe, &random);
}

// The phase that a channel shows by its value, LVN_PHASE_NONE for a missing one.
enum lvn_phase shown_phase(const torch::Tensor &images, size_t sample, int64_t channel, const lvn_recipe &recipe) {
  const auto normalised = images[static_cast<int64_t>(sample)][channel].min().item<double>();
  const double hu = (normalised * 0.5 + 0.5) * (recipe.window_high_hu - recipe.window_low_hu) + recipe.window_low_hu;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (std::fabs(hu - kHu[static_cast<size_t>(phase)]) < 1.0) {
      return static_cast<enum lvn_phase>(phase);
    }
  }
  assert_true(std::fabs(hu - recipe.window_low_hu) < 1.0);
  return LVN_PHASE_NONE;
}

// The prompt names what the channels show, in their order. Counts how often each phase is there.
std::array<size_t, LVN_PHASE_COUNT> expect_prompts_to_tell(const lvn::Batch &batch, const lvn_recipe &recipe) {
  std::array<size_t, LVN_PHASE_COUNT> seen = {};
  for (size_t i = 0; i < kSamples; i++) {
    const lvn_sequence &named = lvn_sequences[batch.sequences.data_ptr<int64_t>()[i]];
    size_t count = 0;
    for (int64_t channel = 0; channel < LVN_PHASE_NETWORK_COUNT; channel++) {
      const enum lvn_phase phase = shown_phase(batch.images, i, channel, recipe);
      if (phase != LVN_PHASE_NONE) {
        assert_true(count < named.count);
        assert_int_equal(named.phase[count], phase);
        count++;
        seen[phase]++;
      }
    }
    assert_int_equal(named.count, count);
  }
  return seen;
}

// Within five standard deviations of a binomial of kSamples.
void expect_share(size_t found, double share) {
  const double mean = kSamples * share;
  assert_true(std::fabs(static_cast<double>(found) - mean) <= 5.0 * std::sqrt(mean * (1.0 - share)) + 1e-9);
}

void test_views__delayed_phase_takes_the_place_of_each(void **) {
  const lvn::TrainingData data = make_data({{7, true}});
  const lvn_recipe recipe = plain_recipe(0.6, 0.0);
  for (int64_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    const auto seen = expect_prompts_to_tell(draw(data, 0, order, recipe, 11), recipe);
    expect_share(seen[LVN_PHASE_DL], 0.6);
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      expect_share(seen[static_cast<size_t>(phase)], 1.0 - 0.6 / 3);
    }
  }
}

// In the natural order the phases stand as they are acquired: the delayed one last.
void test_views__natural_order_is_that_of_time(void **) {
  const lvn::TrainingData data = make_data({{7, true}});
  const lvn_recipe recipe = plain_recipe(1.0, 0.0);
  const lvn::Batch batch = draw(data, 0, 0, recipe, 12);
  for (size_t i = 0; i < kSamples; i++) {
    const lvn_sequence &named = lvn_sequences[batch.sequences.data_ptr<int64_t>()[i]];
    assert_int_equal(named.count, 3);
    assert_true(named.phase[0] < named.phase[1]);
    assert_int_equal(named.phase[2], LVN_PHASE_DL);
  }
}

// Without an arterial phase the delayed one fills the gap and drives no other phase out.
void test_views__delayed_phase_fills_a_gap(void **) {
  const lvn::TrainingData data = make_data({{5, true}, {4, true}});
  const lvn_recipe recipe = plain_recipe(1.0, 0.0);
  for (int64_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    const auto seen = expect_prompts_to_tell(draw(data, 0, order, recipe, 13), recipe);
    const std::array<size_t, LVN_PHASE_COUNT> expected = {kSamples, 0, kSamples, kSamples};
    assert_true(seen == expected);
    const auto alone = expect_prompts_to_tell(draw(data, 1, order, recipe, 14), recipe);
    const std::array<size_t, LVN_PHASE_COUNT> pair = {0, 0, kSamples, kSamples};
    assert_true(alone == pair);
  }
}

void test_views__dropout_and_the_delayed_phase_agree(void **) {
  const lvn::TrainingData data = make_data({{7, true}, {3, true}, {7, false}});
  const lvn_recipe recipe = plain_recipe(0.5, 0.7);
  for (int64_t lesion = 0; lesion < 3; lesion++) {
    for (int64_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
      const auto seen = expect_prompts_to_tell(draw(data, lesion, order, recipe, 15), recipe);
      assert_true(seen[LVN_PHASE_NC] < kSamples);
      assert_int_equal(seen[LVN_PHASE_DL] > 0, lesion != 2);
    }
  }
}

// A recipe that does not ask for it draws as if the data set had none, and measuring never shows it.
void test_views__nothing_changes_unless_asked_for(void **) {
  lvn::TrainingData with = make_data({{7, true}});
  lvn::TrainingData without = make_data({{7, false}});
  const lvn_recipe recipe = plain_recipe(0.0, 0.3);
  const lvn::Batch first = draw(with, 0, -1, recipe, 16);
  const lvn::Batch second = draw(without, 0, -1, recipe, 16);
  assert_true(first.images.equal(second.images) && first.sequences.equal(second.sequences));
  const lvn::Sample sample = {0, 0, 0};
  const lvn::Batch plain = lvn::make_batch(with, &sample, 1, 32, plain_recipe(1.0, 0.0), nullptr);
  assert_int_equal(plain.sequences.item<int64_t>(), 0);
  for (int64_t channel = 0; channel < LVN_PHASE_NETWORK_COUNT; channel++) {
    assert_int_equal(shown_phase(plain.images, 0, channel, recipe), channel);
  }
}

} // namespace

int main() {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_views__delayed_phase_takes_the_place_of_each),
      cmocka_unit_test(test_views__natural_order_is_that_of_time),
      cmocka_unit_test(test_views__delayed_phase_fills_a_gap),
      cmocka_unit_test(test_views__dropout_and_the_delayed_phase_agree),
      cmocka_unit_test(test_views__nothing_changes_unless_asked_for),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
