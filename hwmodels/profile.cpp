#include "hwmodels/profile.hpp"

#include <algorithm>
#include <limits>

#include "hwmodels/catalogue.hpp"

namespace orrery {
namespace {

std::int64_t rounded(double x) { return static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5); }

double number_or(const Value& v, std::string_view key, double otherwise) {
  const Value* found = v.find(key);
  return found == nullptr ? otherwise : found->as_double();
}

/// [{"from", "base_ms", `unit`, `extra`}], the units in microseconds and nanoseconds; `from` ascending.
std::vector<ProfilePiece> pieces_from(const Value& v, std::string_view unit, std::string_view extra) {
  std::vector<ProfilePiece> pieces;
  for (const Value& item : v.items()) {
    const ProfilePiece p{item.at("from").as_double(), 1e-3 * item.at("base_ms").as_double(),
                         1e-6 * item.at(unit).as_double(), 1e-9 * number_or(item, extra, 0)};
    if (!pieces.empty() && p.from <= pieces.back().from) throw ConfigError(item.where() + ": pieces must ascend");
    pieces.push_back(p);
  }
  if (pieces.empty()) throw ConfigError(v.where() + ": expected a piece");
  return pieces;
}

ProfilePower power_from(const Value& v) {
  ProfilePower p;
  p.decode_w = v.at("decode_w").as_double();
  for (const Value& item : v.at("prefill_w").items())
    p.prefill.push_back({item.items().at(0).as_double(), item.items().at(1).as_double()});
  return p;
}

ProfileEntry entry_from(const Value& v) {
  ProfileEntry e;
  e.model = v.at("model").as_string();
  e.hardware = v.at("hardware").as_string();
  e.tp = static_cast<int>(v.at("tp").as_int());
  e.max_pp = static_cast<int>(v.at("max_pp").as_int());
  e.per_layer = v.at("unit").as_string() == "layer";
  e.stage_s = 1e-3 * number_or(v, "stage_ms", 0);
  e.prefill = pieces_from(v.at("prefill"), "per_token_us", "per_token2_ns");
  e.decode = pieces_from(v.at("decode"), "per_sequence_us", "per_context_ns");
  if (const Value* embedding = v.find("embedding")) e.embedding = pieces_from(*embedding, "per_chunk_us", "");
  e.hop_s = 1e-6 * number_or(v, "hop_us", 0);
  e.hop_per_token_s = 1e-6 * number_or(v, "hop_per_token_us", 0);
  const Value& range = v.at("range");
  e.tokens_low = range.at("tokens").items().at(0).as_double();
  e.tokens_high = range.at("tokens").items().at(1).as_double();
  e.sequences_high = range.at("sequences").as_double();
  e.prefill_error = number_or(v, "left_out_prefill_percent", 0);
  e.decode_error = number_or(v, "left_out_decode_percent", 0);
  if (const Value* power = v.find("power")) e.power = power_from(*power);
  return e;
}

template <class P>
const P& piece_at(const std::vector<P>& pieces, double x) {
  const P* found = &pieces.front();
  for (const P& p : pieces) {
    if (static_cast<double>(p.from) <= x) found = &p;
  }
  return *found;
}

}  // namespace

const ProfileEntry& Profile::entry(const ModelShape& model, const Hardware& hardware, Parallel parallel) const {
  std::string known;
  for (const ProfileEntry& e : entries) {
    if (e.model == model.name && e.hardware == hardware.name && e.tp == parallel.tp && parallel.pp <= e.max_pp)
      return e;
    known += (known.empty() ? "" : ", ") + e.model + " on " + e.hardware + " tp " + std::to_string(e.tp) +
             (e.max_pp > 1 ? " pp up to " + std::to_string(e.max_pp) : "");
  }
  throw ConfigError("cost profile \"" + name + "\" has no " + model.name + " on " + hardware.name + " with tp " +
                    std::to_string(parallel.tp) + ", pp " + std::to_string(parallel.pp) + "; it has " + known);
}

Profile profile_from_json(const Value& v) {
  Profile p{v.at("name").as_string(), v.at("source").as_string(), v.at("date").as_string(), "", {}};
  for (const Value& item : v.at("entries").items()) p.entries.push_back(entry_from(item));
  return p;
}

Profile load_profile(std::string_view name, const std::vector<std::string>& folders) {
  const CatalogueEntry found = find_entry(Catalogue::kProfiles, name, folders);
  Profile p = profile_from_json(found.value);
  p.origin = found.origin;
  return p;
}

ProfileCostModel::ProfileCostModel(const ProfileEntry& entry, const ModelShape& model, const Hardware& hardware,
                                   Parallel parallel)
    : entry_(entry),
      model_(model),
      power_(hardware.power),
      pcie_bytes_per_s_(hardware.specs.pcie_bytes_per_s * hardware.pcie_efficiency * parallel.tp * parallel.pp),
      parallel_(parallel) {
  for (int s = 0; s < parallel.pp; ++s) stages_.push_back(make_stage(s));
}

ProfileCostModel::Stage ProfileCostModel::make_stage(int index) const {
  Stage s;
  s.layers = layers_of_stage(model_, parallel_, index);
  const bool first = index == 0, last = index == parallel_.pp - 1;
  s.flops_per_token = 2 * s.layers * model_.layer_parameters();
  s.flops_per_output = last ? 2 * model_.vocabulary * model_.hidden : 0;
  s.flops_per_pair = 4 * s.layers * model_.heads * model_.head_dim;
  s.bytes = s.flops_per_token + s.flops_per_output;  // two bytes and two FLOPs a parameter
  s.bytes_per_context = 4 * s.layers * model_.kv_heads * model_.head_dim;
  for (const ProfilePiece& p : entry_.prefill) s.prefill.push_back(piece_of(p, s, false));
  for (const ProfilePiece& p : entry_.decode) s.decode.push_back(piece_of(p, s, true));
  for (int times = (first ? 1 : 0) + (last ? 1 : 0); const ProfilePiece& p : entry_.embedding) {
    s.embedding.push_back({p.from, p.base * times, p.per_unit * times, 0});
  }
  return s;
}

/// The share of a stage, in whole picoseconds; energy where the phase's power is known without the size of the step.
ProfileCostModel::Piece ProfileCostModel::piece_of(const ProfilePiece& p, const Stage& s, bool decode) const {
  // Stages run in step, so the longest, of ceil(layers / pp), counts for all.
  const double share =
      entry_.per_layer ? static_cast<double>(ceil_div(model_.layers, parallel_.pp)) : 1.0 / parallel_.pp;
  const double base = p.base * share + entry_.stage_s * parallel_.pp, unit = p.per_unit * share,
               extra = p.per_extra * share;
  Piece piece{rounded(p.from), rounded(1e12 * base), rounded(1e12 * unit), rounded(1e12 * extra), 0, 0, 0};
  if (!decode) return piece;
  const auto nanojoules = [&](double seconds, double flops, double bytes) {
    if (entry_.power.decode_w > 0) return rounded(1e9 * entry_.power.decode_w * parallel_.tp * seconds);
    const double joules =
        power_.active_w * parallel_.tp * seconds + power_.joules_per_flop * flops + power_.joules_per_byte * bytes;
    return rounded(1e9 * std::min(joules, power_.limit_w * parallel_.tp * seconds));
  };
  piece.energy = nanojoules(base, 0, static_cast<double>(s.bytes));
  piece.energy_per_unit = nanojoules(unit, static_cast<double>(s.flops_per_token + s.flops_per_output), 0);
  piece.energy_per_extra =
      nanojoules(extra, static_cast<double>(s.flops_per_pair), static_cast<double>(s.bytes_per_context));
  return piece;
}

StepRun ProfileCostModel::price(std::span<const StepShape> members, int stage) const {
  const Stage& s = stages_[static_cast<std::size_t>(stage)];
  if (members.size() == 1) return price_one(members[0], s);
  StepRun longest;
  for (const StepShape& member : members) {
    StepRun run = price_one(member, s);
    run.valid = 1;
    if (run.first >= longest.first) longest = run;
  }
  return longest;
}

StepRun ProfileCostModel::price_one(const StepShape& x, const Stage& s) const {
  const std::int64_t tokens =
      x.prefill.value() + x.draft.value() + x.filler_forward.value() + x.filler_backward.value();
  StepRun run;
  if (tokens == 0) {
    if (x.decodes.value() > 0) run = price_decode(x, s);
  } else {
    run = price_prefill(x, s, tokens);
    run.in_range = run.in_range && tokens == x.prefill.value();
    if (x.decodes.value() > 0) {
      const StepRun decode = price_decode(x, s);
      const std::int64_t shared = std::min(piece_at(s.prefill, static_cast<double>(tokens)).base,
                                           piece_at(s.decode, static_cast<double>(x.decodes.value())).base);
      const Duration apart = run.first + decode.first;
      run.first = apart - Duration{std::max<std::int64_t>(0, shared)};
      const double energy = static_cast<double>(run.e_first.value() + decode.e_first.value());
      run.e_first = Energy{rounded(energy * (to_seconds(run.first) / to_seconds(apart)))};
      run.in_range = false;
    }
  }
  count_work(x, s, tokens, run);
  const std::int64_t bytes = std::max(x.host_in.value(), x.host_out.value());
  if (bytes == 0) return run;
  run.first = std::max(run.first, Duration{rounded(1e12 * static_cast<double>(bytes) / pcie_bytes_per_s_)});
  run.step = Duration{}, run.e_step = Energy{};
  run.flops_step = run.bytes_step = 0;
  run.valid = 1;
  return run;
}

StepRun ProfileCostModel::price_decode(const StepShape& x, const Stage& s) const {
  const std::int64_t n = x.decodes.value(), context = x.decode_context.value();
  const Piece& p = piece_at(s.decode, static_cast<double>(n));
  StepRun run;
  run.first = Duration{p.base + n * p.per_unit + context * p.per_extra};
  run.step = Duration{n * p.per_extra};
  run.e_first = Energy{p.energy + n * p.energy_per_unit + context * p.energy_per_extra};
  run.e_step = Energy{n * p.energy_per_extra};
  run.valid = std::numeric_limits<std::int64_t>::max() / 4;
  run.grade = Grade::kFitted;
  run.in_range = static_cast<double>(n) <= entry_.sequences_high;
  return run;
}

StepRun ProfileCostModel::price_prefill(const StepShape& x, const Stage& s, std::int64_t tokens) const {
  const Piece& p = piece_at(s.prefill, static_cast<double>(tokens));
  StepRun run;
  std::int64_t time = p.base + tokens * p.per_unit + 2 * x.prefill_pairs * p.per_extra;
  if (!s.embedding.empty()) {
    const double chunks = std::max(1.0, static_cast<double>(x.sequences) - static_cast<double>(x.decodes.value()));
    const ProfilePiece& e = piece_at(s.embedding, chunks);
    time += rounded(1e12 * (e.base + e.per_unit * chunks));
  }
  run.first = Duration{std::max<std::int64_t>(time, 0)};
  const double seconds = to_seconds(run.first), devices = parallel_.tp;
  double joules = watts(static_cast<double>(tokens)) * devices * seconds;
  if (entry_.power.prefill.empty()) {
    joules =
        power_.active_w * devices * seconds + power_.joules_per_byte * static_cast<double>(s.bytes) +
        power_.joules_per_flop * static_cast<double>(tokens * s.flops_per_token + x.prefill_pairs * s.flops_per_pair);
    joules = std::min(joules, power_.limit_w * devices * seconds);
  }
  run.e_first = Energy{rounded(1e9 * joules)};
  run.grade = Grade::kFitted;
  const double t = static_cast<double>(tokens);
  run.in_range = t >= entry_.tokens_low && t <= entry_.tokens_high;
  for (const ChunkShape& c : x.chunks) run.in_range = run.in_range && c.context.value() == 0;
  return run;
}

/// Of one device; the ends hold.
double ProfileCostModel::watts(double tokens) const {
  const auto& points = entry_.power.prefill;
  if (points.empty()) return 0;
  if (tokens <= points.front()[0]) return points.front()[1];
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto [low, low_w] = points[i - 1];
    const auto [high, high_w] = points[i];
    if (tokens <= high) return low_w + (high_w - low_w) * ((tokens - low) / (high - low));
  }
  return points.back()[1];
}

void ProfileCostModel::count_work(const StepShape& x, const Stage& s, std::int64_t tokens, StepRun& run) const {
  const std::int64_t all = tokens + x.decodes.value();
  if (all == 0) return;
  run.flops = all * s.flops_per_token + x.outputs * s.flops_per_output +
              s.flops_per_pair * (x.decode_context.value() + x.prefill_pairs);
  run.bytes = s.bytes + s.bytes_per_context * (x.decode_context.value() + tokens);
  if (tokens > 0) return;
  run.flops_step = s.flops_per_pair * x.decodes.value();
  run.bytes_step = s.bytes_per_context * x.decodes.value();
}

Duration ProfileCostModel::hop(Tokens tokens) const {
  if (parallel_.pp == 1) return Duration{};
  return Duration{rounded(1e12 * (entry_.hop_s + entry_.hop_per_token_s * static_cast<double>(tokens.value())))};
}

}  // namespace orrery
