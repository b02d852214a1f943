/// A cost model from published whole-model coefficients: what a step of one model takes on one device and split,
/// without operators. Files: hwmodels/profiles/NAME.json, each a table of entries with source, range and left-out
/// error.
///
///   const ProfileEntry& e = load_profile("distserve", {}).entry("opt-13b", "a100-80g", {.tp = 2, .pp = 1});
///   ProfileCostModel model(e, load_model("opt-13b", {}), load_hardware("a100-80g", {}), {.tp = 2, .pp = 1});
///
/// The time of a phase is a list of pieces; the last whose `from` is not above the size of the step counts:
///   prefill   base + per_token * tokens + per_square * sum over chunks of ((context + q)^2 - context^2)   by tokens
///   decode    base + per_sequence * sequences + per_context * total context                               by sequences
/// An entry gives the whole model, which a pipeline divides evenly, or one layer. A step with both phases takes the two
/// times less the smaller base (weights are read once): an assumption, and never in range. All coefficients are rounded
/// to whole picoseconds when the model is made, so a decode run is exact for any number of iterations.
/// price(): about 10 ns. Throws ConfigError for a model, device or split that the profile lacks, with what exists.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/hardware.hpp"
#include "hwmodels/model.hpp"
#include "hwmodels/operator_model.hpp"
#include "sim/cost.hpp"

namespace orrery {

/// One piece of a phase's time, in seconds.
struct ProfilePiece {
  double from = 0, base = 0;
  double per_unit = 0;   ///< a prompt token, or a decoding sequence
  double per_extra = 0;  ///< a token squared, or a token of context
};

/// Watts of one device against the tokens of a prompt step, linear between its points, and while decoding.
struct ProfilePower {
  std::vector<std::array<double, 2>> prefill;  ///< {tokens, W}
  double decode_w = 0;
};

struct ProfileEntry {
  std::string model, hardware;
  int tp = 1;
  int max_pp = 1;
  bool per_layer = false;
  double stage_s = 0;  ///< added to every stage, for each stage there is
  std::vector<ProfilePiece> prefill, decode;
  std::vector<ProfilePiece> embedding;    ///< on the first and on the last stage of a prompt step, by chunks
  double hop_s = 0, hop_per_token_s = 0;  ///< to the next stage
  double tokens_low = 1, tokens_high = 0, sequences_high = 0;  ///< fitted range
  double prefill_error = 0, decode_error = 0;                  ///< left out, percent; 0: the source's own coefficients
  ProfilePower power;                                          ///< empty: the device's own power model counts
};

struct Profile {
  std::string name, source, date, origin;
  std::vector<ProfileEntry> entries;

  const ProfileEntry& entry(const ModelShape& model, const Hardware& hardware, Parallel parallel) const;
};

Profile load_profile(std::string_view name, const std::vector<std::string>& folders);
Profile profile_from_json(const Value& v);

class ProfileCostModel final : public CostModel {
 public:
  ProfileCostModel(const ProfileEntry& entry, const ModelShape& model, const Hardware& hardware, Parallel parallel);
  StepRun price(std::span<const StepShape> members, int stage) const override;
  Duration hop(Tokens tokens) const override;
  int stages() const override { return parallel_.pp; }

 private:
  /// A piece of one stage: time in picoseconds, energy in nanojoules of all its devices.
  struct Piece {
    std::int64_t from, base, per_unit, per_extra;
    std::int64_t energy, energy_per_unit, energy_per_extra;
  };
  struct Stage {
    std::vector<Piece> prefill, decode;
    std::vector<ProfilePiece> embedding;
    std::int64_t layers = 0;
    std::int64_t flops_per_token = 0, flops_per_output = 0, flops_per_pair = 0, bytes = 0, bytes_per_context = 0;
  };

  Stage make_stage(int stage) const;
  Piece piece_of(const ProfilePiece& published, const Stage& stage, bool decode) const;
  double watts(double tokens) const;
  StepRun price_one(const StepShape& shape, const Stage& stage) const;
  StepRun price_decode(const StepShape& shape, const Stage& stage) const;
  StepRun price_prefill(const StepShape& shape, const Stage& stage, std::int64_t tokens) const;
  void count_work(const StepShape& shape, const Stage& stage, std::int64_t tokens, StepRun& run) const;

  ProfileEntry entry_;
  ModelShape model_;
  PowerModel power_;
  double pcie_bytes_per_s_;
  Parallel parallel_;
  std::vector<Stage> stages_;
};

}  // namespace orrery
