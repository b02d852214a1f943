/// Prompt and output lengths of request n, a pure function of (seed, n): from two distributions, a fitted workload
/// model, or pairs drawn from a trace; then what the client asks for at most, and clipping.
///
///   Lengths lengths(std::make_shared<ModelLengths>(model), {}, seed);
///   lengths.draw(n, request);      // sets prompt_tokens, output_tokens, max_tokens
///
/// 20 to 100 ns a draw.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/distribution.hpp"
#include "sim/base/rng.hpp"
#include "sim/request.hpp"
#include "traces/workload_model.hpp"

namespace orrery {

class LengthModel {
 public:
  virtual ~LengthModel() = default;
  struct Pair { std::int64_t prompt, output; };
  /// Prompt and output each have their own stream, so that changing one distribution leaves the other's draws alone.
  virtual Pair draw(Rng& prompt, Rng& output) const = 0;
  virtual double mean_prompt() const = 0;
  virtual double mean_output() const = 0;
};

class DistributionLengths final : public LengthModel {
 public:
  DistributionLengths(Distribution prompt, Distribution output)
      : prompt_(std::move(prompt)), output_(std::move(output)) {}
  Pair draw(Rng& prompt, Rng& output) const override { return {prompt_.count(prompt), output_.count(output)}; }
  double mean_prompt() const override { return prompt_.mean(); }
  double mean_output() const override { return output_.mean(); }

 private:
  Distribution prompt_, output_;
};

class ModelLengths final : public LengthModel {
 public:
  explicit ModelLengths(WorkloadModel model) : model_(std::move(model)) {}
  Pair draw(Rng& prompt, Rng& output) const override {
    const auto [p, o] = model_.draw(prompt.uniform(), output.uniform());
    return {p, o};
  }
  double mean_prompt() const override { return model_.mean_prompt(); }
  double mean_output() const override { return model_.mean_output(); }

 private:
  WorkloadModel model_;
};

/// Pairs of a trace, each row equally likely. 8 bytes a row.
class PairLengths final : public LengthModel {
 public:
  explicit PairLengths(std::vector<std::pair<std::int32_t, std::int32_t>> rows);
  Pair draw(Rng& prompt, Rng&) const override {
    const auto& row = rows_[prompt.below(rows_.size())];
    return {row.first, row.second};
  }
  double mean_prompt() const override { return mean_prompt_; }
  double mean_output() const override { return mean_output_; }

 private:
  std::vector<std::pair<std::int32_t, std::int32_t>> rows_;
  double mean_prompt_ = 0, mean_output_ = 0;
};

struct LengthRules {
  /// What the client asks for at most; none: exactly the output. An output never exceeds it.
  std::optional<Distribution> max_tokens;
  /// prompt + output at most; 0: no limit. The output is cut first, but keeps a token, then the prompt.
  std::int64_t max_total = 0;
};

class Lengths {
 public:
  Lengths(std::shared_ptr<const LengthModel> model, LengthRules rules, std::uint64_t seed)
      : model_(std::move(model)), rules_(std::move(rules)), seed_(seed) {}

  void draw(std::uint64_t entity, Request& r) const;
  /// Applies max_tokens and max_total to a request whose lengths are known (of a trace).
  void limit(std::uint64_t entity, Request& r) const;
  const LengthModel* model() const { return model_.get(); }
  const LengthRules& rules() const { return rules_; }

 private:
  void finish(std::int64_t prompt, std::int64_t output, Rng& rng, Request& r) const;

  std::shared_ptr<const LengthModel> model_;   ///< null: only limit() is used
  LengthRules rules_;
  std::uint64_t seed_;
};

}  // namespace orrery
